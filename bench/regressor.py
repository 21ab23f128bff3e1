"""What search by regression reaches on the benchmarks' real accuracies, as Markdown; docs/search.md has the output.

    python -m bench.regressor nasbench101 [runs]
    python -m bench.regressor nasbench201 [runs]

Needs the accuracies of tests/shared.py. One thread; minutes.
"""

import sys
import time

import torch
from torch import Tensor

import zcfast
from tests.shared import DATA
from zcfast import search

BUDGETS = (34, 50, 100, 150)
NOISE = 0.0025
TARGETS = {"test_cifar10": 94.37, "test_cifar100": 73.5, "test_imagenet16": 47.3}
BUDGETS_201 = {
    "random_search": 3000,
    "ageing_evolution": 3000,
    "reinforce": 1000,
    "binary_predictor": 100,
    "regressor": 100,
}


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def spread(values: Tensor, form: str = ".4f") -> str:
    """Median (quartiles; worst); a run that never reaches its target counts as infinite."""
    ordered = values.nan_to_num(nan=torch.inf).sort().values
    worst = ordered[-1] if form == ".0f" else ordered[0]
    low, median, high = (ordered[round((len(ordered) - 1) * q)].item() for q in (0.25, 0.5, 0.75))
    text = f"{median:{form}} ({low:{form}}-{high:{form}}; {worst.item():{form}})"
    return text.replace("inf", "never")


def nasbench101(runs: int) -> None:
    """Mean test accuracy of the best so far, searching on that mean one or five at a time, and on it with noise."""
    accuracies = zcfast.table("nasbench101", DATA / "nasbench101/accuracies.npz")["test"]
    row("search on", "asked at once", "chosen by", *BUDGETS, "s a run")
    row(*["---"] * (4 + len(BUDGETS)))
    for noise, batch in ((0.0, 1), (0.0, 5), (NOISE, 1)):
        algorithm = search.regressor()
        state, started = algorithm.init("nasbench101", runs=runs), time.process_time()
        generator = torch.Generator().manual_seed(0)
        found: dict[str, list[Tensor]] = {"accuracy": [], "posterior mean": []}
        asked: list[Tensor] = []
        for number in range(1, max(BUDGETS) + 1):
            if not asked:
                for _ in range(batch):
                    rows, state = algorithm.ask(state)
                    asked.append(rows)
            rows = asked.pop(0)
            drawn = torch.randn(runs, generator=generator, dtype=torch.float64)
            state = algorithm.tell(state, rows, accuracies[rows] + noise * drawn)
            if number in BUDGETS:
                known = state.accuracies.nan_to_num(-torch.inf)
                best = state.rows.gather(1, known.argmax(1, keepdim=True))[:, 0]
                found["accuracy"].append(accuracies[best])
                found["posterior mean"].append(accuracies[algorithm.incumbent(state)])
        seconds = (time.process_time() - started) / runs
        for chosen, values in found.items():
            kind = "the mean" if noise == 0 else f"the mean + N(0, {noise})"
            row(kind, batch, chosen, *map(spread, values), f"{seconds:.1f}")


def nasbench201(runs: int) -> None:
    """Trainings until the mean test accuracy reaches a target, searching on it, beside the paper's algorithms."""
    table = zcfast.table("nasbench201", DATA / "nasbench201/accuracies.npz")
    synflow = zcfast.score_space("nasbench201", ["expected_synflow"])["expected_synflow"]
    whole = len(synflow)
    algorithms = search.paper_algorithms(synflow, 3000) | {
        "sorted by expected synflow": search.warmup(search.random_search(), synflow, whole),
        "regressor": search.regressor(),
        "regressor + warm-up": search.warmup(search.regressor(), synflow, 3000),
        "regressor + warm-up with all": search.warmup(search.regressor(), synflow, whole),
        "regressor(first=5) + warm-up with all": search.warmup(search.regressor(first=5), synflow, whole),
    }
    row("algorithm", *(f"{metric} {target}" for metric, target in TARGETS.items()))
    row(*["---"] * (1 + len(TARGETS)))
    for name, algorithm in algorithms.items():
        reached = []
        for metric, target in TARGETS.items():
            # With all cells as warm-up and as candidates nothing is random: one run says it all.
            count = 1 if algorithm.initial is not None and algorithm.initial.amount == whole else runs
            budget = BUDGETS_201[algorithm.name]
            made = search.run(algorithm, "nasbench201", table, budget=budget, runs=count, objective=metric)
            reached.append(spread(made.trainings_to(target), ".0f"))
        row(name, *reached)


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"nasbench101": nasbench101, "nasbench201": nasbench201}[sys.argv[1]](*map(int, sys.argv[2:] or [11]))
