"""Print the tables of docs/search.md: the paper's algorithms on both benchmarks under one protocol.

    python -m bench.compare_search DATA [--runs 100] [--predictor-runs 32]

DATA holds nasbench101/accuracies.npz and nasbench201/accuracies.npz.
"""

import argparse
from pathlib import Path

import zcfast
from zcfast import search

PROTOCOLS = (
    ("nasbench201", "valid_cifar10", "test_cifar10", 94.37),
    ("nasbench201", "valid_cifar100", "test_cifar100", 73.5),
    ("nasbench201", "valid_imagenet16", "test_imagenet16", 47.3),
    ("nasbench101", "test", "test", 0.94),
)
TRAININGS = (10, 34, 50, 100, 150, 300)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--predictor-runs", type=int, default=32)
    parser.add_argument("--predictor-budget", type=int, default=100)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    for space, objective, report, target in PROTOCOLS:
        table = zcfast.table(space, options.data / space / "accuracies.npz")
        scores = zcfast.score_space(space, ["expected_synflow"])["expected_synflow"]
        print(f"\n{space}, {objective} to choose, {report} to show, warm-up and moves by expected_synflow\n")
        print("| algorithm | runs |", " | ".join(map(str, TRAININGS)), f"| {target:g} reached | trainings |")
        print("|---|---:|" + "---:|" * (len(TRAININGS) + 2))
        for name, algorithm in search.paper_algorithms(scores).items():
            if options.only not in name:
                continue
            slow = name.startswith("binary_predictor")
            runs, budget = (options.predictor_runs, options.predictor_budget) if slow else (options.runs, 300)
            protocol = {"budget": budget, "runs": runs, "objective": objective, "report": report}
            show(search.compare({name: algorithm}, space, table, **protocol), budget, target)


def show(trajectories, budget, target):
    digits = 4 if target < 1 else 2
    counts = [count for count in TRAININGS if count <= budget]
    rows = search.quartiles_by_trainings(trajectories, counts).to_pylist()
    (reached,) = search.trainings_to_target(trajectories, target).to_pylist()
    cells = [
        f"{row['median']:.{digits}f} ({row['lower_quartile']:.{digits}f}, {row['upper_quartile']:.{digits}f})"
        for row in rows
    ] + [""] * (len(TRAININGS) - len(counts))
    median = "never" if reached["median"] is None else str(reached["median"])
    print(
        f"| {reached['algorithm']} | {reached['runs']} |",
        " | ".join(cells),
        f"| {reached['reached']} | {median} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
