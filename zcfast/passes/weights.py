"""The weights themselves: nothing runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.net import Net


@dataclass
class WeightsOfNet:
    """What a net holds.

    Attributes:
        weights: L weights of the counted layers; of a parametrized layer, the result of the parametrization.
        trainable: how many numbers all trainable parameters of the net have, tied ones once.
        tensors: how many parameters it has, tied ones once, frozen ones too.
    """

    weights: Sequence[Tensor]
    trainable: int
    tensors: int


class Weights(Pass):
    """The weights of the counted layers, and the numbers of parameters."""

    reads = "nothing"

    def run(self, net: Net, batch: Batch, done: Results) -> WeightsOfNet:
        """Look at the net."""
        return WeightsOfNet(net.slots.weights, net.trainable, net.tensors)
