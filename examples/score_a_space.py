"""Score a whole search space in closed form, draw its best cell and build that as a network.

Run: python examples/score_a_space.py [--space nasbench201] [--cells 15625]
"""

import argparse

import torch

import zcfast


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--space", default="nasbench201")
    parser.add_argument("--cells", type=int, help="score a random sample of this size in place of all")
    arguments = parser.parse_args()

    space = zcfast.space(arguments.space)
    cells = space.enumerate()
    if arguments.cells:
        cells = space.sample_distinct(arguments.cells, torch.Generator().manual_seed(0))
    scores = zcfast.score_space(space, ["path_rank", "params", "flops"], cells=cells)

    best = scores.top(3, by="path_rank")
    print(f"{len(scores):,} cells of {space.title}; the best by path_rank:")
    for row, name in zip(best.tolist(), space.format(scores.cells[best]), strict=True):
        print(f"  {scores['path_rank'][row]:.3f}  {scores['params'][row]:,} parameters  {name}")

    module = space.build(scores.cells[best[0]])
    count = sum(parameter.numel() for parameter in module.parameters())
    print(f"the best as a network: {count:,} parameters")


if __name__ == "__main__":
    main()
