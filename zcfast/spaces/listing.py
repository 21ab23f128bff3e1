"""A user's own list of architectures."""

import os
from pathlib import Path
from typing import Any

from zcfast.files import read_bytes, reading
from zcfast.spaces.base import SearchSpace
from zcfast.spaces.cells import Cells

GROWTH = 256  # bytes that one byte of a list can become, a line each


def read_architectures(space: SearchSpace[Any], path: str | os.PathLike[str]) -> Cells:
    """The architectures of a text file, in its order: one a line, in the form that ``space.format`` writes.

    Blank lines and lines that begin with ``#`` are skipped. Vertex orders and repetitions are kept as they are.

    Raises:
        ValueError: one line that names the file, and the line that is no architecture of the space.
    """
    with reading(path, "a text file of architectures"):
        try:
            lines = read_bytes(Path(path), GROWTH).decode().splitlines()
        except UnicodeDecodeError as error:
            raise ValueError("expected a text file of architectures, got other bytes") from error
        texts = {number: line.strip() for number, line in enumerate(lines, 1)}
        texts = {number: text for number, text in texts.items() if text and not text.startswith("#")}
        if not texts:
            raise ValueError(f"{path}: expected an architecture a line, got none")
        for number, text in texts.items():
            try:
                cell = space.parse(text)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
            if not space.is_valid(cell).all():
                raise ValueError(f"{path}, line {number}: no {space.title} cell: {space.reasons(cell)[0]}")
        cells: Cells = space.parse(list(texts.values()))
        return cells
