"""Reads pickles of results, and nothing else that a pickle could do.

A pickle is a program. This reader runs it only after `_tables.pickle_size` has walked it: opcodes that containers,
numbers and text need, no length or memo index beyond the file, no tuple that is costly to hash. The names that it may
call are OrderedDict, set, numpy's scalars and dtypes, and `_codecs.encode`, by which old pickles spell bytes; each is
replaced by a function of this file, so no code that the pickle names runs at all.
"""

from __future__ import annotations

import bz2
import io
import mmap
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from zcfast import _tables
from zcfast.errors import first_line
from zcfast.files import memory_budget, require_memory

BZIP2_MAGIC, ZIP_MAGIC = b"BZh", b"PK\x03\x04"
TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # the first of the pickles in a file of torch.save before torch 1.6
SCALARS = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1")


def is_pickle(path: Path) -> bool:
    """Whether a file begins as a pickle does, bare, packed by bzip2 or in the zip archive of torch.save."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == ZIP_MAGIC:
        try:
            with zipfile.ZipFile(path) as archive:
                return _data_entry(archive) is not None
        except Exception:  # libraries raise anything for damaged bytes
            return False
    return magic.startswith(BZIP2_MAGIC) or (magic[:1] == b"\x80" and magic[1:2] in (b"\2", b"\3", b"\4", b"\5"))


def read(path: Path) -> Any:
    """The containers, numbers and text of a pickle; numpy's scalars become Python's.

    Errors: ValueError for a damaged or hostile file and for one that names anything else, with that name.
    """
    try:
        budget = memory_budget() // 2  # the bytes, and what is made of the objects, take the rest
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic.startswith(BZIP2_MAGIC):
                content = _unpacked(bz2.BZ2File(file))
                return _first_object(content, io.BytesIO(content), budget)
            if magic == ZIP_MAGIC:
                content = _unpack_zip(file)
                return _first_object(content, io.BytesIO(content), budget)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                return _first_object(mapped, file, budget)
    except Exception as error:  # libraries raise anything for damaged bytes
        raise ValueError(f"expected a pickle of results, got {first_line(error)}") from error


def _first_object(content: bytes | mmap.mmap, stream: IO[bytes], budget: int) -> Any:
    objects = _objects(content, stream, budget)
    first = next(objects)
    if first != TORCH_MAGIC:
        return first
    next(objects), next(objects)  # the version of the format, and of the machine
    return next(objects)


def _objects(content: bytes | mmap.mmap, stream: IO[bytes], budget: int) -> Iterator[Any]:
    """The objects of pickles that stand one after another."""
    start = 0
    while start < len(content):
        size = _tables.pickle_size(content, start, budget)
        stream.seek(start)
        yield _AllowList(stream).load()
        start += size
    raise ValueError("a file that ends before its results")


class _AllowList(pickle.Unpickler):
    """Python's machine, with functions of this file for the few names that results need."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self._known = _constructors()

    def find_class(self, module: str, name: str) -> Any:
        known = self._known.get((module.replace("numpy._core", "numpy.core"), name))
        if known is None:
            raise ValueError(f"one that names {module:.40}.{name:.40}: only numbers, text and containers are read")
        return known


class _Dtype:
    """A dtype of numpy by its name, for scalars."""

    def __init__(self, name: str) -> None:
        if name not in SCALARS:
            raise ValueError(f"one with the dtype {str(name)[:40]!r}: expected a number")
        self.name = name

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the byte order, which every file has as little endian or none."""
        if state[1] not in ("<", "|", "="):
            raise ValueError("one with numbers that are not little endian")


def _constructors() -> dict[tuple[str, str], Callable[..., Any]]:
    """What each allowed name makes; made afresh for every pickle, for a pickle may write into what it names."""

    def ordered() -> dict[Any, Any]:
        return {}

    def collection(items: list[Any]) -> list[Any]:
        return items

    def scalar(dtype: _Dtype, data: bytes) -> Any:
        value = np.frombuffer(data, dtype=f"<{dtype.name}")
        if len(value) != 1:
            raise ValueError("one with a damaged number")
        return value[0].item()

    def dtype(name: str, align: object, copy: object) -> _Dtype:
        return _Dtype(name)

    def encode(text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise ValueError(f"one with bytes in the encoding {encoding!r}")
        return text.encode("latin-1")

    return {
        ("collections", "OrderedDict"): ordered,
        ("builtins", "set"): collection,
        ("__builtin__", "set"): collection,
        ("numpy.core.multiarray", "scalar"): scalar,
        ("numpy", "dtype"): dtype,
        ("_codecs", "encode"): encode,
    }


def _unpacked(packed: IO[bytes]) -> bytes:
    limit = memory_budget() // 4
    with packed:
        content = packed.read(limit + 1)
    require_memory("four times what it unpacks to", 4 * len(content))
    return content


def _unpack_zip(file: IO[bytes]) -> bytes:
    with zipfile.ZipFile(file) as archive:
        entry = _data_entry(archive)
        if entry is None:
            raise ValueError("a zip archive without data.pkl")
        return _unpacked(archive.open(entry))


def _data_entry(archive: zipfile.ZipFile) -> str | None:
    entries = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    return entries[0] if len(entries) == 1 else None
