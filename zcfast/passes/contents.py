"""How the contents of each kind of object are read, and written back where they have changed."""

import array
import operator
import random
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, chain, pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

Restore = Callable[[], object]
_CONTAINERS = (OrderedDict, dict, list, set, deque)
_MISSING = object()
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by the size of a float


def tried(restores: Iterable[Restore]) -> list[tuple[Restore, Exception]]:
    """Call all, and give those that raised."""
    failed = []
    for restore in restores:
        try:
            restore()
        except Exception as error:  # the others still come back
            failed.append((restore, error))
    return failed


def base_of(kind: type) -> Any:
    """The type of container whose methods do what they say, as those of a subclass may refuse or do more; or None."""
    return next((base for base in _CONTAINERS if issubclass(kind, base)), None)


class Group:
    """Objects of one kind, compared in one sweep: nets hold hundreds of thousands that no pass changes.

    Their items lie in columns: keys and values, or one a slot, each with as many entries an object as it has items.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.held: list[Any] = []
        self._sizes: list[int] = []
        self._columns: list[list[Any]] = []

    def sizes(self, held: Sequence[Any]) -> list[int]:
        """How many items each object has."""
        raise NotImplementedError

    def columns(self, held: Sequence[Any]) -> list[Iterable[Any]]:
        """The items of all objects."""
        raise NotImplementedError

    def write(self, held: Any, columns: list[list[Any]]) -> None:
        """Give an object its items."""
        raise NotImplementedError

    def add(self, held: Sequence[Any]) -> list[list[Any]]:
        """Note objects, and give their items."""
        columns = [list(column) for column in self.columns(held)]
        self.held += held
        self._sizes += self.sizes(held)
        self._columns = [a + b for a, b in zip(self._columns, columns, strict=True)] if self._columns else columns
        return columns

    def restore(self) -> None:
        """Write to the objects whose items are others than they were.

        Raises:
            Exception: what the first of those raised that refuse.
        """
        sizes, columns = self.sizes(self.held), [list(column) for column in self.columns(self.held)]
        if sizes != self._sizes or not all(map(_same, columns, self._columns)):
            failed = tried(self._writes(sizes, columns))
            if failed:
                raise failed[0][1]

    def _writes(self, sizes: list[int], columns: list[list[Any]]) -> Iterator[Restore]:
        for held, before, now in zip(self.held, _places(self._sizes), _places(sizes), strict=True):
            if before[0] == before[1] and now[0] == now[1]:
                continue
            wanted = [column[slice(*before)] for column in self._columns]
            if not all(map(_same, wanted, (column[slice(*now)] for column in columns))):
                yield partial(self.write, held, wanted)


def _same(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(map(operator.is_, a, b))


def _places(sizes: list[int]) -> Iterator[tuple[int, int]]:
    return pairwise(accumulate(sizes, initial=0))


class Containers(Group):
    """Dictionaries, lists, sets or deques."""

    def __init__(self, base: Any) -> None:
        """Take the type whose methods are used."""
        super().__init__()
        self._base = base
        self._views = (base.__iter__, base.values) if issubclass(base, dict) else (base.__iter__,)

    def sizes(self, held: Sequence[Any]) -> list[int]:
        """The lengths."""
        return list(map(self._base.__len__, held))

    def columns(self, held: Sequence[Any]) -> list[Iterable[Any]]:
        """The keys and the values, or the items."""
        return [chain.from_iterable(map(view, held)) for view in self._views]

    def write(self, held: Any, columns: list[list[Any]]) -> None:
        """Empty the container and fill it again."""
        base = self._base
        base.clear(held)
        if issubclass(base, dict):
            for key, value in zip(*columns, strict=True):
                base.__setitem__(held, key, value)
        else:
            (base.update if base is set else base.extend)(held, columns[0])


class Slotted(Group):
    """Objects of a class that keeps attributes in slots."""

    def __init__(self, members: Sequence[Any]) -> None:
        """Take the descriptors of the slots."""
        super().__init__()
        self._members = members

    def sizes(self, held: Sequence[Any]) -> list[int]:
        """One entry in each column."""
        return [1] * len(held)

    def columns(self, held: Sequence[Any]) -> list[Iterable[Any]]:
        """The attributes, a column a slot."""
        return [_read_slot(member, held) for member in self._members]

    def write(self, held: Any, columns: list[list[Any]]) -> None:
        """Set the attributes that are others."""
        for member, (value,) in zip(self._members, columns, strict=True):
            (present,) = _read_slot(member, [held])
            if value is _MISSING and present is not _MISSING:
                member.__delete__(held)
            elif value is not present:
                member.__set__(held, value)


def _read_slot(member: Any, held: Sequence[Any]) -> list[Any]:
    try:
        return list(map(member.__get__, held))
    except AttributeError:  # some object lacks it
        return [_get(member, each) for each in held]


def _get(member: Any, held: Any) -> Any:
    try:
        return member.__get__(held)
    except AttributeError:
        return _MISSING


def slots_of(kind: type) -> list[Any]:
    """The descriptors of a class's slots, whatever their names have become in it."""
    bases = [vars(base) for base in kind.__mro__ if "__slots__" in vars(base)]
    return [member for base in bases for member in base.values() if isinstance(member, types.MemberDescriptorType)]


