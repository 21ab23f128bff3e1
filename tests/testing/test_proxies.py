import pytest
import torch

from zcfast.proxies import Proxy, registered
from zcfast.testing import check_proxy
from zcfast.tracing.passes import Pass


class LargestGradient(Proxy):
    """One of a user's own."""

    name = "largest_gradient"
    source = "none"
    needs = Pass.LOSS_GRAD
    sums_layers = False

    def value(self, trace):
        return max(gradient.abs().max().item() for gradient in trace.sampled.gradients)


@pytest.mark.parametrize("proxy", [*registered(), LargestGradient()], ids=lambda each: getattr(each, "name", each))
def test_contract(proxy):
    check_proxy(proxy)


def test_a_proxy_that_draws_is_found_out():
    class Drawn(LargestGradient):
        name = "drawn"

        def value(self, trace):
            return torch.rand(()).item()

    with pytest.raises(AssertionError):
        check_proxy(Drawn())
