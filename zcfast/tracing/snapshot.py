"""Notes what objects hold, and puts it back where it has changed."""

import operator
import random
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

LARGEST = 100_000  # objects beyond those of the modules themselves: a net that holds a data set is not walked through

# What holds nothing that can change.
_ATOMS = frozenset(
    {int, float, complex, bool, str, bytes, type(None), type(Ellipsis), type, range, slice, property}
    | {torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format}
    | {types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType}
)
_CONTAINERS = (dict, list, set, deque)
# Whose objects belong to the process or to other threads: loggers that a pass makes are kept, for one.
_SHARED = frozenset({"asyncio", "concurrent", "logging", "multiprocessing", "queue", "threading", "weakref"})


class Snapshot:
    """The state of modules and of all that they hold: containers, plain objects, tensors, arrays, generators.

    What iterators, closures, globals and other languages' objects hold cannot be seen. The modules' own parameters are
    noted as objects, not copied.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        """Walk through what the modules hold."""
        self._seen = {id(module) for module in modules}
        self._seen.update(id(parameter) for module in modules for parameter in module._parameters.values())
        self._classes = [(module, module.__class__) for module in modules]
        self._restores: list[Callable[[], None]] = []
        self._empty: list[tuple[Any, Any]] = []  # with the types whose methods write to them
        self._left = LARGEST
        self._waiting: list[Any] = [vars(module) for module in modules]
        slotted: dict[type, bool] = {}
        for module in modules:
            kind = type(module)
            if slotted.setdefault(kind, any("__slots__" in vars(base) for base in kind.__mro__)):
                self._note_slots(module)
        for held in self._waiting:  # grows while it is walked through
            self._note(held)

    def restore(self) -> list[Exception]:
        """Put back what has changed, modules first, and give what was raised where something refuses."""
        for module, kind in self._classes:
            if module.__class__ is not kind:
                module.__class__ = kind
        for container, base in self._empty:
            if base.__len__(container):
                base.clear(container)
        with torch.inference_mode():  # which may write to what was made in it
            failed = _tried(self._restores)
            return [error for _, error in _tried(restore for restore, _ in failed)]

    def _note(self, held: Any) -> None:
        """Note an object, and put what it holds on the list."""
        kind = type(held)  # not isinstance: proxies say that they are what they stand for
        if issubclass(kind, _CONTAINERS):
            self._note_container(held)
        elif issubclass(kind, tuple):
            self._look_at(held)
        elif issubclass(kind, Tensor):
            self._note_tensor(held)
        elif (generator := _state_of(held)) is not None:
            state, put_back = generator
            self._restores.append(lambda: put_back(state))
        elif _is_array(held):
            content = held.copy()
            self._restores.append(lambda: _write_array(held, content))
        elif kind.__module__.partition(".")[0] not in _SHARED:
            self._note_attributes(held)

    def _note_container(self, held: Any) -> None:
        base = _base(held)
        if not base.__len__(held):
            self._empty.append((held, base))
            return
        if issubclass(base, dict):
            content = dict.copy(held)
            self._restores.append(lambda: _write_dict(held, base, content))
            self._look_at(content.values())
        else:
            items = list(base.__iter__(held))
            self._restores.append(lambda: _write_items(held, base, items))
            self._look_at(items)

    def _note_tensor(self, held: Tensor) -> None:
        # Nets make new sparse and nested tensors, and write to others.
        if is_lazy(held):
            return
        if held.is_leaf:
            needed, gradient = held.requires_grad, held.grad
            self._restores.append(lambda: _write_gradient(held, needed, gradient))
            self._look_at([gradient])
        if held.layout == torch.strided and not (held.is_meta or held.is_nested):
            with torch.no_grad():
                content = held.detach().clone()
            self._restores.append(lambda: _write_tensor(held, content))

    def _note_attributes(self, held: Any) -> None:
        attributes = _attributes(held)
        if attributes is not None:
            self._waiting.append(attributes)
        self._note_slots(held)

    def _note_slots(self, held: Any) -> None:
        slots = dict(_slots(held))
        if slots:
            self._restores.append(lambda: _write_slots(held, slots))
            self._look_at(slots.values())

    def _look_at(self, values: Iterable[Any]) -> None:
        for value in values:
            if type(value) not in _ATOMS and id(value) not in self._seen and self._left:
                self._seen.add(id(value))
                self._waiting.append(value)  # which keeps it, so that its id stays its own
                self._left -= 1


def _tried(restores: Iterable[Callable[[], None]]) -> list[tuple[Callable[[], None], Exception]]:
    """Call all, and give those that raised."""
    failed = []
    for restore in restores:
        try:
            restore()
        except Exception as error:  # the others still come back
            failed.append((restore, error))
    return failed


def _base(container: Any) -> Any:
    """The type whose methods do what they say: those of a subclass may refuse or do more."""
    if issubclass(type(container), OrderedDict):
        return OrderedDict
    return next(kind for kind in _CONTAINERS if issubclass(type(container), kind))


def _write_dict(container: Any, base: Any, content: dict[Any, Any]) -> None:
    if len(content) == base.__len__(container):
        names = zip(base.__iter__(container), content, strict=True)
        if all(a is b for a, b in names) and all(dict.__getitem__(container, k) is v for k, v in content.items()):
            return
    base.clear(container)
    for key, value in content.items():
        base.__setitem__(container, key, value)


def _write_items(container: Any, base: Any, items: list[Any]) -> None:
    present = list(base.__iter__(container))
    if len(present) == len(items) and all(map(operator.is_, present, items)):
        return
    base.clear(container)
    (base.update if base is set else base.extend)(container, items)


def _write_tensor(tensor: Tensor, content: Tensor) -> None:
    if tensor.shape == content.shape and torch.equal(tensor, content):
        return  # a graph of the caller's may need it unwritten
    if tensor.shape != content.shape:  # as the observers of quantisation change theirs
        tensor.resize_(content.shape)
    _without_repeats(tensor).copy_(_without_repeats(content, tensor.stride()))


def _write_gradient(tensor: Tensor, needed: bool, gradient: Tensor | None) -> None:
    if tensor.is_leaf and tensor.requires_grad is not needed:
        tensor.requires_grad_(needed)
    if tensor.is_leaf and tensor.grad is not gradient:
        tensor.grad = gradient


def _write_array(array: Any, content: Any) -> None:
    if array.shape != content.shape or array.tobytes() != content.tobytes():
        array.resize(content.shape, refcheck=False) if array.shape != content.shape else None
        array[...] = content


def _write_slots(held: Any, slots: dict[str, Any]) -> None:
    for name, value in slots.items():
        if getattr(held, name, slots) is not value:
            object.__setattr__(held, name, value)


def _state_of(held: Any) -> tuple[Any, Callable[[Any], Any]] | None:
    """The state of a random generator and what puts it back."""
    kind = type(held)
    if issubclass(kind, torch.Generator):
        return held.get_state(), held.set_state
    if issubclass(kind, random.Random):
        return held.getstate(), held.setstate
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random and issubclass(kind, numpy_random.RandomState):
        return held.get_state(), held.set_state
    if numpy_random and issubclass(kind, numpy_random.Generator):
        bits = held.bit_generator
        return bits.state, lambda state: setattr(bits, "state", state)
    return None


def _is_array(held: Any) -> bool:
    numpy: Any = sys.modules.get("numpy")
    return numpy is not None and issubclass(type(held), numpy.ndarray)


def _attributes(held: Any) -> dict[str, Any] | None:
    """An object's own dictionary, without a call of what its class may have put in its place."""
    try:
        found = object.__getattribute__(held, "__dict__")
    except Exception:  # a property of the user's
        return None
    return found if type(found) is dict else None


def _slots(held: Any) -> Iterator[tuple[str, Any]]:
    """The attributes that a class keeps in slots, of those that are set."""
    for kind in type(held).__mro__:
        for name in vars(kind).get("__slots__", ()) if isinstance(vars(kind).get("__slots__"), (tuple, list)) else ():
            member = vars(kind).get(name)
            if isinstance(member, types.MemberDescriptorType):
                try:
                    yield name, member.__get__(held, kind)
                except AttributeError:
                    continue


def _without_repeats(buffer: Tensor, strides: Sequence[int] | None = None) -> Tensor:
    """One of each number that an expanded tensor repeats, since torch does not write to repeated ones."""
    for dim, stride in enumerate(buffer.stride() if strides is None else strides):
        if stride == 0:
            buffer = buffer.narrow(dim, 0, 1)
    return buffer
