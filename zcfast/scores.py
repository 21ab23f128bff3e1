"""Scores of many architectures and their Parquet file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zcfast import notebook
from zcfast.data.header import SCORES, sealed
from zcfast.data.provenance import Provenance
from zcfast.errors import check_kind, first_line, integer, printable, unknown
from zcfast.order import best_first
from zcfast.spaces import Cells, Enumerated, SearchSpace, as_space
from zcfast.spaces.absent import AbsentSpace
from zcfast.spaces.registry import loaded_space

if TYPE_CHECKING:
    import pyarrow

KEY_COLUMNS = ("index", "hash", "architecture")
REASON = "reason_"  # followed by the name of a column: the column of the file that says why it has no number


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """One row an architecture: its encoding and one column for each proxy.

    Attributes:
        space: the search space; its name is taken too.
        cells: the N architectures scored.
        columns: proxy name -> [N] tensor. Higher is better. NaN: no score; -inf: the logarithm of a score of zero.
        provenance: how the scores were made, with the definition and unit of each column.
        reasons: proxy name -> N texts, why there is no score ("undefined: ...", "refused: ..." or "failed: ...", see
            zcfast.Score) and "" where there is one; only for columns in which a score is missing.

    Errors: ValueError for a column without one entry for each cell, or with the name of another column of the file.
    """

    space: SearchSpace[Any]
    cells: Cells
    columns: dict[str, Tensor]
    provenance: Provenance = dataclasses.field(default_factory=Provenance)
    reasons: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the space of a name, and check the columns against the cells."""
        check_kind("provenance", self.provenance, Provenance)
        object.__setattr__(self, "space", as_space(self.space))
        taken = {*KEY_COLUMNS, *self.cells.tensors()}
        for name, column in self.columns.items():
            if column.shape != (len(self),):
                raise ValueError(f"column {name!r}: expected shape [{len(self)}], got {list(column.shape)}")
            if name in taken:
                raise ValueError(f"column {name!r}: the name belongs to the encoding of the cells")
        for name, texts in self.reasons.items():
            if name not in self.columns or REASON + name in {*taken, *self.columns}:
                raise ValueError(f"reasons: expected the names of columns, got {name!r}")
            if len(texts) != len(self):
                raise ValueError(f"reasons of {name!r}: expected one for each of {len(self)} cells, got {len(texts)}")

    def __len__(self) -> int:
        """Return the number of architectures."""
        return len(self.cells)

    def __getitem__(self, column: str) -> Tensor:
        """Return the column [N] of that name; an unknown name is a ValueError with the near matches."""
        if column not in self.columns:
            raise unknown("column", column, self.columns)
        return self.columns[column]

    def __repr__(self) -> str:
        """The space, the number of architectures and the columns."""
        return f"Scores({self.space.name}: {len(self):,} architectures; {', '.join(self.columns)})"

    def _repr_html_(self) -> str:
        """A short table for a notebook."""
        first, shown = self.cells[: notebook.ROWS], list(self.columns)[: notebook.COLUMNS]
        listed = self.space.offers(Enumerated)
        labels = self.space.format(first) if listed is None else map(str, listed.index(first).tolist())
        values = [[notebook.number(value) for value in self[name][: notebook.ROWS].tolist()] for name in shown]
        rows = [[label, *row] for label, *row in zip(labels, *values, strict=True)]
        title = f"{self.space.name}: {len(self):,} architectures, {notebook.count(len(self.columns), 'score')}"
        headings = ["architecture" if listed is None else "index", *shown]
        left_out = ((len(self) - notebook.ROWS, "row"), (len(self.columns) - notebook.COLUMNS, "column"))
        return notebook.table(title, headings, rows, left_out)

    def top(self, k: int, by: str) -> Tensor:
        """Rows of the k highest entries of a column, best first, int64 [min(k, N)].

        Equal entries come in the order of their rows, -inf after every number and NaN after that.
        """
        if integer("k", k) < 0:
            raise ValueError(f"k: expected a number of rows >= 0, got {k}")
        return best_first(self[by])[:k]

    def to_arrow(self) -> pyarrow.Table:
        """The scores as an Arrow table, one row an architecture.

        Columns: `index`, the row of the architecture in the space's `enumerate()`, if it has one; its name, `hash` of
        32 hexadecimal digits where the benchmark's release has these, else `architecture`, its text; its encoding, one
        column for each field of the cells; the scores; `reason_` and the name of a column, the texts of `reasons`, null
        where there is a score. The schema's metadata has the provenance as JSON under the key b"zcfast".
        """
        import pyarrow

        arrays = self._names()
        for name, column in {**self.cells.tensors(), **self.columns}.items():
            arrays[name] = _to_arrow(column)
        for name, texts in self.reasons.items():
            arrays[REASON + name] = pyarrow.array([text or None for text in texts], pyarrow.string())
        return pyarrow.table(arrays).replace_schema_metadata(sealed(SCORES, self._header()))

    def to_pandas(self) -> Any:
        """The table of `to_arrow` as a pandas frame. Errors: ImportError without pandas."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """The table of `to_arrow` as a polars frame. Errors: ImportError without polars."""
        import polars

        return polars.from_arrow(self.to_arrow())

    def _header(self) -> dict[str, Any]:
        return {"space": self.space.name, "columns": list(self.columns), "provenance": self.provenance.as_json()}

    def keys(self) -> Tensor | list[str]:
        """What a table finds the architectures by: rows of the space's `enumerate()`, int64 [N], or their texts.

        Errors: ValueError for an architecture outside the space.
        """
        self.space.require_valid(self.cells)
        listed = self.space.offers(Enumerated)
        return self.space.format(self.cells) if listed is None else listed.index(self.cells).cpu()

    def _names(self) -> dict[str, pyarrow.Array]:
        """The columns that say which architectures these are."""
        import pyarrow

        arrays = {}
        listed = self.space.offers(Enumerated)
        if listed is not None:
            arrays["index"] = _to_arrow(listed.index(self.cells))
            keys = listed.keys(self.cells)
            if keys.dim() == 2:
                return {**arrays, "hash": _hexadecimal(keys)}
        return {**arrays, "architecture": pyarrow.array(self.space.format(self.cells), pyarrow.string())}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table of `to_arrow` as a Parquet file; `path` is replaced in one step or not at all.

        Errors: OSError for a path that cannot be written.
        """
        from zcfast.data.saved import write_saved

        write_saved(path, SCORES, self._header(), self.to_arrow())

    @classmethod
    def load(cls, path: str | os.PathLike[str], space: str | SearchSpace[Any] | None = None) -> Scores:
        """Read a file that `save` wrote, with the tensors on the CPU.

        Args:
            path: the file.
            space: the search space, for one that has no name; by default the one that the file names. An import path in
                a file is followed only once `zcfast.space` has been there: a file shall not choose what is imported.

        Errors: ValueError for a missing, unreadable or damaged file, one that `save` did not write, and one of another
            space.
        """
        return cls._loaded(path, loaded_space if space is None else lambda _: as_space(space))

    @classmethod
    def _loaded(cls, path: str | os.PathLike[str], find: Callable[[str], SearchSpace[Any]]) -> Scores:
        from zcfast.data.saved import open_saved

        with open_saved(path, SCORES) as file:
            header = file.header
            _check_header(header)
            provenance = Provenance.of(header.get("provenance"))
            table = file.read()
        try:
            found = find(header["space"])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        if found.name != header["space"]:
            raise ValueError(f"{path}: expected scores of {found.name}, got those of {printable(header['space'])}")
        try:
            columns = {name: _to_torch(table.column(name)) for name in header["columns"]}
            given = [name for name in columns if REASON + name in table.column_names]
            reasons = {name: _texts(table.column(REASON + name)) for name in given}
            return cls(found, _cells(found, table), columns, provenance, reasons)
        except Exception as error:  # columns of another form raise anything
            message = (
                f"{path}: expected the columns of {found.name} scores, got a file without them: {first_line(error)}"
            )
            raise ValueError(message) from error


