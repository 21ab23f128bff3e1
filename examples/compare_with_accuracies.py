"""Compare scores with accuracies, in numbers and as a page for a browser.

Without --table the accuracies are made up: noise round the number of parameters. Run:
python examples/compare_with_accuracies.py [--table accuracies.npz] [--out report.html]
"""

import argparse
from pathlib import Path

import torch

import zcfast
from zcfast import analysis, report
from zcfast.tables import Metric, Table


def made_up() -> Table:
    space = zcfast.space("nasbench201")
    params = space.params(space.enumerate()).double()
    noise = torch.randn(len(params), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    accuracies = 60 + 30 * params / params.max() + 3 * noise
    metric = Metric(accuracies[None], dataset="made up", split="test", epochs=None, unit="percent")
    return Table(space.name, {"made_up": metric}, ("made_up",), "accuracies made up from the number of parameters")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--table", help="accuracies of NAS-Bench-201 that zcfast import reads or wrote")
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()

    table = zcfast.table("nasbench201", arguments.table) if arguments.table else made_up()
    cells = zcfast.space("nasbench201").sample_distinct(arguments.cells, torch.Generator().manual_seed(0))
    scores = zcfast.score_space("nasbench201", ["expected_synflow", "params", "flops"], cells=cells)
    for row in analysis.summary(scores, table, resamples=100).to_pylist():
        low, high = row["spearman_low"], row["spearman_high"]
        print(f"{row['metric']:>16} {row['score']:>16}: Spearman {row['spearman']:.3f} ({low:.3f} to {high:.3f})")
    if arguments.out:
        arguments.out.write_text(report.html(scores, table), encoding="utf-8")
        print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
