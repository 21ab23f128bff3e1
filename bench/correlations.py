"""How well each proxy ranks trained networks, beside what it costs, as Markdown; docs/proxies.md has the output.

    zcfast score nasbench201 --proxies naswot,meco --sample 300 --images cifar10_1000.npz --seed 0 --out a.parquet
    python -m bench.correlations COSTS.json a.parquet b.parquet ...

The files are of one space; each may have other columns, minibatches and architectures. COSTS.json is measured where it
is not there: processor time of one thread, of the first three architectures of the first file, each proxy alone, in
units of one forward and backward pass of 32 pictures in plain PyTorch.
"""

import itertools
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

import zcfast
from tests.shared import DATA
from zcfast import analysis
from zcfast.order import log_rank_sum
from zcfast.proxies import registered
from zcfast.proxies.populations import populations

IMAGES = DATA / "images/cifar10_1000.npz"
UNIT = 32  # pictures
MEASURED = 3  # architectures
METRICS = {"nasbench201": ("test_cifar10", "test_cifar100", "test_imagenet16"), "nasbench101": ("test",)}
FORMS = ("params", "flops", "expected_synflow", "path_rank")
CHEAP = (
    *("naswot", "logsynflow", "meco", "meco_opt", "zico", "wrcor", "jacob_cov", "epe_nas", "synflow", "snip"),
    *("l2_norm", "depth", "vkdnw_dim", "params"),
)
# Sums of ln(rank / N), named before these architectures were scored.
SETS: dict[str, tuple[str, ...]] = {
    **{name: each.of for name, each in populations().items()},
    "logsynflow + meco_opt": ("logsynflow", "meco_opt"),
    "naswot + logsynflow + meco_opt": ("naswot", "logsynflow", "meco_opt"),
    "naswot + logsynflow + jacob_cov": ("naswot", "logsynflow", "jacob_cov"),
    # Best of a half, see `halves`.
    "logsynflow + meco + jacob_cov": ("logsynflow", "meco", "jacob_cov"),
}
Files = list[zcfast.Scores]


