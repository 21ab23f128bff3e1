"""Runs a net and gives it back as it was."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

_CONTAINERS = (dict, list, set)


class _ModuleState:
    """The attributes of one module, with what its dictionaries (parameters, hooks, ...), lists and sets hold."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.kind = module.__class__
        self.attributes = module.__dict__.copy()
        # Most dictionaries of most modules are empty, and a net has thousands of them: an object for each takes time.
        self.filled = [
            (value, value.copy()) for value in self.attributes.values() if isinstance(value, _CONTAINERS) and value
        ]

    def restore(self) -> None:
        if self.module.__class__ is not self.kind:
            self.module.__class__ = self.kind
        self.module.__dict__.clear()
        self.module.__dict__.update(self.attributes)
        for value in self.attributes.values():
            if isinstance(value, _CONTAINERS) and value:
                value.clear()
        for container, content in self.filled:
            container.clear()  # of two names for one container the first has filled it
            container.extend(content) if isinstance(container, list) else container.update(content)


@contextmanager
def preserved(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Put every attribute, hook, mode and buffer of all modules of a net back on leaving, also after an exception.

    Parameters are put back as objects, not copied: whoever runs a net that might write to them installs stand-ins.
    """
    states = [_ModuleState(child) for child in modules]
    buffers: dict[int, tuple[Tensor, Tensor]] = {}
    for state in states:
        for buffer in state.module._buffers.values():
            if buffer is not None:
                buffers[id(buffer)] = (buffer, buffer.detach().clone())
    try:
        yield
    finally:
        for state in states:
            state.restore()
        with torch.inference_mode():  # which may write to what was made in it
            for buffer, content in buffers.values():
                if buffer.shape != content.shape:  # as the observers of quantisation change theirs
                    buffer.resize_(content.shape)
                _without_repeats(buffer).copy_(_without_repeats(content, buffer.stride()))


def _without_repeats(buffer: Tensor, strides: Sequence[int] | None = None) -> Tensor:
    """One of each number that an expanded tensor repeats, since torch does not write to repeated ones."""
    for dim, stride in enumerate(buffer.stride() if strides is None else strides):
        if stride == 0:
            buffer = buffer.narrow(dim, 0, 1)
    return buffer


def random_devices(module: nn.Module) -> Sequence[torch.device]:
    """CUDA devices of a net, whose random generators a forward pass may advance."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return []
    tensors = [*module.parameters(), *module.buffers()]
    return sorted({tensor.device for tensor in tensors if tensor.device.type == "cuda"}, key=str)


@contextmanager
def isolated(module: nn.Module, *, train: bool) -> Iterator[Sequence[nn.Module]]:
    """Run a net from the caller's state - mode, buffers, random generators - and leave that state untouched.

    Gradients are enabled inside even where the caller has disabled them. Gives all modules of the net: listing them
    takes as long as running a small one.
    """
    modules = list(module.modules())
    with ExitStack() as stack:
        stack.enter_context(preserved(modules))
        stack.enter_context(torch.random.fork_rng(random_devices(module)))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and the import takes seconds
            # A compiled net would be compiled again for each kind of stand-in, and most have no second derivative.
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        if train and not all(child.training for child in modules):
            module.train()
        yield modules
