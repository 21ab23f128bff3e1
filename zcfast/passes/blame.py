"""Whether a net's exception is the net's own, or comes of the form in which it was run."""

import dis
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zcfast.torch_internals import tree_map

_ASKS_FORM = frozenset({Tensor.is_contiguous, Tensor.requires_grad.__get__})  # type: ignore[attr-defined]


class Blamed(TorchFunctionMode):
    """Watches for functions that raise for want of a plain tensor: one that lies in order and needs no gradient.

    Attributes:
        form_matters: whether the net asked for the form of a tensor, or a function raised that does not for plain ones.
    """

    def __init__(self) -> None:
        """Begin without a suspicion."""
        super().__init__()
        self.form_matters = False
        self._raised: list[Exception] = []

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        """Call a function; where it raises, call it with plain tensors too."""
        kwargs = kwargs or {}
        self.form_matters |= func in _ASKS_FORM
        try:
            return self.call(func, args, kwargs)
        except Exception as error:
            self._raised.append(error)
            self.form_matters |= _works_plainly(func, args, kwargs)
            raise

    def call(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What a function gives in this mode."""
        return func(*args, **kwargs)

    def is_to_blame(self, error: Exception) -> bool:
        """Whether the net may run in a plainer form, where this exception ended a run."""
        if self.form_matters:
            return True
        # What was raised behind the back of torch's functions, as by extensions in C++, is not known.
        return not all(each in self._raised or _is_statement(each) for each in _chain(error))


def is_nets_own(error: Exception) -> bool:
    """Whether an exception was raised by a statement of the user's code, whatever numbers it was given."""
    return all(_is_statement(each) and not module_of(each).startswith(("torch.", "zcfast.")) for each in _chain(error))


def _works_plainly(func: Callable[..., Any], args: Any, kwargs: Any) -> bool:
    def plain(x: Any) -> Any:
        if not isinstance(x, Tensor) or isinstance(x, nn.Parameter):
            return x
        return x.detach().clone(memory_format=torch.contiguous_format)

    try:
        func(*tree_map(plain, args), **tree_map(plain, kwargs))
    except Exception:
        return False
    return True


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those that it was raised from or behind."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _last(error: BaseException) -> types.TracebackType | None:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place


def _is_statement(error: BaseException) -> bool:
    """Whether a statement of Python raised, not a function of C that it called."""
    place = _last(error)
    if place is None:
        return False
    code = place.tb_frame.f_code.co_code
    return "CALL" not in dis.opname[code[place.tb_lasti]]


def module_of(error: BaseException) -> str:
    """The name of the module whose code raised, or called the function of C that did."""
    place = _last(error)
    return "" if place is None else str(place.tb_frame.f_globals.get("__name__", ""))
