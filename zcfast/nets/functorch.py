"""Tensors inside torch.func's transforms. torch has no public way to see one; this file alone takes the private one."""

from torch import Tensor
from torch._C import _functorch


def outside_transforms(x: Tensor) -> Tensor:
    """The tensor that vmap, grad and the like show a part or a view of; the tensor itself where none is around it."""
    while _functorch.is_functorch_wrapped_tensor(x):
        x = _functorch.get_unwrapped(x)
    return x
