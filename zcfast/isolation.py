"""Runs a net and gives it back as it was."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class _ModuleState:
    """The attributes of one module, those held in its dictionaries (parameters, buffers, hooks, ...) included."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.kind = module.__class__
        self.attributes = dict(module.__dict__)
        self.tables: list[tuple[dict[Any, Any], dict[Any, Any]]] = [
            (value, dict(value)) for value in self.attributes.values() if isinstance(value, dict)
        ]

    def restore(self) -> None:
        self.module.__class__ = self.kind
        self.module.__dict__.clear()
        self.module.__dict__.update(self.attributes)
        for table, content in self.tables:
            table.clear()
            table.update(content)


@contextmanager
def preserved(module: nn.Module) -> Iterator[None]:
    """Put every attribute, hook, mode and buffer of a net back on leaving, also after an exception.

    Parameters are put back as objects, not copied: whoever runs a net that might write to them installs stand-ins.
    """
    states = [_ModuleState(child) for child in module.modules()]
    buffers: list[tuple[Tensor, Tensor]] = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for state in states:
            state.restore()
        with torch.no_grad():
            for buffer, content in buffers:
                buffer.copy_(content)


def random_devices(module: nn.Module) -> list[torch.device]:
    """CUDA devices of a net, whose random generators a forward pass may advance."""
    tensors = [*module.parameters(), *module.buffers()]
    return sorted({tensor.device for tensor in tensors if tensor.device.type == "cuda"}, key=str)


@contextmanager
def isolated(module: nn.Module, *, train: bool) -> Iterator[None]:
    """Run a net from the caller's state - mode, buffers, random generators - and leave that state untouched.

    Gradients are enabled inside even where the caller has disabled them.
    """
    with ExitStack() as stack:
        stack.enter_context(preserved(module))
        stack.enter_context(torch.random.fork_rng(random_devices(module)))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if train:
            module.train()
        yield
