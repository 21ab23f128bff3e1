"""The NAS-Bench nets of the golden cases, small and for the tests alone; names are those of the published code."""

import torch
import torch.nn as nn

OPERATIONS = ("none", "skip_connect", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")


class ReLUConvBN(nn.Module):
    """The published code gives the convolution a bias where BatchNorm has no parameters."""

    def __init__(self, inputs, outputs, kernel, stride=1, affine=False):
        super().__init__()
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not affine)
        self.op = nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(outputs, affine=affine))

    def forward(self, x):
        return self.op(x)


class Zero(nn.Module):
    def forward(self, x):
        return x.mul(0.0)


def operation(name, channels):
    return {
        "none": Zero,
        "skip_connect": nn.Identity,
        "nor_conv_3x3": lambda: ReLUConvBN(channels, channels, 3),
        "nor_conv_1x1": lambda: ReLUConvBN(channels, channels, 1),
        "avg_pool_3x3": lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    }[name]()


class Cell(nn.Module):
    def __init__(self, architecture, channels):
        super().__init__()
        self.options = nn.ModuleDict()
        self.edges = []
        for target, node in enumerate(architecture.split("+"), start=1):
            for part in node.strip("|").split("|"):
                name, source = part.split("~")
                edge = target * (target - 1) // 2 + int(source)
                key = str(edge * len(OPERATIONS) + OPERATIONS.index(name))
                self.options[key] = operation(name, channels)
                self.edges.append((int(source), target, key))

    def forward(self, x):
        nodes = [x]
        for target in (1, 2, 3):
            nodes.append(sum(self.options[key](nodes[s]) for s, t, key in self.edges if t == target))
        return nodes[-1]


class Reduction(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.residual = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(inputs, outputs, 1, bias=False))
        self.conv_a = ReLUConvBN(inputs, outputs, 3, 2, affine=True)
        self.conv_b = ReLUConvBN(outputs, outputs, 3, 1, affine=True)

    def forward(self, x):
        return self.residual(x) + self.conv_b(self.conv_a(x))


class NASBench201(nn.Module):
    """One cell a stage, as the published code builds it."""

    def __init__(self, architecture, channels, classes):
        super().__init__()
        self.stem = nn.ModuleDict(
            {"net": nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))}
        )
        self.stack_cell1 = nn.Sequential(Cell(architecture, channels))
        self.reduction1 = Reduction(channels, 2 * channels)
        self.stack_cell2 = nn.Sequential(Cell(architecture, 2 * channels))
        self.reduction2 = Reduction(2 * channels, 4 * channels)
        self.stack_cell3 = nn.Sequential(Cell(architecture, 4 * channels))
        self.top = nn.ModuleDict(
            {
                "lastact": nn.Sequential(nn.BatchNorm2d(4 * channels), nn.ReLU()),
                "classifier": nn.Linear(4 * channels, classes),
            }
        )

    def forward(self, x):
        x = self.stack_cell1(self.stem["net"](x))
        x = self.stack_cell2(self.reduction1(x))
        x = self.stack_cell3(self.reduction2(x))
        return self.top["classifier"](self.top["lastact"](x).mean((2, 3)))


class ConvBnRelu(nn.Module):
    def __init__(self, inputs, outputs, kernel):
        super().__init__()
        conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.conv_bn_relu = nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, x):
        return self.conv_bn_relu(x)


class ChainCell(nn.Module):
    """input -> conv3x3 -> maxpool3x3 -> conv1x1 -> output."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.vertex_op = nn.ModuleDict(
            {
                "1": nn.ModuleDict({"conv3x3": ConvBnRelu(outputs, outputs, 3)}),
                "2": nn.MaxPool2d(3, 1, 1),
                "3": nn.ModuleDict({"conv1x1": ConvBnRelu(outputs, outputs, 1)}),
            }
        )
        self.input_op = nn.ModuleDict({"1": ConvBnRelu(inputs, outputs, 1)})

    def forward(self, x):
        x = self.vertex_op["1"]["conv3x3"](self.input_op["1"](x))
        return self.vertex_op["3"]["conv1x1"](self.vertex_op["2"](x))


class NASBench101Chain(nn.Module):
    """Three stacks of one module."""

    def __init__(self, channels, classes):
        super().__init__()
        self.layers = nn.Sequential(
            ConvBnRelu(3, channels, 3),
            ChainCell(channels, channels),
            nn.MaxPool2d(2, 2),
            ChainCell(channels, 2 * channels),
            nn.MaxPool2d(2, 2),
            ChainCell(2 * channels, 4 * channels),
        )
        self.classifier = nn.Linear(4 * channels, classes)

    def forward(self, x):
        return self.classifier(torch.mean(self.layers(x), (2, 3)))


class Cell101(nn.Module):
    """A cell of NAS-Bench-101 whose output takes one vertex besides the input, so that all have all channels."""

    def __init__(self, matrix, ops, inputs, outputs):
        super().__init__()
        self.matrix = matrix
        kinds = {f"conv{k}x{k}-bn-relu": (f"conv{k}x{k}", k) for k in (1, 3)}
        self.vertex_op, self.input_op = nn.ModuleDict(), nn.ModuleDict()
        for vertex, op in list(enumerate(ops))[1:-1]:
            name, kernel = kinds[op]
            self.vertex_op[str(vertex)] = nn.ModuleDict({name: ConvBnRelu(outputs, outputs, kernel)})
        for vertex, edge in enumerate(matrix[0]):
            if edge:
                self.input_op[str(vertex)] = ConvBnRelu(inputs, outputs, 1)

    def forward(self, x):
        last = len(self.matrix) - 1
        values = {}
        for vertex in range(1, last + 1):
            parts = [values[source] for source in range(1, vertex) if self.matrix[source][vertex]]
            if self.matrix[0][vertex]:
                parts.append(self.input_op[str(vertex)](x))
            operation = nn.Identity() if vertex == last else next(iter(self.vertex_op[str(vertex)].values()))
            values[vertex] = operation(sum(parts))
        return values[last]


class NASBench101(NASBench101Chain):
    """Three stacks of one module of any such cell."""

    def __init__(self, matrix, ops, channels, classes):
        super().__init__(channels, classes)
        for place, inputs, outputs in ((1, 1, 1), (3, 1, 2), (5, 2, 4)):
            self.layers[place] = Cell101(matrix, ops, inputs * channels, outputs * channels)
