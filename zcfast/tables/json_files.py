"""JSON of published files, bare or packed by gzip."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from zcfast.errors import first_line

GZIP_MAGIC = b"\x1f\x8b"
MOST_BYTES = 1 << 25  # unpacked; the largest of the files read has a few million, and values take 16 times their text


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Errors: ValueError for a missing, damaged or oversized file.
    """
    if path.is_dir():
        raise ValueError("expected a file of JSON, got a directory")
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            content = gzip.GzipFile(fileobj=file).read(MOST_BYTES + 1) if packed else file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes of it")
        return json.loads(content)
    except Exception as error:  # libraries raise anything for damaged bytes
        raise ValueError(f"expected JSON, got {first_line(error)}") from error
