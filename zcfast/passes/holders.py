"""Which object of a net holds a tensor that its modules do not know."""

import gc
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import Tensor, nn

_MOST = 10_000  # objects that are looked at
_OPAQUE = (str, bytes, int, float, ModuleType, Tensor)


def find_holder(tensor: Tensor, net: nn.Module) -> str | None:
    """Say where a net keeps a tensor beside its parameters: `0.weights[2]`, `cache['w'].bias`, `forward: W`."""
    pending: deque[tuple[str, Any]] = deque(net.named_modules())
    registered = {id(child) for _, child in pending}
    seen = set(registered)
    while pending and len(seen) < _MOST:
        path, holder = pending.popleft()
        for name, value in _contents(path, holder, registered=id(holder) in registered):
            if value is tensor:
                return name
            if id(value) not in seen and not isinstance(value, _OPAQUE):
                seen.add(id(value))
                pending.append((name, value))
    return None


def is_held(tensor: Tensor, *, beside: object) -> bool:
    """Whether any object but the one named, a graph and the variables of running functions holds a tensor."""
    return any(holder is not beside for holder in gc.get_referrers(tensor))


def _contents(path: str, holder: Any, *, registered: bool) -> Iterator[tuple[str, Any]]:
    """What an object holds, each with a name that a reader finds in the code."""
    if isinstance(holder, Mapping):
        yield from ((f"{path}[{key!r}]", value) for key, value in list(holder.items()))
    elif isinstance(holder, (list, tuple, set, frozenset, deque)):
        yield from ((f"{path}[{index}]", value) for index, value in enumerate(list(holder)))
    elif isinstance(holder, MethodType):
        yield path, holder.__func__
    elif isinstance(holder, FunctionType):
        yield from _of_function(holder)
    elif isinstance(holder, partial):
        yield from ((f"{path}: partial", part) for part in (holder.func, holder.args, holder.keywords))
    attributes = getattr(holder, "__dict__", None)
    if not isinstance(attributes, Mapping):
        return
    of_module = isinstance(holder, nn.Module)
    for name, value in list(attributes.items()):
        if of_module and name in ("_parameters", "_buffers", "_modules"):
            own = {} if registered else value
            yield from ((f"{path}.{key}".lstrip("."), each) for key, each in own.items())
        else:
            yield f"{path}.{name}".lstrip("."), value
    if of_module:
        yield type(holder).__name__, type(holder)


def _of_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The variables of a function that are not its own: those around it, global ones and defaults."""
    name = function.__qualname__
    yield from ((f"{name}: {key}", function.__globals__.get(key)) for key in _global_names(function.__code__))
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    yield from ((f"{name}: {key}", cell.cell_contents) for key, cell in cells if cell != CellType())
    yield f"{name}: defaults", (function.__defaults__, function.__kwdefaults__)


def _global_names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _global_names(constant)
    return names
