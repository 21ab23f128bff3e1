"""Whole calls of `zcfast.score` beside the published scheme in plain PyTorch: the same nets, numbers and process.

    python -m bench.bench_score [ROUNDS]

One thread, processor time, minimum of the rounds, five times as many for synflow, which includes building the net: by
PyTorch's constructors in the published scheme, by `space.build` in ours and, in the last column, in both. The values of
both are compared first: equal up to float32's rounding, which nets of many BatchNorms amplify.
"""

import math
import statistics
import sys
import time
from collections.abc import Callable

import torch

import zcfast
from bench import published
from bench.nets import SUBJECTS, Subject
from zcfast.spaces import space

SIX = ["grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov"]
WITHOUT_GRASP = [name for name in SIX if name != "grasp"]


def seconds(run: Callable[[], object]) -> float:
    """Of the processor: one thread computes, and other processes of the machine do not count."""
    start = time.process_time()
    run()
    return time.process_time() - start


def fastest(rounds: int, **runs: Callable[[], object]) -> dict[str, float]:
    """The minimum of each, taken in turns so that a busy moment meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(seconds(run))
    return {name: min(values) for name, values in times.items()}


def gemm_rate() -> float:
    """Multiply-adds a second of a large float32 product on this machine now."""
    a = torch.randn(1024, 1024)
    return 1024**3 / min(seconds(lambda: a @ a) for _ in range(10))


def differences(subject: Subject) -> dict[str, float]:
    net, batch = subject.build(), subject.minibatch()
    theirs = published.score(net, batch, SIX)
    ours = zcfast.score(net, batch, SIX)
    return {name: abs(ours[name].value / theirs[name] - 1) for name in SIX}


def measure(subject: Subject, rounds: int) -> dict[str, float]:
    net, batch = subject.build(), subject.minibatch()
    times = fastest(
        rounds,
        theirs=lambda: published.score(net, batch, SIX),
        theirs_without=lambda: published.score(net, batch, WITHOUT_GRASP),
        ours=lambda: zcfast.score(net, batch, SIX),
        ours_without=lambda: zcfast.score(net, batch, WITHOUT_GRASP),
    )
    synflow = fastest(
        5 * rounds,  # it is short, so a collection of garbage in one round would show
        theirs=lambda: published.score(published.constructed(net), batch, ["synflow"]),
        theirs_same=lambda: published.score(subject.build(), batch, ["synflow"]),
        ours=lambda: zcfast.score(subject.build(), batch, ["synflow"]),
    )
    return {
        "six": times["theirs"] / times["ours"],
        "without grasp": times["theirs_without"] / times["ours_without"],
        "synflow": synflow["theirs"] / synflow["ours"],
        "same builder": synflow["theirs_same"] / synflow["ours"],
        "seconds": times["ours"],
        "share": multiply_adds(subject) / times["ours"],
    }


def multiply_adds(subject: Subject) -> float:
    """Of one forward and one backward pass of the minibatch, which is the least that the six proxies take."""
    if subject.group == "torch":
        return math.nan
    each = space(subject.group)
    return 3 * subject.batch_size * each.flops(each.parse(subject.architecture)).item()


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    rate = gemm_rate()
    print(f"float32 product: {rate / 1e9:.1f} GMAC/s; times of the published scheme / ours, {rounds} rounds")
    columns = ("six", "without grasp", "synflow", "same builder")
    print(f"{'net':28}" + "".join(f"{name:>15}" for name in columns) + f"{'s, six':>10}{'of GEMM':>9}{'max diff':>10}")
    rows = []
    for subject in SUBJECTS:
        worst = max(differences(subject).values())
        row = measure(subject, rounds)
        rows.append(row)
        ratios = "".join(f"{row[name]:15.2f}" for name in columns)
        print(f"{subject.name:28}{ratios}{row['seconds']:10.2f}{row['share'] / rate:9.0%}{worst:10.0e}", flush=True)
    means = [statistics.geometric_mean([row[c] for row in rows]) for c in columns]
    print(f"{'geometric mean':28}" + "".join(f"{mean:15.2f}" for mean in means))


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["3"])[0]))
