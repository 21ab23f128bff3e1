from inspect import isabstract, isclass

import pytest
import torch
from torch import Tensor

from zcfast import passes
from zcfast.passes import Forward, LossGradients, Pass, SharedForward
from zcfast.testing import check_pass


def number(result):
    """The sum of all numbers in a result, however it is made."""
    if isinstance(result, SharedForward):  # beside others the two hold what these ask for
        return number(result.logits)
    if isinstance(result, LossGradients):
        return number(result.gradients)
    if isinstance(result, Tensor):
        return result.detach().double().abs().sum().item()
    if isinstance(result, float | int):
        return float(result)
    if isinstance(result, tuple | list):
        return sum(map(number, result))
    return sum(number(value) for value in getattr(result, "__dict__", {}).values())


class LargestInput(Pass):
    """One of a user's own."""

    reads = "inputs"

    def run(self, net, batch, done):
        with torch.no_grad():
            next(iter(net.module.parameters())).mul_(0)  # whatever it does to the net is undone
        return batch.inputs.abs().max().item()


BUILT_IN = sorted(
    (each for each in vars(passes).values() if isclass(each) and issubclass(each, Pass) and not isabstract(each)),
    key=lambda each: each.__name__,
)


@pytest.mark.parametrize("which", [*BUILT_IN, LargestInput], ids=lambda each: each.__name__)
def test_contract(which):
    check_pass(which, number)


def test_a_pass_that_draws_is_found_out():
    class Drawn(LargestInput):
        requires = (Forward,)

        def run(self, net, batch, done):
            return torch.rand(()).item()

    with pytest.raises(AssertionError):
        check_pass(Drawn, number)
