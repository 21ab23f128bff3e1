"""Reads pickles of plain data from files that nobody vouches for."""

import io
import math
import pickle
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from zcfast import _tables
from zcfast.errors import first_line
from zcfast.files import memory_budget, read_bytes


def unpickle(path: Path) -> dict[Any, Any]:
    """The dictionary of a pickle that is built from None, numbers, text, bytes, lists, tuples and arrays.

    Text of Python 2 is read as bytes. Arrays are of integers, floats or booleans. A pickle that names anything else is
    refused before it is called.

    Raises:
        ValueError: the file is no pickle, a broken one, holds no dictionary, or names what plain data does not need.
        OSError: it cannot be read.
    """
    content = read_bytes(path, 2)
    try:
        # Before Python's machine sees it: nesting and lengths that would crash it or fill the memory.
        _tables.pickle_size(content, 0, memory_budget() // 2)
    except ValueError as error:
        raise ValueError(f"expected a pickle of plain data, got a broken file: {first_line(error)}") from error
    with io.BytesIO(content) as file:
        try:
            value = _Unpickler(file, encoding="bytes").load()
            if isinstance(value, dict):
                return {key: item.value if isinstance(item, _Array) else item for key, item in value.items()}
        except _RefusedError as error:
            raise ValueError(f"expected a pickle of plain data, got one that names {first_line(error)}") from error
        except Exception as error:  # broken bytes can raise anything
            raise ValueError(f"expected a pickle of plain data, got a broken file: {first_line(error)}") from error
    raise ValueError(f"expected a pickle of a dictionary, got one of {type(value).__name__.lstrip('_')}")


class _RefusedError(Exception):
    """A name that plain data does not need."""


class _Inert:
    """Stands in for what a pickle may name. A pickle can call it and set its state, and no more than that."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a state where none belongs")


class _NdarrayType(_Inert):
    """numpy.ndarray, which a pickle names only to hand it to _reconstruct."""

    __slots__ = ()


class _Reconstruct(_Inert):
    """numpy's _reconstruct: an array before its state."""

    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, code: Any) -> "_Array":
        return _Array()


class _Encode(_Inert):
    """_codecs.encode: bytes as Python 3 writes them for Python 2."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise ValueError("bytes in an unknown encoding")
        return text.encode("latin1")


class _MakeDtype(_Inert):
    """numpy.dtype."""

    __slots__ = ()

    def __call__(self, code: Any, *flags: Any) -> "_Dtype":
        return _Dtype(_text(code))


class _FromBuffer(_Inert):
    """numpy's _frombuffer: an array of pickle protocol 5."""

    __slots__ = ()

    def __call__(self, data: Any, dtype: Any, shape: Any, order: Any) -> "_Array":
        if not isinstance(data, bytes | bytearray):
            raise ValueError("an array without numbers")
        array = _Array()
        array.__setstate__((1, shape, dtype, order == "F", bytes(data)))
        return array


class _Dtype:
    """A dtype of plain numbers: its code and byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        if not re.fullmatch(r"[iuf][1248]|b1", code):
            raise _RefusedError(f"an array of {code}")
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        order = _text(state[1])
        self.order = order if order in ("<", ">") else "="


class _Array:
    """An array: its state is checked before numpy sees it."""

    __slots__ = ("value",)

    value: npt.NDArray[Any]

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError("an array without a shape")
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
            raise ValueError("an array without numbers")
        kind = np.dtype(dtype.order + dtype.code)
        if len(data) != math.prod(shape) * kind.itemsize:
            raise ValueError(f"an array of {len(data)} bytes for shape {list(shape)}")
        self.value = np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")


class _Unpickler(pickle.Unpickler):
    """Knows a few names of numpy, and gives its own stand-ins for them."""

    _KNOWN: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy", "ndarray"): _NdarrayType(),
        ("numpy", "dtype"): _MakeDtype(),
        ("_codecs", "encode"): _Encode(),
        # numpy 2 renamed numpy.core to numpy._core.
        ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
        ("numpy._core.multiarray", "_reconstruct"): _Reconstruct(),
        ("numpy.core.numeric", "_frombuffer"): _FromBuffer(),
        ("numpy._core.numeric", "_frombuffer"): _FromBuffer(),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise _RefusedError(f"{module}.{name}")
        return self._KNOWN[module, name]


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)
