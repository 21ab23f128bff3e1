"""From the key of an architecture to its row in a table."""

from __future__ import annotations

import numbers
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zcfast.spaces import Cells, CellSpace, Texts
from zcfast.spaces import space as named_space

Keys = Cells | Tensor | npt.NDArray[Any] | Sequence[str] | Sequence[int]
DIGITS = re.compile("[0-9a-fA-F]{32}")  # of a hash


def rows_of(space: str, names: tuple[str, ...], keys: Any) -> Tensor:
    """Row of each of N keys, int64 [N], -1 where there is none; the keys are those of `Table.query`."""
    keys = _tensor_of_numbers(keys)
    if isinstance(keys, Tensor) and keys.dim() == 1 and not (keys.is_floating_point() or keys.dtype == torch.bool):
        size = len(names) or len(named_space(space))
        keys = keys.cpu().long()
        return torch.where((keys >= 0) & (keys < size), keys, -1)
    if names:
        if isinstance(keys, Texts):
            keys = keys.texts
        if isinstance(keys, str | Cells | Tensor):
            raise ValueError(f"keys: expected names or row numbers of {space}, got {type(keys).__name__}")
        place = {name: row for row, name in enumerate(names)}
        return torch.tensor([place.get(key, -1) for key in keys], dtype=torch.int64)
    return _rows_in_space(named_space(space), keys)


def _tensor_of_numbers(keys: Any) -> Any:
    """Row numbers and digests of another library, or in a sequence, as a tensor; all other keys as they are."""
    if isinstance(keys, str | Cells | Tensor):
        return keys
    if hasattr(keys, "__array__"):
        array = np.asarray(keys)
        if array.dtype.kind not in "iub":
            return array.tolist()
        return torch.from_numpy(array.astype(np.int64) if array.ndim == 1 and array.dtype.kind != "b" else array.copy())
    if isinstance(keys, Sequence) and keys and all(map(_is_row, keys)):
        return torch.tensor([int(key) for key in keys])
    if not isinstance(keys, Iterable):
        raise ValueError(f"keys: expected architectures, rows, digests or strings, got {keys!r}")
    return keys


def _is_row(key: Any) -> bool:
    return isinstance(key, numbers.Integral) and not isinstance(key, bool)


def _rows_in_space(space: CellSpace[Any], keys: Any) -> Tensor:
    if isinstance(keys, Cells):
        return space.index(keys).cpu()
    if isinstance(keys, Tensor):
        return rows_of_digests(space, keys)
    texts = [keys] if isinstance(keys, str) else list(keys)
    if texts and all(isinstance(text, str) and DIGITS.fullmatch(text) for text in texts):
        digests = np.frombuffer(bytes.fromhex("".join(texts)), dtype=np.uint8).reshape(len(texts), -1)
        return rows_of_digests(space, torch.from_numpy(digests.copy()))
    return space.index(space.parse(texts)).cpu()


def rows_of_digests(space: CellSpace[Any], digests: Tensor) -> Tensor:
    """Row in `space.enumerate()` of each digest uint8 [N, B], int64 [N], -1 where the space has no such digest."""
    width = _digest_bytes(space)
    if digests.dtype != torch.uint8 or digests.dim() != 2 or digests.shape[1] != width:
        came = f"{digests.dtype} {list(digests.shape)}"
        raise ValueError(f"keys: expected row numbers [N] or digests uint8 [N, {width}] of {space.name}, got {came}")
    known, order = _sorted_digests(space.name)
    wanted = _as_strings(digests.cpu())
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return torch.from_numpy(np.where(known[place] == wanted, order[place], -1))


def _digest_bytes(space: CellSpace[Any]) -> int:
    keys = space.keys(space.enumerate()[:1])
    if keys.dim() != 2:
        raise ValueError(f"{space.name} has no hashes; use index or architecture")
    return keys.shape[1]


@cache
def _sorted_digests(name: str) -> tuple[npt.NDArray[np.bytes_], npt.NDArray[np.int64]]:
    space = named_space(name)
    strings = _as_strings(space.keys(space.enumerate()))
    order = np.argsort(strings)
    return strings[order], order


def _as_strings(digests: Tensor) -> npt.NDArray[np.bytes_]:
    """Digests uint8 [N, B] as N byte strings, which numpy can sort."""
    return digests.contiguous().numpy().view(f"S{digests.shape[1]}").reshape(-1)
