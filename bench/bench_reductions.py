"""The reductions beside what they replace, in one process on the same tensors.

`pytest bench/bench_reductions.py` for statistics, `python bench/bench_reductions.py [threads]` for a table of ratios
from interleaved repeats. Memory-bound cases also show their share of the bandwidth of torch.sum over as many bytes.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from zcfast import ops

KINDS = ("abs_product", "product", "square")
Compute = Callable[[], object]


@dataclass(frozen=True)
class Case:
    name: str
    ours: Compute
    rivals: dict[str, Compute] = field(default_factory=dict)
    plain_sum: Compute | None = None  # torch.sum over the bytes that ours reads


def resnet50_weights() -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = [(64, 3, 7, 7)]
    inputs = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            shapes += [(width, inputs, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)]
            shapes += [(4 * width, inputs, 1, 1)] if block == 0 else []
            inputs = 4 * width
    return [*shapes, (1000, inputs)]


def saliency_loop(weights: list[torch.Tensor], grads: list[torch.Tensor]) -> object:
    return [((w * g).abs().sum(), (w * g).sum(), g.square().sum()) for w, g in zip(weights, grads, strict=True)]


def saliency_foreach(weights: list[torch.Tensor], grads: list[torch.Tensor]) -> object:
    products = torch._foreach_mul(weights, grads)
    sums = [p.sum() for p in products]
    return torch._foreach_norm(products, 1), sums, torch._foreach_norm(grads, 2)


def saliency_cases() -> Iterator[Case]:
    for dtype, channels_last in ((torch.float32, False), (torch.float32, True), (torch.bfloat16, False)):
        weights, grads = ([torch.randn(shape).to(dtype) for shape in resnet50_weights()] for _ in range(2))
        if channels_last:
            weights, grads = (
                [t.to(memory_format=torch.channels_last) if t.dim() == 4 else t for t in tensors]
                for tensors in (weights, grads)
            )
        # float32 whatever the dtype: the fastest sum there is
        flat = torch.randn(2 * sum(w.numel() for w in weights) * weights[0].element_size() // 4)
        layout = ", channels_last" if channels_last else ""
        yield Case(
            f"saliency_reduce, 3 kinds, 25.5 M parameters, {str(dtype).removeprefix('torch.')}{layout}",
            lambda weights=weights, grads=grads: ops.saliency_reduce(weights, grads, KINDS),
            {
                "per-layer loop": lambda weights=weights, grads=grads: saliency_loop(weights, grads),
                "torch._foreach": lambda weights=weights, grads=grads: saliency_foreach(weights, grads),
            },
            lambda flat=flat: flat.sum(),
        )


def fisher_published(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    per_image = (activation * gradient).sum(list(range(2, activation.dim())))
    return per_image.pow(2).mean(0).mul(0.5)


def fisher_channel_loop(activation: torch.Tensor, gradient: torch.Tensor) -> object:
    products = ((activation[:, c] * gradient[:, c]).flatten(1) for c in range(activation.shape[1]))
    return [product.sum(1).pow(2).mean().mul(0.5) for product in products]


def fisher_cases() -> Iterator[Case]:
    shapes = ((64, 16, 32, 32), (64, 32, 16, 16), (64, 64, 8, 8), (64, 64, 32, 32), (16, 256, 16, 16), (16, 512, 4, 4))
    for shape in shapes:
        for layout in (torch.contiguous_format, torch.channels_last):
            pair = [torch.randn(shape).to(memory_format=layout) for _ in range(2)]
            flat = torch.randn(2 * pair[0].numel())
            yield Case(
                f"fisher_reduce, {list(shape)}, {str(layout).removeprefix('torch.')}",
                lambda pair=pair: ops.fisher_reduce(*pair, 1),
                {
                    "published expression": lambda pair=pair: fisher_published(*pair),
                    "per-channel loop": lambda pair=pair: fisher_channel_loop(*pair),
                },
                lambda flat=flat: flat.sum(),
            )


def jacobian_eigenvalues(jacobian: np.ndarray, eigenvalues_of: Callable[[np.ndarray], np.ndarray]) -> object:
    shifted = eigenvalues_of(np.corrcoef(jacobian)) + 1e-5
    return -np.sum(np.log(shifted) + 1 / shifted)


def jacobian_cases() -> Iterator[Case]:
    for rows in (64, 128, 256, 512):
        jacobian = torch.randn(rows, 3072)
        array = jacobian.numpy()
        yield Case(
            f"jacobian_correlation, N = {rows}, D = 3072",
            lambda jacobian=jacobian: ops.jacobian_correlation(jacobian),
            {
                "corrcoef + eig": lambda array=array: jacobian_eigenvalues(array, lambda c: np.linalg.eig(c)[0]),
                "corrcoef + eigvalsh": lambda array=array: jacobian_eigenvalues(array, np.linalg.eigvalsh),
            },
        )


def cases() -> Iterator[Case]:
    torch.manual_seed(0)
    yield from saliency_cases()
    yield from fisher_cases()
    yield from jacobian_cases()


def contestants(case: Case) -> dict[str, Compute]:
    plain_sum = {"plain sum": case.plain_sum} if case.plain_sum else {}
    return {"zcfast": case.ours, **case.rivals, **plain_sum}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    named = [(case.name, name, compute) for case in cases() for name, compute in contestants(case).items()]
    metafunc.parametrize(("group", "compute"), [(g, c) for g, _, c in named], ids=[f"{g}: {n}" for g, n, _ in named])


def test_reductions(benchmark, group: str, compute: Compute) -> None:
    benchmark.group = group
    benchmark(compute)


def milliseconds(case: Case, least_rounds: int = 9, least_seconds: float = 1.0) -> dict[str, list[float]]:
    """Times of every contestant, one after the other in each round so that noise meets all alike.

    An untimed call before each leaves to all the same caches: their own data in them, as far as it fits.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants(case)}
    end = time.perf_counter() + least_seconds
    while len(times["zcfast"]) < least_rounds or time.perf_counter() < end:
        for name, compute in contestants(case).items():
            compute()
            start = time.perf_counter()
            compute()
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads; milliseconds, ratio to zcfast: minimum (median)"
    )
    for case in cases():
        print(case.name)
        times = milliseconds(case)
        for name, values in times.items():
            least = min(values) / min(times["zcfast"])
            median = statistics.median(values) / statistics.median(times["zcfast"])
            share = "  <- share of its bandwidth" if name == "plain sum" else ""
            print(f"  {name:22} {min(values):10.3f} ms  {least:6.2f} ({median:.2f}){share}")


if __name__ == "__main__":
    main()
