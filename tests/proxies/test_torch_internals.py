"""What tracing takes of torch that torch does not document; checked on torch 2.13."""

import pytest
import torch

from zcfast.tracing.torch_internals import RULES_BY_DISPATCH_ONLY, is_view, wrapper_of


class Noted(torch.Tensor):
    __torch_function__ = RULES_BY_DISPATCH_ONLY

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise NotImplementedError(str(func))


def test_a_wrapper_has_the_form_of_a_tensor_and_no_numbers():
    like = torch.randn(2, 3, 4).transpose(0, 2)
    wrapper = wrapper_of(Noted, like)
    assert (type(wrapper), wrapper.shape, wrapper.stride()) == (Noted, like.shape, like.stride())
    assert (wrapper.dtype, wrapper.device, wrapper.requires_grad) == (torch.float64, like.device, False)
    for operation in (torch.relu, torch.Tensor.clone, torch.Tensor.detach, lambda x: x + 1, torch.nn.functional.gelu):
        with pytest.raises(NotImplementedError, match="aten"):
            operation(wrapper)


def test_views_are_told_from_new_tensors():
    x = torch.randn(2, 3)
    assert [is_view(each) for each in (x.view(3, 2), x[:1], x.t(), x.clone(), x + 1)] == [
        True,
        True,
        True,
        False,
        False,
    ]
