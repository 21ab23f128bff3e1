"""What passes take of torch that torch does not document; checked on torch 2.10, 2.11, 2.13 and 2.15."""

import pytest
import torch
from torch.overrides import TorchFunctionMode

from zcfast.passes.torch_internals import ERROR_NODE, RULES_BY_DISPATCH_ONLY, is_view, outside_modes, wrapper_of


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


def test_outside_modes_none_is_called():
    seen = []

    class Noting(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    with Noting():
        with outside_modes():
            torch.relu(torch.ones(2))
        assert not seen
        torch.relu(torch.ones(2))
    assert torch.relu in seen


def test_a_derivative_that_has_none_ends_in_a_node_of_errors():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            return gradient * 2

    x = torch.ones(2, requires_grad=True)
    for function, expected in ((Once.apply, True), (torch.exp, False)):
        (gradient,) = torch.autograd.grad((function(x) * x).sum(), x, create_graph=True)
        waiting, seen = [gradient.grad_fn], set()
        while waiting:
            node = waiting.pop()
            seen.add(node)
            waiting += [source for source, _ in node.next_functions if source is not None]
        assert any(isinstance(node, ERROR_NODE) for node in seen) is expected