def process_time(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def columns(files: Files) -> dict[str, tuple[Tensor, Tensor, int]]:
    """Of each score its column [all of the space], NaN where there is none, where it was made, and its minibatch."""
    found: dict[str, tuple[Tensor, Tensor, int]] = {}
    for scores in files:
        index, size = scores.keys(), scores.provenance.options["images"]["batch_size"]
        for name, column in scores.columns.items():
            whole = torch.full((len(scores.space),), math.nan, dtype=torch.float64)
            whole[index] = column.double()
            made = torch.zeros(len(whole), dtype=torch.bool)
            made[index] = True
            found.setdefault(name.partition("(")[0], (whole, made, size))  # as few rounds as a file has
    return found


def costs(path: Path, files: Files) -> dict[str, float]:
    """Units that each score takes; what is not in the file is measured and written to it."""
    known: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    space, cells = files[0].space, files[0].cells[:MEASURED]
    network = files[0].provenance.options["network"]
    plain_names = {name for scores in files for name in scores.columns if name in registered()}
    wanted = {name: ([name], size) for name, (_, _, size) in columns(files).items() if name in plain_names}
    for name, parts in SETS.items():
        if wanted.keys() >= {*parts} - {"flops"}:
            wanted[name] = ([*parts], max(wanted[part][1] for part in parts if part != "flops"))
    missing = {name: each for name, each in wanted.items() if f"{space.name} {name}" not in known}
    units: dict[str, list[float]] = {name: [] for name in missing}
    for row in range(len(cells) if missing else 0):
        net = space.build(cells[[row]], generator=torch.Generator().manual_seed(row), **network).train()
        x, y = zcfast.load_images(IMAGES, UNIT, 0)
        weights = list(net.parameters())
        plain = min(
            process_time(lambda: torch.autograd.grad(F.cross_entropy(net(x), y), weights))  # noqa: B023
            for _ in range(2)
        )
        for name, (proxies, size) in missing.items():
            batch = zcfast.load_images(IMAGES, size, 0)
            units[name].append(process_time(lambda: zcfast.score(net, batch, proxies)) / plain)  # noqa: B023
            print(f"{row} {name} {units[name][-1]:.2f} units of {plain:.2f} s", file=sys.stderr, flush=True)
    known |= {f"{space.name} {name}": statistics.mean(each) for name, each in units.items()}
    path.write_text(json.dumps(known, indent=1))
    return known


def subsets(space: str) -> dict[str, Tensor]:
    """The sets of architectures that are told apart, as bool [all of the space]."""
    if space != "nasbench201":
        return {"all": torch.ones(len(zcfast.space(space)), dtype=torch.bool)}
    reachable = torch.from_numpy(np.load(DATA / "nasbench201/reachable_9445.npy"))
    return {"all": torch.ones_like(reachable), "reachable": reachable}


def within(parts: list[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of a subset that have all parts, and their score: one column, or the sum of several's ranks."""
    index = (rows & ~torch.stack(parts).isnan().any(0)).nonzero()[:, 0]
    held = [part[index] for part in parts]
    return index, held[0] if len(held) == 1 else log_rank_sum(held)


def print_row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def number(value: float, digits: int = 3) -> str:
    """As printed in papers: without the zero before the point."""
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


def correlation(scores: Tensor, accuracies: Tensor, sampled: bool) -> str:
    """Spearman, of a sample with its interval."""
    if not sampled:
        return number(analysis.spearman(scores, accuracies))
    found = analysis.bootstrap(analysis.spearman, scores, accuracies)
    return f"{number(found.estimate)} ({number(found.low, 2)} to {number(found.high, 2)})"


def candidates(files: Files, forms: dict[str, Tensor]) -> dict[str, list[Tensor]]:
    """Each score, as what it is the sum of ranks of: one that is undefined ranks last there."""
    found = columns(files)
    chosen = {name: [column] for name, (column, _, _) in found.items()}
    last = {
        name: column.nan_to_num(-math.inf, math.inf).where(made, math.nan) for name, (column, made, _) in found.items()
    }
    for name, parts in SETS.items():
        if last.keys() >= {*parts} - {"flops"}:
            chosen[name] = [last[part] if part in last else forms[part].double() for part in parts]
    return chosen


def main(costs_path: str, *paths: str) -> None:
    torch.set_num_threads(1)
    files = [zcfast.Scores.load(path) for path in paths]
    space, units = files[0].space.name, costs(Path(costs_path), files)
    known = zcfast.table(space, DATA / space / "accuracies.npz")
    percent = 100 if space == "nasbench101" else 1
    truth = {name: known[name].double() * percent for name in METRICS[space]}
    forms, sets = zcfast.score_space(space, list(FORMS)).columns, subsets(space)
    chosen, sizes = candidates(files, forms), {name: size for name, (_, _, size) in columns(files).items()}
    print_row("proxy", "pictures", *(f"{each}: rows | " + " | ".join(truth) for each in sets), "units")
    print_row("---", "---:", *["---:"] * (len(sets) * (1 + len(truth))), "---:")
    for name, parts in {**chosen, **{f"{each}, whole space": [forms[each].double()] for each in FORMS}}.items():
        cells: list[object] = []
        for rows in sets.values():
            index, values = within(parts, rows)
            cells += [f"{len(index):,}", *(correlation(values, each[index], name in chosen) for each in truth.values())]
        unit = units.get(f"{space} {name}")
        print_row(f"`{name}`", sizes.get(name, ""), *cells, "" if unit is None else f"{unit:.2f}")
    aggregates(chosen, sets, truth)
    halves(files, truth)


def aggregates(chosen: dict[str, list[Tensor]], sets: dict[str, Tensor], truth: dict[str, Tensor]) -> None:
    """Kendall and nDCG of sums of ranks; 1,000 of the whole subset are so many of a sample."""
    for subset, rows in sets.items():
        print(f"\nKendall / nDCG, {subset}\n")
        for name in [name for name in SETS if name in chosen]:
            index, values = within(chosen[name], rows)
            k = max(1, round(1000 * len(index) / int(rows.sum())))
            cells = [
                f"{number(analysis.kendall(values, each[index]))} / {number(analysis.ndcg(values, each[index], k))}"
                for each in truth.values()
            ]
            print_row(f"`{name}`", len(index), *cells)


def halves(files: Files, truth: dict[str, Tensor]) -> None:
    """The sum of one to three cheap scores' ranks that is best on one half of a file, judged on the other."""
    index = files[0].keys()
    known = {name.partition("(")[0]: column.double() for name, column in files[0].columns.items()}
    held = {name: known[name].nan_to_num(-math.inf) for name in CHEAP if name in known}
    first = torch.arange(len(index)) < len(index) // 2

    def mean(names: tuple[str, ...], rows: Tensor) -> list[float]:
        values = log_rank_sum([held[name][rows] for name in names])
        return [analysis.spearman(values, each[index[rows]]) for each in truth.values()]

    sums = [names for count in (1, 2, 3) for names in itertools.combinations(held, count)]
    best = max(sums, key=lambda names: statistics.mean(mean(names, first)))
    print(f"\nOf {len(sums)} sums the best on one half, and its parts, on the other\n")
    for names in (best, *((name,) for name in best)):
        on_first, on_other = (statistics.mean(mean(names, rows)) for rows in (first, ~first))
        print_row(" + ".join(names), number(on_first), number(on_other), *map(number, mean(names, ~first)))


if __name__ == "__main__":
    main(*sys.argv[1:])
