"""Two proxies of your own, on passes of their own: one watches the shared forward pass, one runs two minibatches.

Run: python examples/own_pass.py
"""

import torch
from torch import Tensor, nn

import zcfast
from zcfast.passes import Batch, Forward, Net, Observation, Pass, Results
from zcfast.proxies import Proxy, register


class Ranks(Pass):
    """How many directions the outputs of each convolution take, as a share of its channels."""

    requires = (Forward,)
    reads = "inputs"

    def observe(self, forward: Observation) -> None:
        self.ranks = forward.watch(_rank, nn.Conv2d)  # a list that the forward pass fills

    def run(self, net: Net, batch: Batch, done: Results) -> Tensor:
        return torch.stack(self.ranks)


def _rank(output: Tensor) -> Tensor:
    rows = output.transpose(0, 1).flatten(1).double()
    return torch.linalg.matrix_rank(rows) / len(rows)


class GradientSigns(Pass):
    """Of each layer, the share of weights whose gradients of two halves of the minibatch have one sign."""

    reads = "batches"
    cost = 3.0

    def run(self, net: Net, batch: Batch, done: Results) -> Tensor:
        halves = []
        for half in batch.split(2):
            loss = half.loss_of(net.forward(half.inputs))
            halves.append(torch.autograd.grad(loss, net.parameters))
        return torch.stack([(a.sign() == b.sign()).double().mean() for a, b in zip(*halves, strict=True)])


@register
class MeanRank(Proxy):
    name, source = "mean_rank", "this example"
    definition = "Mean rank of the outputs of the convolutions, as a share of their channels."
    needs = (Ranks,)
    sums_layers = False

    def value(self, results: Results) -> float:
        return results[Ranks].mean().item()


@register
class Agreement(Proxy):
    name, source = "agreement", "this example"
    definition = "Sum over layers of the share of weights whose gradients of two half minibatches have one sign."
    needs = (GradientSigns,)

    def layerwise(self, results: Results) -> Tensor:
        return results[GradientSigns]


def main() -> None:
    torch.manual_seed(0)
    batch = zcfast.random_images(8, (3, 16, 16), classes=10, seed=0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)),
    )
    for name, score in zcfast.score(net, batch, ["snip", "mean_rank", "agreement"], per_layer=True).items():
        print(f"{name:>10}  {score.value:8.5g}  {score.status}")


if __name__ == "__main__":
    main()
