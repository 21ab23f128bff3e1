"""Operations that run where nothing that watches torch's functions sees them.

What torch.jit has compiled runs its operations below Python, as do extensions in C++; and an operator of another
library may do anything. They show at torch's dispatcher alone, and as nothing but operations: so a pass that watches
functions is refused where one that matters to it runs there.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from torch.overrides import TorchFunctionMode

from zcfast.torch_internals import OWN_OPERATORS, DispatchMode, operator_name, plain_scripts

_KNOWN = OWN_OPERATORS | {"torchvision"}
_BETWEEN = (
    "aten::detach",
    "aten::alias",
    "aten::lift_fresh",
    "profiler::",
)  # what torch does from function to function

BATCH_NORM = ("batch_norm",)
"""What matters to those that see batch normalisation."""


class Watching(TorchFunctionMode):
    """Sees the functions that a net calls, and must not miss some.

    Attributes:
        matters: parts of the names of the operations that it must not miss; an operator of another library may be any.
    """

    matters: ClassVar[tuple[str, ...]] = ("",)


def missed(hidden: Iterable[str], matters: Iterable[str]) -> list[str]:
    """Those of some operations that matter to what did not see them."""
    parts = tuple(matters)
    return [name for name in hidden if any(part in name for part in parts) or _library(name) not in _KNOWN]


def hidden_operations(call: Callable[[], object]) -> list[str]:
    """The operations, as "aten::relu", that run outside of torch's functions during a call, in their order."""
    functions = _Functions()
    operations = _Operations(functions)
    with plain_scripts(), operations, functions:
        call()
    return list(operations.hidden)


class _Functions(TorchFunctionMode):
    """Knows whether a function runs that modes see; operators called by name are none that they know."""

    def __init__(self) -> None:
        super().__init__()
        self.running = 0

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        name = operator_name(func)
        shown = name is None or _library(name) == "torchvision"
        self.running += shown
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.running -= shown


class _Operations(DispatchMode):
    """Notes what runs while no function does, and what may be anything."""

    def __init__(self, functions: _Functions) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._functions = functions
        self.hidden: dict[str, None] = {}

    def __torch_dispatch__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        name = operator_name(func) or str(func)
        if not name.startswith(_BETWEEN) and not (self._functions.running and _library(name) in _KNOWN):
            self.hidden[name] = None
        return func(*args, **(kwargs or {}))


def _library(operator: str) -> str:
    return operator.partition("::")[0]
