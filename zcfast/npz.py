"""Arrays of an .npz file, checked as they are read."""

from __future__ import annotations

import math
import os
import sys
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from zcfast.errors import first_line, printable
from zcfast.files import require_memory

COPIES = 2  # of the arrays, that their readers make
KIND_NAMES = {"i": "integers", "u": "integers", "f": "numbers", "S": "strings", "U": "strings", "b": "booleans"}


class Archive:
    """An open .npz file; every error is a ValueError that names the array, what was expected and what came."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file; nothing in it is ever unpickled."""
        self._taken = 0
        try:
            self._file = np.load(path, allow_pickle=False)
        except Exception as error:  # libraries raise anything for damaged bytes
            raise ValueError(f"expected an .npz archive, got a broken one: {first_line(error)}") from error

    def __enter__(self) -> Archive:
        """Return the archive."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the file."""
        self._file.close()

    @property
    def names(self) -> list[str]:
        """The names of all arrays."""
        return list(self._file.files)

    def read(self, name: str, kinds: str, shape: tuple[int | None, ...]) -> npt.NDArray[np.generic]:
        """Read one array; `kinds` are the dtype kinds allowed ("iu", "f", "SU"), None in `shape` is any size."""
        if name not in self.names:
            raise ValueError(f"expected an array {name!r}, got only {printable(', '.join(self.names)) or 'nothing'}")
        broken = f"array {name!r}: expected plain data, got a broken or pickled array"
        try:
            declared, dtype = self._header(name)
        except Exception as error:  # libraries raise anything for damaged bytes
            raise ValueError(f"{broken}: {first_line(error)}") from error
        if dtype.hasobject:
            raise ValueError(f"{broken}: Python's objects")
        if dtype.kind not in kinds:
            expected, came = KIND_NAMES[kinds[0]], KIND_NAMES.get(dtype.kind, str(dtype))
            raise ValueError(f"array {name!r}: expected {expected}, got {came}")
        same = len(shape) == len(declared) and all(
            want in (None, came) for want, came in zip(shape, declared, strict=True)
        )
        if not same:
            expected = ", ".join("*" if want is None else str(want) for want in shape)
            raise ValueError(f"array {name!r}: expected shape [{expected}], got {list(declared)}")
        self._taken += COPIES * math.prod(declared) * dtype.itemsize
        require_memory("its arrays", self._taken)
        try:
            array: npt.NDArray[np.generic] = self._file[name]
        except Exception as error:
            raise ValueError(f"{broken}: {first_line(error)}") from error
        if array.dtype.kind == "U" and array.size and array.view(np.uint32).max() > sys.maxunicode:
            raise ValueError(f"array {name!r}: expected strings, got letters that no text has")
        return array

    def integers(self, name: str, shape: tuple[int | None, ...], low: int, high: int) -> npt.NDArray[np.int64]:
        """Read an array of integers from `low` to `high`."""
        array = self.read(name, "iu", shape)
        if array.size and not low <= array.min() <= array.max() <= high:
            raise ValueError(
                f"array {name!r}: expected integers from {low} to {high}, got {array.min()} to {array.max()}"
            )
        return array.astype(np.int64)

    def _header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """The shape and the dtype that an array says it has, before any of it is unpacked."""
        with self._file.zip.open(f"{name}.npy") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
        return shape, dtype

    def operations(self, expected: tuple[str, ...], width: int) -> npt.NDArray[np.int8]:
        """Read `ops` [N, width], indices into `op_names`, as indices into `expected`; -1 stays -1."""
        names = [str(name) for name in self.read("op_names", "U", (None,))]
        foreign = sorted(set(names) - set(expected))
        if foreign:
            raise ValueError(f"array 'op_names': expected {', '.join(expected)}, got {', '.join(foreign)}")
        operations = self.integers("ops", (None, width), -1, len(names) - 1)
        order = np.array([*(expected.index(name) for name in names), -1], dtype=np.int8)
        return order[operations]
