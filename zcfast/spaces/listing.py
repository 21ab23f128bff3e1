"""A user's own list of architectures."""

import os
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

from zcfast.files import read_bytes, reading
from zcfast.spaces.base import SearchSpace
from zcfast.spaces.cells import Cells

GROWTH = 24  # bytes that one byte of a list can become, where architectures have names of two letters


def read_architectures(space: SearchSpace[Any], path: str | os.PathLike[str]) -> Cells:
    """The architectures of a text file, in its order: one a line, in the form that ``space.format`` writes.

    Blank lines and lines that begin with ``#`` are skipped. Vertex orders and repetitions are kept as they are.

    Raises:
        ValueError: one line that names the file, and the line that is no architecture of the space.
    """
    with reading(path, "a text file of architectures"):
        data = read_bytes(Path(path), GROWTH)
        try:
            texts = [text for _, text in _lines(data)]
        except UnicodeDecodeError as error:
            raise ValueError("expected a text file of architectures, got other bytes") from error
        if not texts:
            raise ValueError(f"{path}: expected an architecture a line, got none")
        try:
            cells: Cells = space.parse(texts)
            space.require_valid(cells)
        except ValueError:
            for number, text in _lines(data):
                _check(space, text, f"{path}, line {number}")
            raise
        return cells


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    """The numbers and texts of the lines that name an architecture."""
    for number, line in enumerate(TextIOWrapper(BytesIO(data), "utf-8"), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, text


def _check(space: SearchSpace[Any], text: str, where: str) -> None:
    try:
        cell = space.parse(text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    if not space.is_valid(cell).all():
        raise ValueError(f"{where}: no {space.title} cell: {space.reasons(cell)[0]}")