def readable(path: str | os.PathLike[str], space: str | SearchSpace[Any] | None = None) -> Scores:
    """Scores to look at: as ``Scores.load``, or of a space that is not here with the texts of its architectures alone.

    Errors: as ``Scores.load``, and for a file without texts of a space that is not here.
    """

    def find(name: str) -> SearchSpace[Any]:
        try:
            found: SearchSpace[Any] = loaded_space(name)
        except ValueError:
            return AbsentSpace(name)
        return found

    return Scores.load(path, space) if space is not None else Scores._loaded(path, find)


def _cells(space: SearchSpace[Any], table: pyarrow.Table) -> Cells:
    """The architectures of a file: their encoding, or else what their texts say."""
    empty = space.sample(0)
    encoding = {name: _to_torch(table.column(name), like) for name, like in empty.tensors().items()}
    texts = [] if encoding else _texts(table.column("architecture"))
    cells: Cells = dataclasses.replace(empty, **encoding) if encoding else space.parse(texts)
    space.require_valid(cells)
    return cells


def hexadecimal_digits(keys: Tensor) -> Tensor:
    """Digests uint8 [N, B] as text, uint8 [N, 2 B]: two ASCII digits a byte."""
    digits = torch.tensor([list(b"%02x" % byte) for byte in range(256)], dtype=torch.uint8)
    return digits[keys.cpu().int()].flatten(1)


