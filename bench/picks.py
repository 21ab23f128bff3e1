"""How good the picks of each score are, on real accuracies, as Markdown; docs/design.md has the output.

    python -m bench.picks

Needs the accuracies and latencies of tests/shared.py. One thread; under a minute.
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor

import zcfast
from bench.transnas import micro as transnas_micro
from tests.shared import DATA
from zcfast import analysis
from zcfast.analysis.regret import Limit, Rule
from zcfast.expected.path_rank import path_rank

# Limits of each device, in ms, under which others have published their picks.
LATENCIES = {
    "eyeriss": (3.9, 5.1, 9.1),
    "fpga": (3.8, 4.7, 7.4),
    "gold_6226": (8.0, 10.7, 14.3),
    "titan_rtx_256": (17.8, 18.9, 24.2),
    "pixel2": (14, 18, 25),
}
QUANTILES = (0.1, 0.25, 0.5, 0.75)
Rules = dict[str, Rule]


def rules(columns: dict[str, Tensor]) -> Rules:
    """Each score as a function of the rows among which it ranks."""
    statistics = {name: column for name, column in columns.items() if name.startswith("path_")}

    def ranked(rows: Tensor, version: int) -> Tensor:
        return path_rank({name: column[rows] for name, column in statistics.items()}, version)["path_rank"]

    def column(rows: Tensor, name: str) -> Tensor:
        return columns[name].double()[rows].round(decimals=6)  # twins differ in the last bits

    return {
        "path_rank": partial(ranked, version=2),
        "path_rank, version 1": partial(ranked, version=1),
        **{name: partial(column, name=name) for name in ("expected_synflow", "params", "flops")},
        "a random pick": lambda rows: torch.zeros(len(rows)),
    }


def row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def table(title: str, scores: Rules, accuracies: Tensor, limits: dict[str, Limit], digits: int = 2) -> None:
    """A line a limit, the first pick and the best of ten of every score."""
    print(f"\n{title}: points of accuracy lost, first pick / best of ten\n")
    row("limit", "architectures", *scores)
    row("---", *["---:"] * (1 + len(scores)))
    found = {name: analysis.regret(rule, accuracies, [*limits.values()]) for name, rule in scores.items()}
    sizes = next(iter(found.values())).rows.tolist()
    for place, name in enumerate(limits):
        row(name, f"{sizes[place]:,}", *(_pair(each.each[place], digits) for each in found.values()))
    row("**mean**", "", *(f"**{_pair(each.mean, digits)}**" for each in found.values()))
    everything = {name: analysis.regret(rule, accuracies) for name, rule in scores.items()}
    row("none", f"{len(accuracies):,}", *(_pair(each.each[0], digits) for each in everything.values()))


def _pair(numbers: Tensor, digits: int) -> str:
    return " / ".join(f"{number:.{digits}f}" for number in numbers.tolist())


def correlations(title: str, scores: Rules, accuracies: dict[str, Tensor]) -> None:
    """Spearman over all architectures."""
    print(f"\n{title}\n")
    row("Spearman", *list(scores)[:-1])
    row("---", *["---:"] * (len(scores) - 1))
    for name, column in accuracies.items():
        given = [rule(torch.arange(len(column))) for rule in list(scores.values())[:-1]]
        row(name, *(f"{analysis.spearman(each, column):.3f}" for each in given))


def nasbench201(columns: dict[str, Tensor]) -> None:
    latency = np.load(DATA / "latency/nasbench201_ms.npz")
    known = zcfast.table("nasbench201", DATA / "nasbench201/accuracies.npz")
    names = ("test_cifar10", "test_cifar100", "test_imagenet16")
    limits = {f"{d} {ms} ms": (latency[d], float(ms)) for d, each in LATENCIES.items() for ms in each}
    correlations("NAS-Bench-201, all 15,625", rules(columns), {name: known[name] for name in names})
    for name in names:
        table(f"NAS-Bench-201 {name}", rules(columns), known[name], limits)


def nasbench101() -> None:
    columns = zcfast.score_space("nasbench101", ["path_statistics", "expected_synflow", "params", "flops"]).columns
    test = zcfast.table("nasbench101", DATA / "nasbench101/accuracies.npz")["test"]
    flops = columns["flops"].double()
    limits = {f"FLOPs up to quantile {q}": (flops, float(np.quantile(flops.numpy(), q))) for q in QUANTILES}
    correlations("NAS-Bench-101, all 423,624", rules(columns), {"test": test})
    table("NAS-Bench-101 test", rules(columns), 100 * test, limits)


def transnas(columns: dict[str, Tensor]) -> None:
    """The 4,096 cells of the micro space, which are those of NAS-Bench-201 without pools; sizes are that network's."""
    rows, reached = transnas_micro()
    for task, accuracies in reached.items():
        chosen = rules({name: column[rows] for name, column in columns.items()})
        flops = columns["flops"][rows].double()
        limits = {f"FLOPs up to quantile {q}": (flops, float(np.quantile(flops.numpy(), q))) for q in QUANTILES}
        correlations(f"TransNAS-Bench-101 micro, {task}, {len(rows):,}", chosen, {task: accuracies})
        table(f"TransNAS-Bench-101 micro {task}", chosen, accuracies, limits)


if __name__ == "__main__":
    torch.set_num_threads(1)
    whole = zcfast.score_space("nasbench201", ["path_statistics", "expected_synflow", "params", "flops"]).columns
    nasbench201(whole)
    nasbench101()
    transnas(whole)
