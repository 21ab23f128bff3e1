"""The path statistics of one cell from a list of all its paths: the slow truth."""

import itertools
import math
from dataclasses import dataclass

CONVOLUTIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "nor_conv_3x3", "nor_conv_1x1", "projection")
POOLS = ("maxpool3x3", "avg_pool_3x3")


@dataclass(frozen=True)
class Layer:
    """A layer of the cell: its operation and its channels, of the output's."""

    operation: str
    width: float


def nasbench101(matrix, names) -> dict[str, float]:
    """A path is a list of vertices; the projection of the input is its first layer."""
    last = len(names) - 1
    paths = [path for path in _walks(0, last, lambda u, v: matrix[u][v]) if path]
    alive = {vertex for path in paths for vertex in path}
    edges = {(u, v) for path in paths for u, v in itertools.pairwise(path)}
    feeding = [u for u in range(1, last) if (u, last) in edges]

    def width(vertex):
        if vertex == last:
            return 1.0
        if vertex in feeding:
            return 1 / len(feeding)
        return max(width(v) for u, v in edges if u == vertex)

    def read(vertex):
        if vertex == 0:
            return 1.0
        return sum(part(u, vertex) for u in range(vertex) if (u, vertex) in edges)

    def part(u, v):
        """What u adds to the variance of v's sum; the output concatenates."""
        given = 1.0 if u == 0 or names[u] in CONVOLUTIONS else read(u)
        return given * width(u) if v == last and u > 0 else given

    def walk(path):
        weight = math.prod(part(u, v) / read(v) for u, v in itertools.pairwise(path))
        gains = [-math.log(read(v)) / 2 for v in path[1:-1] if names[v] in CONVOLUTIONS]
        return weight, ["projection", *(names[v] for v in path[1:-1])], sum(gains)

    layers = [Layer(names[v], width(v)) for v in sorted(alive - {0, last})]
    layers += [Layer("projection", width(v)) for u, v in edges if u == 0]
    into_output = [Layer(names[u], width(u)) for u in feeding] + [Layer("projection", 1)] * ((0, last) in edges)
    return _columns([walk(path) for path in paths], read(last), layers, into_output)


def nasbench201(operations) -> dict[str, float]:
    """A path is a list of nodes, a layer lies between two of them."""
    pairs = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    named = dict(zip(pairs, operations, strict=True))
    paths = _walks(0, 3, lambda u, v: named[u, v] != "none")
    edges = {(u, v) for path in paths for u, v in itertools.pairwise(path)}

    def read(node):
        return 1.0 if node == 0 else sum(given(u, node) for u in range(node) if (u, node) in edges)

    def given(u, v):
        return 1.0 if named[u, v] in CONVOLUTIONS else read(u)

    def walk(path):
        steps = list(itertools.pairwise(path))
        weight = math.prod(given(u, v) / read(v) for u, v in steps)
        gains = [-math.log(read(u)) / 2 for u, v in steps if named[u, v] in CONVOLUTIONS]
        return weight, [named[step] for step in steps], sum(gains)

    layers = [Layer(named[edge], 1) for edge in edges]
    into_output = [Layer(named[u, v], 1) for u, v in edges if v == 3]
    return _columns([walk(path) for path in paths], read(3), layers, into_output)


def _walks(start, end, linked):
    if start == end:
        return [[end]]
    return [[start, *rest] for v in range(start + 1, end + 1) if linked(start, v) for rest in _walks(v, end, linked)]


def _columns(paths, variance, layers, into_output):
    def of(operations, kinds):
        return sum(operation in kinds for operation in operations)

    def mean(value):
        return sum(weight * value(operations, gain) for weight, operations, gain in paths) if paths else math.nan

    def extreme(choose, *kinds):
        return choose(of(operations, kinds) for _, operations, _ in paths) if paths else math.nan

    def width(where, *kinds):
        return sum(layer.width for layer in where if layer.operation in kinds)

    three, one = ("conv3x3-bn-relu", "nor_conv_3x3"), ("conv1x1-bn-relu", "nor_conv_1x1")
    if paths:
        assert math.isclose(sum(weight for weight, _, _ in paths), 1)
    relus = mean(lambda operations, _: of(operations, CONVOLUTIONS))
    return {
        "path_relus": relus,
        "path_relus_sd": math.sqrt(mean(lambda operations, _: (of(operations, CONVOLUTIONS) - relus) ** 2)),
        "path_conv3x3": mean(lambda operations, _: of(operations, three)),
        "path_conv1x1": mean(lambda operations, _: of(operations, one)),
        "path_pools": mean(lambda operations, _: of(operations, POOLS)),
        "path_gain": mean(lambda _, gain: gain),
        "path_shortest": extreme(min, *CONVOLUTIONS),
        "path_longest": extreme(max, *CONVOLUTIONS),
        "path_longest_conv3x3": extreme(max, *three),
        "path_receptive_field": 1 + 2 * extreme(max, *three, *POOLS),
        "path_ln_count": math.log(len(paths)) if paths else -math.inf,
        "path_variance": variance if paths else 0,
        "path_conv_layers": of([layer.operation for layer in layers], CONVOLUTIONS),
        "path_projections": of([layer.operation for layer in layers], ("projection",)),
        "path_fan_in": len(into_output),
        "path_relu_units": width(layers, *CONVOLUTIONS),
        "path_width_conv3x3": width(layers, *three),
        "path_width_conv1x1": width(layers, *one),
        "path_width_pool": width(layers, *POOLS),
        "path_output_conv3x3": width(into_output, *three),
        "path_output_conv1x1": width(into_output, *one),
        "path_output_pool": width(into_output, *POOLS),
    }
