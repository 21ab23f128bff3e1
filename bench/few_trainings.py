"""How good the picks of a predictor from few trainings are, as Markdown; docs/design.md has the output.

    python -m bench.few_trainings [draws]

Needs the accuracies and latencies of tests/shared.py. One thread; minutes.
"""

import sys

import numpy as np
import torch
from torch import Tensor

import zcfast
from bench.picks import LATENCIES, QUANTILES, row
from tests.shared import DATA
from zcfast import analysis, search
from zcfast.analysis.regret import Limit

SIZES = (20, 100)


def lost(space: str, accuracies: Tensor, limits: list[Limit], size: int, draws: int) -> Tensor:
    """The regret of the first pick and the best of ten, the mean over limits and draws of so many trainings."""
    cells, found = zcfast.space(space).enumerate(), []
    for draw in range(draws):
        trained = torch.randperm(len(cells), generator=torch.Generator().manual_seed(1000 + draw))[:size]
        predictor = search.predictor(space, trained, accuracies[trained])

        def rule(rows: Tensor, predictor: search.Predictor = predictor) -> Tensor:
            return predictor.rank(predictor.space, cells[rows])

        found.append(analysis.regret(rule, accuracies, limits).mean)
    return torch.stack(found).mean(0)


def line(title: str, space: str, accuracies: Tensor, limits: list[Limit], draws: int) -> None:
    numbers = [lost(space, accuracies, limits, size, draws).tolist() for size in SIZES]
    row(title, *(f"{first:.2f} / {ten:.2f}" for first, ten in numbers))


def main(draws: int) -> None:
    row("trained", *SIZES)
    row("---", *["---:"] * len(SIZES))
    latency = np.load(DATA / "latency/nasbench201_ms.npz")
    table = zcfast.table("nasbench201", DATA / "nasbench201/accuracies.npz")
    limits = [(latency[device], float(ms)) for device, each in LATENCIES.items() for ms in each]
    for name in ("test_cifar10", "test_cifar100", "test_imagenet16"):
        line(f"NAS-Bench-201 {name}, 15 latency limits", "nasbench201", table[name], limits, draws)
    test = 100 * zcfast.table("nasbench101", DATA / "nasbench101/accuracies.npz")["test"]
    flops = zcfast.score_space("nasbench101", ["flops"])["flops"].double()
    limits = [(flops, float(np.quantile(flops.numpy(), q))) for q in QUANTILES]
    line("NAS-Bench-101 test, 4 FLOPs limits", "nasbench101", test, limits, draws)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*map(int, sys.argv[1:] or [5]))
