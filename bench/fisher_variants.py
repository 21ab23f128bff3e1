"""What fisher's correlation with accuracy on NAS-Bench-201 depends on (docs/reproduction/README.md).

    python -m bench.fisher_variants DATA [ARCHITECTURES] [cifar10 | cifar100 | imagenet16]

The published code gives the convolutions of its cells a bias although BatchNorm follows; the benchmark does not, and
neither does zcfast. Every architecture that Table 1 draws is scored as it stands, not by its isomorphism class, with
weights of its own, without and with such biases. Two passes an architecture: 1.5 s on one core for 32 x 32 pictures.
"""

import math
import sys
from pathlib import Path

import torch
from torch import nn

import zcfast
from reproduction.benchmarks import NASBENCH201, Benchmark
from zcfast.analysis import bootstrap, spearman
from zcfast.proxies.fisher import Fisher
from zcfast.spaces.nasbench201.network import Cell
from zcfast.tables import load

BATCH_SIZE = 64
PROXIES = (Fisher(), Fisher(weighting="channel"), Fisher(aggregation="elementwise"))


def add_biases(network: nn.Module, generator: torch.Generator) -> None:
    """Give the convolutions of the cells biases as PyTorch draws them."""
    for cell in network.modules():
        for layer in cell.modules() if isinstance(cell, Cell) else ():
            if isinstance(layer, nn.Conv2d):
                bound = 1 / math.sqrt(layer.weight[0].numel())
                layer.bias = nn.Parameter(torch.empty(len(layer.weight)).uniform_(-bound, bound, generator=generator))


def main(data: Path, count: int, benchmark: Benchmark) -> None:
    space = zcfast.space(benchmark.space)
    batch = zcfast.load_images(data / benchmark.images, BATCH_SIZE, 0)
    cells = space.sample_distinct(count, torch.Generator().manual_seed(0))
    indices = space.index(cells)
    columns: dict[str, list[float]] = {}
    for row, index in enumerate(indices.tolist()):
        generator = torch.Generator().manual_seed(index)
        network = space.build(cells[row], generator=generator, **benchmark.network)
        for biases in ("no biases", "biases"):
            if biases == "biases":
                add_biases(network, generator)
            for name, score in zcfast.score(network, (batch.inputs, batch.targets), PROXIES).items():
                columns.setdefault(f"{biases}, {name}", []).append(score.value)
    table = load(benchmark.space, data / benchmark.table)
    for metric in (benchmark.accuracy, *benchmark.others):
        print(f"{benchmark.title}, Spearman's correlation with {metric}, {count} architectures")
        for name, values in columns.items():
            found = bootstrap(spearman, torch.tensor(values, dtype=torch.float64), table[metric][indices])
            print(f"  {name:50} {found.estimate:.3f} ({found.low:.3f} to {found.high:.3f})")


if __name__ == "__main__":
    chosen = sys.argv[3] if len(sys.argv) > 3 else "cifar10"
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]) if len(sys.argv) > 2 else 1500,
        next(each for each in NASBENCH201 if each.name == f"nasbench201-{chosen}"),
    )
