"""Sizes of MobileNetV2-like networks, and what design adds to a bare loop of scores: python -m bench.bench_design"""

import argparse
import sys
import time
from pathlib import Path

import torch

import zcfast
from zcfast.spaces import Sizes

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))


def timed(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--architectures", type=int, default=64)
    count = parser.parse_args().architectures
    torch.set_num_threads(1)
    from design_mobilenet import space

    cells = space.sample_distinct(count, torch.Generator().manual_seed(1))
    sizes = space.capability(Sizes)
    design = timed(lambda: zcfast.design(space, by="params", limits={"flops": 450e6}, evaluations=count))
    bare = timed(lambda: [(sizes.params(cells[row]), sizes.flops(cells[row])) for row in range(count)])
    print(f"sizes of {count}: {bare / count * 1e3:.1f} ms each, by design {design / count * 1e3:.1f} ms")

    def loop():
        example = space.example.inputs, space.example.targets
        for row in range(8):
            zcfast.score(space.build(cells[row], generator=torch.Generator().manual_seed(row)), example, ["grad_norm"])

    few = zcfast.spaces.of(
        {text: lambda text=text: space.build(text) for text in cells[:8].texts}, example=space.example
    )
    scored = timed(lambda: zcfast.design(few, by="grad_norm"))
    plain = timed(loop)
    print(f"grad_norm of 8: {plain / 8 * 1e3:.0f} ms each, by design, sizes included, {scored / 8 * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
