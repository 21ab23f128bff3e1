"""The fill rule of the golden values in place of random draws."""

import math

import torch

from tests.golden import nets
from zcfast.passes.draws import Draws

ROUND = 5000  # numbers between the weights of two rounds
NOISE, SIGNS = 1000, 2000


def filled(p, shape):
    return math.sqrt(2) * nets.sines(p, math.prod(shape)).reshape(tuple(shape))


def inject(monkeypatch, net, *, noises=1):
    """Replace all draws: weights by their parameter's number, noise in the order of one call.

    Args:
        net: that the golden values are of; its parameters in the order of registration.
        noises: noise tensors drawn a round, named by their number in the round, as signs and choices are.
    """
    numbers = {name: p for p, (name, _) in enumerate(net.named_parameters())}

    def normal(self, purpose, name, shape):
        if purpose == "weights":
            return filled(numbers[name] + ROUND * self.round, shape)
        return filled(NOISE + noises * self.round + int(name), shape)

    def signs(self, purpose, name, shape):
        return torch.where(filled(SIGNS + int(name), shape) >= 0, 1.0, -1.0).double()

    def choice(self, purpose, name, among, count):
        return torch.tensor([place * among // count for place in range(count)])

    for method in (normal, signs, choice):
        monkeypatch.setattr(Draws, method.__name__, method)
