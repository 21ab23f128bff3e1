import pytest
import torch

from zcfast.passes import LossGradient
from zcfast.proxies import Proxy, registered
from zcfast.testing import check_proxy


class LargestGradient(Proxy):
    """One of a user's own."""

    name = "largest_gradient"
    source = "none"
    needs = (LossGradient,)

    def value(self, results):
        return max(gradient.abs().max().item() for gradient in results[LossGradient].gradients)


@pytest.mark.parametrize("proxy", [*registered(), LargestGradient()], ids=lambda each: getattr(each, "name", each))
def test_contract(proxy):
    check_proxy(proxy)


def test_a_proxy_that_draws_is_found_out():
    class Drawn(LargestGradient):
        name = "drawn"

        def value(self, results):
            return torch.rand(()).item()

    with pytest.raises(AssertionError):
        check_proxy(Drawn())