def attributes_of(kind: type) -> Any:
    """The descriptor that gives an object's own dictionary, whatever its class has put in that one's place; or None."""
    found = (vars(base).get("__dict__") for base in kind.__mro__)
    kinds = types.GetSetDescriptorType, types.MemberDescriptorType
    return next((member for member in found if isinstance(member, kinds)), None)


def tensor_restore(held: Tensor, *, copied: bool) -> Restore:
    """Note which memory a tensor has, and of a leaf the gradient; and the numbers, if they are to be copied."""
    leaf = held.is_leaf
    needed, gradient = (held.requires_grad, held.grad) if leaf else (False, None)
    readable = not (is_lazy(held) or held.is_meta or held.is_nested)
    memory = held.detach() if readable else None
    content = memory.clone() if memory is not None and copied else None

    def restore() -> None:
        if leaf and held.is_leaf and (held.requires_grad is not needed or held.grad is not gradient):
            if held.requires_grad is not needed:
                held.requires_grad_(needed)
            held.grad = gradient
        if memory is not None and not _same_memory(held, memory):
            held.data = memory
        if content is not None and not _equal(held, content):  # else a graph of the caller's may need it unwritten
            _write_tensor(held, content)

    return restore


def _same_memory(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors lie in one place; of sparse ones, whether they may."""
    if a.dtype is not b.dtype or a.layout is not b.layout or a.shape != b.shape:
        return False
    return a.layout != torch.strided or (a.data_ptr() == b.data_ptr() and a.stride() == b.stride())


def _write_tensor(tensor: Tensor, content: Tensor) -> None:
    if tensor.layout == torch.strided:
        # By data: graphs of the caller's and of a pass keep a tensor that has its numbers back.
        _without_repeats(tensor.data).copy_(_without_repeats(content, tensor.stride()))
    else:
        tensor.copy_(content)


def _equal(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape:
        return False
    if a.layout == torch.strided:
        return _equal_bits(a, b)
    return all(x.shape == y.shape and _equal_bits(x, y) for x, y in zip(_parts(a), _parts(b), strict=True))


def _parts(x: Tensor) -> tuple[Tensor, ...]:
    """The dense tensors that a tensor consists of."""
    if x.layout == torch.sparse_coo:
        return x._indices(), x._values()
    if x.layout in (torch.sparse_csr, torch.sparse_bsr):
        return x.crow_indices(), x.col_indices(), x.values()
    if x.layout in (torch.sparse_csc, torch.sparse_bsc):
        return x.ccol_indices(), x.row_indices(), x.values()
    return (x.to_dense(),)


def _equal_bits(a: Tensor, b: Tensor) -> bool:
    """As torch.equal, but NaN is NaN and 0 is not -0."""
    if a.is_complex():
        a, b = torch.view_as_real(a.resolve_conj()), torch.view_as_real(b.resolve_conj())
    if a.is_floating_point() and a.dtype == b.dtype:
        a, b = a.view(_BITS[a.element_size()]), b.view(_BITS[b.element_size()])
    return torch.equal(a, b)


def _without_repeats(buffer: Tensor, strides: Sequence[int] | None = None) -> Tensor:
    """One of each number that an expanded tensor repeats, since torch does not write to repeated ones."""
    for dim, stride in enumerate(buffer.stride() if strides is None else strides):
        if stride == 0:
            buffer = buffer.narrow(dim, 0, 1)
    return buffer


def other_restore(kind: type) -> Callable[[Any], Restore] | None:
    """What notes an object of a kind that is neither a container nor a tensor nor all in its attributes."""
    if issubclass(kind, (bytearray, array.array)):
        return _array_restore
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.ndarray):
        return _numpy_restore
    state = _state_of(kind)
    return None if state is None else lambda held: _state_restore(held, *state)


def _array_restore(held: Any) -> Restore:
    content = held[:]

    def restore() -> None:
        if bytes(held) != bytes(content):
            held[:] = content

    return restore


def _numpy_restore(held: Any) -> Restore:
    content = held.copy()

    def restore() -> None:
        if held.shape != content.shape:
            held.resize(content.shape, refcheck=False)
        if held.tobytes() != content.tobytes():
            held[...] = content

    return restore


def _state_restore(held: Any, get: Callable[[Any], Any], put: Callable[[Any, Any], object]) -> Restore:
    state = get(held)
    return lambda: put(held, state)


def _state_of(kind: type) -> tuple[Callable[[Any], Any], Callable[[Any, Any], object]] | None:
    """What gives a random generator's state and what puts it back."""
    if issubclass(kind, torch.Generator):
        return torch.Generator.get_state, torch.Generator.set_state
    if issubclass(kind, random.Random):
        return kind.getstate, kind.setstate
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random and issubclass(kind, numpy_random.RandomState):
        return kind.get_state, kind.set_state  # type: ignore[attr-defined]
    if numpy_random and issubclass(kind, numpy_random.BitGenerator):
        return operator.attrgetter("state"), lambda held, state: setattr(held, "state", state)
    if numpy_random and issubclass(kind, numpy_random.Generator):
        bits = operator.attrgetter("bit_generator")
        return lambda held: bits(held).state, lambda held, state: setattr(bits(held), "state", state)
    return None
