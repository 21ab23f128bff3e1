"""What a search knows, as plain tensors that can be saved."""

from __future__ import annotations

import dataclasses
import os
import zipfile
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from zcfast import _tables
from zcfast.devices import present_device
from zcfast.errors import first_line
from zcfast.files import reading, replace_file, require_memory
from zcfast.search.streams import Streams
from zcfast.spaces import space as named_space

StateT = TypeVar("StateT", bound="SearchState")
FORMAT = 1
COPIES = 2  # of the tensors, while they are checked
LARGEST_PICKLE = 1 << 24  # bytes of the objects beside the tensors


@dataclasses.dataclass(frozen=True)
class SearchState:
    """R independent runs of one algorithm. An algorithm with more to know adds fields: tensors whose first size is R.

    Attributes:
        space: name of the search space; every row is one of its `enumerate()`.
        streams: random numbers of the R runs.
        asked: how often every run has been asked.
        told: how often every run has been told.
    """

    of_rows: ClassVar[tuple[str, ...]] = ()  # the fields whose numbers are all rows of the space

    space: str
    streams: Streams
    asked: int
    told: int

    @property
    def runs(self) -> int:
        """Number of runs, R."""
        return len(self.streams)

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.streams.keys.device


def save_state(state: SearchState, path: str | os.PathLike[str]) -> None:
    """Write a state to a file that `load_state` reads; `path` is replaced in one step. Errors: OSError."""
    fields = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    content = {"zcfast": FORMAT, "kind": type(state).__name__, "streams": fields.pop("streams").keys, "fields": fields}
    with replace_file(path) as temporary:
        torch.save(content, temporary)


def load_state(kind: type[StateT], path: str | os.PathLike[str], device: torch.device | str = "cpu") -> StateT:
    """Read a state of a kind, which `algorithm.state` names. Nothing but tensors, numbers and text is unpickled.

    Errors: ValueError for a missing or damaged file, the state of another algorithm, a device that is not there.
    """
    device = present_device(device)
    if not (isinstance(kind, type) and issubclass(kind, SearchState)):
        raise ValueError(f"kind: expected a kind of state, which algorithm.state names, got {kind!r}")
    expected = f"{path}: expected a saved state of a search"
    with reading(path, "a saved state of a search"):
        try:
            _check_archive(path)
            content = torch.load(path, map_location=device, weights_only=True)
        except OSError:
            raise
        except Exception as error:  # libraries raise anything for damaged bytes
            raise ValueError(f"{expected}, got another file: {first_line(error)[:80]}") from error
    if not isinstance(content, dict) or content.get("zcfast") != FORMAT:
        raise ValueError(f"{expected}, got another file")
    if content.get("kind") != kind.__name__:
        raise ValueError(f"{expected} of kind {kind.__name__}, got {content.get('kind')}")
    try:
        state = kind(streams=Streams(content["streams"]), **content["fields"])
    except Exception as error:  # fields of another form raise anything
        raise ValueError(f"{expected}, got one with other fields: {first_line(error)}") from error
    try:
        _check(state)
    except ValueError as error:
        raise ValueError(f"{expected}, got a damaged one: {error}") from error
    return state


def _check_archive(path: str | os.PathLike[str]) -> None:
    """Raise for damage that torch, which reads no checksums, would take, and for more than may be taken."""
    with zipfile.ZipFile(path) as archive:
        require_memory("its tensors", COPIES * sum(entry.file_size for entry in archive.infolist()))
        damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"a damaged one: the checksum of {damaged} does not match")
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        for name in pickles:
            _tables.pickle_size(archive.read(name), 0, LARGEST_PICKLE)


def _check(state: SearchState) -> None:
    """Raise a ValueError that names a field which no search leaves so."""
    keys = state.streams.keys
    if not isinstance(keys, Tensor) or keys.dtype != torch.int64 or keys.dim() != 1:
        raise ValueError("streams: expected keys, an int64 tensor of one dimension")
    kinds = {"Tensor": Tensor, "int": int, "str": str}
    for field in dataclasses.fields(state):
        value = getattr(state, field.name)
        expected = kinds.get(str(field.type))
        if expected is not None and (not isinstance(value, expected) or isinstance(value, bool)):
            raise ValueError(f"{field.name}: expected {expected.__name__}, got {type(value).__name__}")
        if isinstance(value, int) and not 0 <= value < 1 << 60:
            raise ValueError(f"{field.name}: expected a number from 0 on, got {value}")
        if isinstance(value, Tensor) and (value.dim() == 0 or len(value) != len(keys)):
            raise ValueError(f"{field.name}: expected {len(keys)} runs, got shape {list(value.shape)}")
    if state.told > state.asked:
        raise ValueError(f"told: expected at most asked, {state.asked}, got {state.told}")
    size = len(named_space(state.space))
    for name in state.of_rows:
        rows = getattr(state, name)
        if rows.dtype != torch.int64 or bool(((rows < 0) | (rows >= size)).any()):
            raise ValueError(f"{name}: expected int64 rows of {state.space}, 0 to {size - 1}")


def put(rows: Tensor, column: int, values: Tensor) -> Tensor:
    """A copy of rows [R, K] with the values [R] in one column."""
    rows = rows.clone()
    rows[:, column] = values
    return rows


def replace(state: StateT, **changes: Any) -> StateT:
    """The state with some fields changed."""
    return dataclasses.replace(state, **changes)
