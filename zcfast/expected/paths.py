"""What the paths through a cell are like, from vertex to vertex for a whole batch of cells at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

# What a link between two vertices does.
ABSENT, IDENTITY, CONV3X3, CONV1X1, POOL, PROJECTION = range(6)


@dataclass(frozen=True)
class Links:
    """N cells as operations on the links between V vertices, vertex 0 the input and vertex V - 1 the output.

    operations: int8 [V (V - 1) / 2, N], link u -> v (u < v) at u + v (v - 1) / 2; every present one lies on a path from
    input to output. weights: float64 [V - 1, N], the fraction of the output's channels that each vertex's link to the
    output fills.
    """

    operations: Tensor
    weights: Tensor

    @classmethod
    def on_paths(cls, operations: Tensor, weights: Tensor) -> "Links":
        """The same without the links that lie on no path from input to output."""
        vertices = len(weights) + 1
        present = operations != ABSENT
        forward, backward = torch.zeros_like(present[:1]).repeat(2, vertices, 1).unbind()
        forward[0], backward[-1] = True, True
        for u, v in pairs(vertices):
            forward[v] |= forward[u] & present[slot(u, v)]
        for u, v in reversed(pairs(vertices)):
            backward[u] |= backward[v] & present[slot(u, v)]
        kept = operations.clone()
        for u, v in pairs(vertices):
            kept[slot(u, v)] *= forward[u] & backward[v]
        return cls(kept, weights)

    @property
    def vertices(self) -> int:
        """V."""
        return len(self.weights) + 1

    def into_output(self) -> Tensor:
        """The operations of the links into the output, int8 [V - 1, N]."""
        return self.operations[slot(0, self.vertices - 1) :]


def slot(source: int, target: int) -> int:
    """Where the link source -> target lies."""
    return source + target * (target - 1) // 2


def pairs(vertices: int) -> list[tuple[int, int]]:
    """The ends of all links, in the order of their slots."""
    return [(u, v) for v in range(1, vertices) for u in range(v)]


@dataclass(frozen=True)
class Paths:
    """Statistics over the paths from the input to one vertex; float64 [N] each.

    count: number of paths. variance: of the vertex's sum. Weighted means over the paths: ``relus`` of the number of
    ReLU layers and ``squared_relus`` of its square, ``conv3x3``, ``conv1x1``, ``pools`` of the number of each, ``gain``
    of the path's logarithmic gain; 0 where there is no path. Over all paths: ``shortest`` (inf without one) and
    ``longest`` number of ReLU layers, ``longest_conv3x3`` and ``longest_windows`` the most 3x3 convolutions, and 3x3
    convolutions and pools, on one (-inf without one).
    """

    count: Tensor
    variance: Tensor
    relus: Tensor
    squared_relus: Tensor
    conv3x3: Tensor
    conv1x1: Tensor
    pools: Tensor
    gain: Tensor
    shortest: Tensor
    longest: Tensor
    longest_conv3x3: Tensor
    longest_windows: Tensor


def to_output(links: Links) -> Paths:
    """The paths from input to output.

    The input has variance 1, and so has whatever a convolution or projection gives (BatchNorm); identity and pool pass
    the variance of their source on, and a vertex sums its sources. Read backwards from the output, a path picks each of
    a vertex's links with the probability of its part in the vertex's variance: the weight of a path is the product.
    """
    one = torch.ones(links.operations.shape[1], dtype=torch.float64, device=links.operations.device)
    zero = torch.zeros_like(one)
    reached = [Paths(one, one, *(zero,) * 10)]
    for v in range(1, links.vertices):
        operations = [links.operations[slot(u, v)] for u in range(v)]
        weights = list(links.weights) if v == links.vertices - 1 else [one] * v
        reached.append(_into_vertex(reached, operations, weights))
    return reached[-1]


def _into_vertex(reached: list[Paths], operations: list[Tensor], weights: list[Tensor]) -> Paths:
    """The paths to the vertex whose links have these operations, one from each of the vertices before it."""
    zero = torch.zeros_like(reached[0].count)
    steps = [_Step.of(operation) for operation in operations]
    sources = list(zip(reached, steps, strict=False))
    given = [
        weight * torch.where(step.resets, 1.0, source.variance) * step.present
        for (source, step), weight in zip(sources, weights, strict=False)
    ]
    variance = torch.stack(given).sum(0)
    shares = [part / torch.where(variance > 0, variance, 1.0) for part in given]

    def mean(values: list[Tensor]) -> Tensor:
        return sum((share * value for share, value in zip(shares, values, strict=True)), zero)

    def extreme(values: list[Tensor], sign: int) -> Tensor:
        """The most (sign 1) or fewest (-1) over the links that are there."""
        largest = torch.full_like(zero, -torch.inf)
        for value, step in zip(values, steps, strict=True):
            largest = torch.maximum(largest, torch.where(step.present, sign * value, -torch.inf))
        return sign * largest

    return Paths(
        count=sum((source.count * step.present for source, step in sources), zero),
        variance=variance,
        relus=mean([source.relus + step.relu for source, step in sources]),
        squared_relus=mean([s.squared_relus + step.relu * (2 * s.relus + 1) for s, step in sources]),
        conv3x3=mean([source.conv3x3 + step.conv3x3 for source, step in sources]),
        conv1x1=mean([source.conv1x1 + step.conv1x1 for source, step in sources]),
        pools=mean([source.pools + step.pool for source, step in sources]),
        gain=mean([torch.where(step.resets, s.gain - s.variance.log() / 2, s.gain) for s, step in sources]),
        shortest=extreme([source.shortest + step.relu for source, step in sources], -1),
        longest=extreme([source.longest + step.relu for source, step in sources], 1),
        longest_conv3x3=extreme([source.longest_conv3x3 + step.conv3x3 for source, step in sources], 1),
        longest_windows=extreme([s.longest_windows + step.conv3x3 + step.pool for s, step in sources], 1),
    )


@dataclass(frozen=True)
class _Step:
    """One link of every cell: whether it is there, whether it resets the variance, and what it adds to a path."""

    present: Tensor
    resets: Tensor
    relu: Tensor
    conv3x3: Tensor
    conv1x1: Tensor
    pool: Tensor

    @classmethod
    def of(cls, operation: Tensor) -> "_Step":
        resets = (operation == CONV3X3) | (operation == CONV1X1) | (operation == PROJECTION)
        kinds = (resets, operation == CONV3X3, operation == CONV1X1, operation == POOL)
        return cls(operation != ABSENT, resets, *(kind.double() for kind in kinds))
