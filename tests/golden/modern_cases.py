"""The cases of modern.json: values of the official codes of later proxies."""

import json
from pathlib import Path

from torch import nn

from tests.golden import benchmark_nets, nets

CASES = json.loads((Path(__file__).parent / "modern.json").read_text())["cases"]


class WithModules(nn.Module):
    """A net of the golden values whose ReLUs are modules: each call of torch.relu is one of a module."""

    def __init__(self, net):
        super().__init__()
        self.net, self.relu = net, nn.ReLU()

    def forward(self, x):
        net = self.net
        if isinstance(net, nets.MLP):
            return net.l3(self.relu(net.l2(self.relu(net.l1(x.flatten(1))))))
        x = self.relu(net.bn1(net.conv1(x)))
        return net.fc(self.relu(net.bn2(net.conv2(x))).mean((2, 3)))


def build(name, samples=None, draw=0):
    """The net of a case, filled, with a minibatch: the `draw`-th of `samples` images."""
    case = CASES[name]
    if name.startswith("b_"):
        net = benchmark_nets.NASBench201(case["arch"], case["C"], case["num_classes"])
    elif name.startswith("c_"):
        net = benchmark_nets.NASBench101(case["matrix"], case["ops"], case["stem_channels"], case["num_classes"])
    elif name.startswith("g_"):
        net = nets.TinyViT(case["num_classes"])
    else:
        net = nets.SmallCNN()
    net.double()
    parameters = dict(net.named_parameters())
    assert {k: list(p.shape) for k, p in parameters.items()} == {p["name"]: p["shape"] for p in case["params"]}
    nets.fill([(each["name"], parameters[each["name"]]) for each in case["params"]])
    return (WithModules(net) if name == "a_smallcnn" else net), batch(name, samples, draw)


def batch(name, samples=None, draw=0):
    """Inputs and targets of the `draw`-th minibatch of a case."""
    case = CASES[name]
    shape = [samples or case["input_shape"][0], *case["input_shape"][1:]]
    inputs = nets.make_input(shape, nets.INPUT + draw)
    return inputs, (nets.make_targets(shape[0], case["num_classes"]) + draw) % case["num_classes"]


def values(key):
    """Pairs of case and value that have one of this name."""
    found = [(name, case["results"].get(key, {}).get("value")) for name, case in CASES.items()]
    return [pair for pair in found if pair[1] is not None]
