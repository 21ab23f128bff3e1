"""Runs a net and gives it back as it was."""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.tracing.generators import PythonGenerators, random_devices
from zcfast.tracing.parameters import expose_parametrized

_CONTAINERS = (dict, list, set, deque)
_CHANGEABLE = frozenset({Tensor, torch.Generator})


class _ModuleState:
    """The attributes of one module, with what its containers (parameters, hooks, caches, ...) hold, however nested.

    Attributes:
        changeable: tensors, other than parameters, and random generators, whose content the module may change.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.kind = module.__class__
        self.attributes = module.__dict__.copy()
        self.containers = [value for value in self.attributes.values() if isinstance(value, _CONTAINERS)]
        # Most of most modules are empty, and a net has thousands of them: a copy of each takes time.
        self.filled: list[tuple[Any, Any]] = [(value, value.copy()) for value in self.containers if value]
        self.changeable = [value for value in self.attributes.values() if type(value) in _CHANGEABLE]
        known: set[int] = set()
        for container, _ in self.filled:
            for value in container.values() if isinstance(container, dict) else container:
                if type(value) in _CHANGEABLE:
                    self.changeable.append(value)
                elif isinstance(value, _CONTAINERS):
                    known = known or {id(found) for found, _ in self.filled}
                    if id(value) not in known:
                        known.add(id(value))
                        self.filled.append((value, value.copy()))  # and is looked into later in this loop

    def restore(self) -> None:
        if self.module.__class__ is not self.kind:
            self.module.__class__ = self.kind
        self.module.__dict__.clear()
        self.module.__dict__.update(self.attributes)
        for value in self.containers:
            if value:
                value.clear()
        for container, content in self.filled:
            container.clear()  # of two names for one container the first has filled it
            container.extend(content) if isinstance(container, (list, deque)) else container.update(content)


class Isolated:
    """A net in the state from which passes start, which has the caller's state back on leaving `isolated`.

    Parameters are put back as objects, not copied: whoever runs a net that might write to them installs stand-ins.

    Attributes:
        module: the net.
        modules: all its modules: listing them takes as long as running a small net.
    """

    def __init__(self, module: nn.Module, *, train: bool) -> None:
        """Note every attribute, hook, mode and buffer of all modules, and the random state."""
        self.module, self.train = module, train
        self.modules: Sequence[nn.Module] = list(module.modules())
        self._states = [_ModuleState(child) for child in self.modules]
        changeable = {id(value): value for state in self._states for value in state.changeable}.values()
        tensors = [value for value in changeable if isinstance(value, Tensor)]
        with torch.no_grad():
            self._tensors = [(tensor, tensor.clone()) for tensor in tensors if _is_written_to(tensor)]
        self._own_generators = [
            (value, value.get_state()) for value in changeable if isinstance(value, torch.Generator)
        ]
        self._generators = PythonGenerators()

    def prepare(self) -> None:
        """Put the net in the mode that is asked for, and what its parametrizations give in their place."""
        if self.train and not all(child.training for child in self.modules):
            self.module.train()
        self._copy_inference_buffers()
        expose_parametrized(self.modules)

    def _copy_inference_buffers(self) -> None:
        """Put copies in place of buffers made in inference mode, which nothing outside of it may write to."""
        copies: dict[int, Tensor] = {}
        for child in self.modules:
            for name, buffer in child._buffers.items():
                if buffer is not None and buffer.is_inference():
                    child._buffers[name] = copies.setdefault(id(buffer), buffer.clone())

    def restore(self) -> None:
        """Put the caller's state back."""
        self._generators.restore()
        for generator, drawn_from in self._own_generators:
            generator.set_state(drawn_from)
        for state in self._states:
            state.restore()
        with torch.inference_mode():  # which may write to what was made in it
            for tensor, content in self._tensors:
                if torch.equal(tensor, content):
                    continue  # a graph of the caller's may need it unwritten
                if tensor.shape != content.shape:  # as the observers of quantisation change theirs
                    tensor.resize_(content.shape)
                _without_repeats(tensor).copy_(_without_repeats(content, tensor.stride()))


def _is_written_to(tensor: Tensor) -> bool:
    """Whether nets change the content in place: of sparse and nested tensors they make new ones."""
    return tensor.layout == torch.strided and not (tensor.is_meta or tensor.is_nested)


def _without_repeats(buffer: Tensor, strides: Sequence[int] | None = None) -> Tensor:
    """One of each number that an expanded tensor repeats, since torch does not write to repeated ones."""
    for dim, stride in enumerate(buffer.stride() if strides is None else strides):
        if stride == 0:
            buffer = buffer.narrow(dim, 0, 1)
    return buffer


@contextmanager
def isolated(module: nn.Module, *, train: bool) -> Iterator[Isolated]:
    """Run a net from the caller's state - mode, buffers, random generators - and leave that state untouched.

    Gradients are enabled inside even where the caller has disabled them.
    """
    net = Isolated(module, train=train)
    with ExitStack() as stack:
        stack.callback(net.restore)
        stack.enter_context(torch.random.fork_rng(random_devices(module)))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and the import takes seconds
            # A compiled net would be compiled again for each kind of stand-in, and most have no second derivative.
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        net.prepare()
        yield net