def _to_arrow(column: Tensor) -> pyarrow.Array:
    """A column [N], or [N, K] as lists of K entries."""
    import pyarrow

    values = pyarrow.array(column.detach().cpu().flatten().numpy())
    return values if column.dim() == 1 else pyarrow.FixedSizeListArray.from_arrays(values, column.shape[1])


def _hexadecimal(keys: Tensor) -> pyarrow.Array:
    """Digests uint8 [N, B] as strings of 2 B digits, without a Python object for each."""
    import pyarrow

    text = hexadecimal_digits(keys)
    ends = torch.arange(len(keys) + 1, dtype=torch.int32) * text.shape[1]
    buffers = (pyarrow.py_buffer(part.numpy()) for part in (ends, text.contiguous()))
    return pyarrow.StringArray.from_buffers(len(keys), *buffers)


def _to_torch(column: pyarrow.ChunkedArray, like: Tensor | None = None) -> Tensor:
    """The column of a file as a tensor; where `like` is given, of its dtype and row shape."""
    import pyarrow

    array = column.combine_chunks()
    if array.null_count:
        raise ValueError(f"{array.null_count} entries are missing")
    width = 0
    if pyarrow.types.is_fixed_size_list(array.type):
        width = array.type.list_size
        array = array.flatten()
    if not (pyarrow.types.is_floating(array.type) or pyarrow.types.is_signed_integer(array.type)):
        raise ValueError(f"expected numbers, got {array.type}")
    tensor = torch.from_numpy(array.to_numpy(zero_copy_only=False).copy())
    tensor = tensor.reshape(-1, width) if width else tensor
    if like is not None and (tensor.dtype, tensor.shape[1:]) != (like.dtype, like.shape[1:]):
        raise ValueError(f"expected {like.dtype} {list(like.shape[1:])}, got {tensor.dtype} {list(tensor.shape[1:])}")
    return tensor


def _texts(column: pyarrow.ChunkedArray) -> list[str]:
    """A column of text, "" where it is null."""
    import pyarrow

    if not pyarrow.types.is_string(column.type):
        raise ValueError(f"expected a column of reasons, got {column.type}")
    return [text or "" for text in column.to_pylist()]


def _check_header(header: dict[str, Any]) -> None:
    kinds = {"space": str, "columns": list}
    for name, kind in kinds.items():
        if not isinstance(header.get(name), kind) or (kind is list and not header[name]):
            raise ValueError(f"got one with broken metadata: no {name}")
