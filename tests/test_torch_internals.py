"""What is taken of torch that torch does not document; checked on torch 2.10, 2.11, 2.13 and 2.15."""

import ast
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from tests.shared import environment
from zcfast.torch_internals import (
    ERROR_NODE,
    RULES_BY_DISPATCH_ONLY,
    AnyBatchNorm,
    DispatchMode,
    has_kernel,
    is_view,
    make_dual,
    memory_of,
    operator_name,
    outside_modes,
    outside_transforms,
    quiet_exporter,
    tree_map,
    wrapper_of,
)


class Noted(torch.Tensor):
    __torch_function__ = RULES_BY_DISPATCH_ONLY

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise NotImplementedError(str(func))


def test_the_exporter_says_nothing_of_what_is_not_installed(caplog):
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    monitored = logging.getLogger("torch.onnx")
    monitored.addHandler(caplog.handler)
    try:
        with quiet_exporter():
            logger.warning("torchvision is not installed")
        assert not caplog.records
        logger.warning("again")
        assert caplog.records[0].message == "again"
    finally:
        monitored.removeHandler(caplog.handler)


def test_memory_is_one_for_all_that_share_it_and_gone_with_the_last():
    x = torch.zeros(4, 4)
    view, other = x[1:].t(), torch.zeros(4, 4)
    memory = memory_of(x)
    assert memory == memory_of(view) != memory_of(other)
    assert len({memory, memory_of(view), memory_of(other)}) == 2
    del x
    assert not memory.expired()
    del view
    assert memory.expired()


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


def test_tensors_outside_of_transforms():
    x, seen = torch.randn(3, 2), []
    torch.func.vmap(torch.func.grad(lambda row: seen.append(outside_transforms(row)) or row.sum()))(x)
    assert seen[0].shape == x.shape
    assert outside_transforms(x) is x


def test_kernels():
    assert has_kernel("aten::add.Tensor", "cpu")
    assert not has_kernel("aten::batch_norm_elemt", "cpu")  # of CUDA alone


def test_all_batch_normalisations_have_one_class():
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.LazyBatchNorm2d)
    assert all(issubclass(kind, AnyBatchNorm) for kind in kinds)
    assert not issubclass(nn.GroupNorm, AnyBatchNorm)


def test_a_dispatch_mode_sees_operators():
    class Seen(DispatchMode):
        def __init__(self):
            super().__init__()
            self.names = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.names.append(func.overloadpacket)
            return func(*args, **(kwargs or {}))

    with Seen() as mode:
        nn.functional.linear(torch.ones(2, 3), torch.ones(4, 3), torch.ones(4))
    assert torch.ops.aten.addmm in mode.names


def test_a_dispatch_mode_imports_no_compiler(tmp_path):
    code = (
        "import sys, torch; from zcfast.torch_internals import DispatchMode\n"
        "class Mode(DispatchMode):\n"
        "    def __torch_dispatch__(self, func, types, args=(), kwargs=None): return func(*args, **(kwargs or {}))\n"
        "with Mode(): torch.ones(2) + 1\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment())


def test_operators_have_names():
    functions = (torch.ops.aten.relu, torch.ops.aten.add.Tensor, torch.relu, nn.functional.relu)
    assert [operator_name(each) for each in functions] == ["aten::relu", "aten::add", None, None]


def test_containers_are_mapped_in_their_form():
    assert tree_map(lambda x: x + 1, {"a": [1, (2,)], "b": 3}) == {"a": [2, (3,)], "b": 4}


def test_a_dual_is_that_of_forward_ad():
    x, tangent = torch.randn(3), torch.randn(3)
    with torch.autograd.forward_ad.dual_level():
        found = torch.autograd.forward_ad.unpack_dual(make_dual(x, tangent).sin())
        expected = torch.autograd.forward_ad.unpack_dual(torch.autograd.forward_ad.make_dual(x, tangent).sin())
        assert torch.equal(found.primal, expected.primal)
        assert torch.equal(found.tangent, expected.tangent)


ROOT = Path(__file__).parents[1] / "zcfast"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_private_parts_of_torch_are_taken_in_one_file(path):
    """Modules and functions of torch's; private attributes of a module or tensor are another matter."""
    if path.name == "torch_internals.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        if isinstance(node, ast.Attribute) and re.fullmatch(r"[\w.]+", ast.unparse(node)):
            names = [ast.unparse(node)]
        for name in names:
            parts = name.split(".")
            private = [part for part in parts if part.startswith("_") and not part.startswith("__")]
            assert parts[0] != "torch" or not private or private[0].startswith("_global_"), name
