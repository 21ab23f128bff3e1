"""What a search knows, as plain tensors that can be saved."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, TypeVar

import torch
from torch import Tensor

from zcfast.devices import present_device
from zcfast.errors import first_line
from zcfast.files import reading, replace_file
from zcfast.search.streams import Streams

StateT = TypeVar("StateT", bound="SearchState")
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class SearchState:
    """R independent runs of one algorithm. An algorithm with more to know adds fields: tensors whose first size is R.

    Attributes:
        space: name of the search space; every row is one of its `enumerate()`.
        streams: random numbers of the R runs.
        asked: how often every run has been asked.
        told: how often every run has been told.
    """

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
        return kind(streams=Streams(content["streams"]), **content["fields"])
    except Exception as error:  # fields of another form raise anything
        raise ValueError(f"{expected}, got one with other fields: {first_line(error)}") from error


def put(rows: Tensor, column: int, values: Tensor) -> Tensor:
    """A copy of rows [R, K] with the values [R] in one column."""
    rows = rows.clone()
    rows[:, column] = values
    return rows


def replace(state: StateT, **changes: Any) -> StateT:
    """The state with some fields changed."""
    return dataclasses.replace(state, **changes)
