"""Notes what modules and all that they hold contain, and puts it back where it has changed."""

import functools
import gc
import types
import warnings
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.passes.contents import (
    Containers,
    Group,
    Restore,
    Slotted,
    attributes_of,
    base_of,
    other_restore,
    slots_of,
    tensor_restore,
    tried,
)

LARGEST = 1_000_000  # objects beyond the modules: a net may hold a data set
_SWEEP = 256  # objects compared at once: what has changed is then looked for among them

# What holds nothing that can change.
_ATOMS = frozenset(
    {int, float, complex, bool, str, bytes, type(None), type(Ellipsis), type, range, slice, property}
    | {torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format}
    | {types.FunctionType, types.BuiltinFunctionType, types.ModuleType}
)
# What is compared by whether it is empty, where it is: most of a module's dictionaries.
_PLAIN = frozenset({dict, OrderedDict, list, set, deque})
# What cannot change, and holds what can.
_FIXED = (tuple, frozenset, types.MappingProxyType, types.MethodType, functools.partial)
# Whose objects belong to the process or to other threads: loggers that a pass makes are kept, for one.
_SHARED = frozenset({"asyncio", "concurrent", "logging", "multiprocessing", "queue", "threading"})


class Snapshot:
    """The state of modules and of all that they hold: containers, plain objects, tensors, arrays, generators.

    What iterators, functions, classes, globals and other languages' objects hold cannot be seen. Passes run on
    stand-ins for the modules' own parameters, whose numbers are copied only where something else holds them too.
    """

    def __init__(self, modules: Sequence[nn.Module], *, parameters: bool = False) -> None:
        """Walk through what the modules hold.

        Args:
            modules: all of a net.
            parameters: copy the parameters' numbers too, as something may write to them while no stand-ins are there.
        """
        self._classes = [(module, module.__class__) for module in modules]
        self._restores: list[Restore] = []
        self._open: dict[Any, Group] = {}  # by base or class: the group that takes more
        self._empty: list[Any] = []
        self._kept: list[list[Any]] = []  # ids stay those of one object
        self._seen = {id(module) for module in modules}
        own = self._note_parameters(modules, copied=parameters)
        self._walk(self._new(module._buffers for module in modules), LARGEST)  # before what may be too much
        found = self._new(vars(module) for module in modules)
        for kind, of_kind in _by_kind(modules).items():
            found += self._new(self._slots(kind, of_kind))
        self._walk(found, LARGEST + len(self._seen))
        uncopied = (each for each in own if id(each) not in self._seen and not each.is_inference())
        self._versions = [(each, each._version) for each in uncopied]

    def _note_parameters(self, modules: Sequence[nn.Module], *, copied: bool) -> list[Tensor]:
        values: list[Any] = []
        for kind, held in _by_kind(self._new(module._parameters for module in modules)).items():
            values += self._containers(base_of(kind), held)
        self._open.clear()  # these change in every pass, and others in few
        own = [*{id(value): value for value in values if isinstance(value, Tensor)}.values()]
        self._restores += [tensor_restore(each, copied=copied) for each in own]
        if copied:
            self._new(own)
        return own

    def _walk(self, found: list[Any], largest: int) -> None:
        while found:
            found = self._new(self._level(found))
            if len(self._seen) > largest:
                told = f"module: it holds more than {LARGEST:,} objects; what a pass changes in the rest is kept"
                warnings.warn(told, RuntimeWarning, stacklevel=2)
                return

    def restore(self) -> list[Exception]:
        """Put back what has changed, modules first, and give what was raised where something refuses."""
        for module, kind in self._classes:
            if module.__class__ is not kind:
                module.__class__ = kind
        if any(self._empty):
            for each in filter(None, self._empty):
                each.clear()
        with torch.inference_mode():  # which may write to what was made in it
            failed = tried(self._restores)
            raised = [error for _, error in tried(restore for restore, _ in failed)]
        written = [each for each, version in self._versions if each._version != version]
        if written:
            self._versions = [(each, each._version) for each, _ in self._versions]
            shape = tuple(written[0].shape)
            raised.append(RuntimeError(f"something that cannot be seen has written to a parameter of shape {shape}"))
        return raised

    def _new(self, values: Iterable[Any]) -> list[Any]:
        """Those that can change, or hold what can, and were not seen before."""
        values = [value for value in values if type(value) not in _ATOMS]
        self._empty += (value for value in values if type(value) in _PLAIN and not value)
        found = {id(value): value for value in values if type(value) not in _PLAIN or value}
        for known in self._seen & found.keys():
            del found[known]
        self._seen.update(found)
        self._kept.append(new := list(found.values()))
        return new

    def _level(self, found: list[Any]) -> list[Any]:
        """Note objects, and give what they hold."""
        self._open.clear()  # buffers change together, and the modules that hold them do not
        values: list[Any] = []
        for kind, held in _by_kind(found).items():
            values += self._of_kind(kind, held)
        return values

    def _of_kind(self, kind: type, held: list[Any]) -> list[Any]:
        values: list[Any] = []
        if issubclass(kind, Tensor):
            values += self._tensors(held)
        elif (base := base_of(kind)) is not None:
            values += self._containers(base, held)
        elif issubclass(kind, _FIXED):
            values += gc.get_referents(*held)
        elif (note := other_restore(kind)) is not None:
            self._restores += map(note, held)
            values += (each.tolist() for each in held if getattr(getattr(each, "dtype", None), "hasobject", False))
        elif str(kind.__module__).partition(".")[0] in _SHARED:
            return []
        if (attributes := attributes_of(kind)) is not None:
            values += map(attributes.__get__, held)
        return values + self._slots(kind, held)

    def _containers(self, base: Any, held: list[Any]) -> list[Any]:
        return self._add(base, lambda: Containers(base), held)

    def _slots(self, kind: type, held: list[Any]) -> list[Any]:
        members = slots_of(kind)
        return self._add(kind, lambda: Slotted(members), held) if members else []

    def _add(self, key: Any, make: Any, held: list[Any]) -> list[Any]:
        values: list[Any] = []
        for start in range(0, len(held), _SWEEP):
            group = self._open.get(key)
            if group is None or len(group.held) >= _SWEEP:
                group = self._open[key] = make()
                self._restores.append(group.restore)
            for column in group.add(held[start : start + _SWEEP]):
                values += column
        return values

    def _tensors(self, held: list[Any]) -> list[Any]:
        with torch.no_grad():
            for each in held:
                try:
                    self._restores.append(tensor_restore(each, copied=True))
                except Exception:  # tensors of others' making may not be copied
                    continue
            return [each.grad for each in held if each.is_leaf]


def _by_kind(found: Iterable[Any]) -> dict[type, list[Any]]:
    """By type, and not by __class__: proxies say that they are what they stand for."""
    kinds: dict[type, list[Any]] = {}
    for held in found:
        kinds.setdefault(type(held), []).append(held)
    return kinds
