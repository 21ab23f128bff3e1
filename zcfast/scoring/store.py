"""Finished parts of a run in a directory: what a killed run has made is there for the next one."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from zcfast.errors import Notice, first_line
from zcfast.files import replace_file, set_aside
from zcfast.scoring.lock import NAME, DirectoryLock

Row = dict[str, tuple[float, str]]  # label of a proxy -> its score, NaN where there is none, and why there is none

FORMAT = 1
SECONDS = 1.0  # that finished rows wait for others before they are written: no more than that is lost by a kill
LARGEST = 64 * 2**20  # bytes of a part


class Store:
    """Rows of architectures that are scored, in files that are there whole or not at all, for one run at a time.

    A file says what its rows depend on, and its name is the checksum of its content: a part that is damaged, copied or
    renamed is set aside under another name with a warning, and its rows are scored again. Parts of other runs stay.

    Use it as a context: the directory is made on entry, if there is none, and gone on exit if nothing is in it.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Take the directory, which may be a symbolic link to one."""
        self.given, self.directory = Path(directory), Path(directory).resolve()
        self._claims: dict[str, Any] = {}
        self._wanted: set[str] = set()
        self._pending: dict[str, Row] = {}
        self._written_at = -math.inf
        self._files: dict[Path, set[str]] = {}  # those of this run, and their architectures

    def __enter__(self) -> Store:
        """Lock the directory. Errors: OSError, BlockingIOError where another process has it."""
        if self.directory.exists() and not self.directory.is_dir():
            raise ValueError(f"{self.given}: expected a directory for finished scores, got a file")
        try:
            self._lock = DirectoryLock(self.directory)
        except BlockingIOError:
            raise
        except OSError as error:
            raise type(error)(f"{self.given}: cannot write: {error.strerror}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Write what waits, and unlock."""
        try:
            self.flush()
        finally:
            self._lock.release()
            if not self.given.is_symlink() and not any(self.directory.iterdir()):
                self.directory.rmdir()

    def begin(self, claims: dict[str, Any], architectures: Sequence[str]) -> dict[str, Row]:
        """Begin a run, of all that scores depend on beside the architecture; the rows that are there, by architecture.

        Args:
            claims: JSON values; kept rows are taken where these are equal.
            architectures: what the run is to score, as far as it is known; ``want`` names the others.
        """
        self.flush()  # of the run before
        self._wanted |= set(architectures)
        self._claims = json.loads(json.dumps(claims))
        found: dict[str, Row] = {}
        others: list[dict[str, Any]] = []
        for path in sorted(self.directory.iterdir()):
            if path.name.startswith(".part_") and not path.is_dir():
                path.unlink()  # half written when its process was killed
            elif path.name.startswith("part_") and path.suffix == ".json":
                part = self._read(path)
                if part is not None and part["claims"] == self._claims:
                    self._files[path] = set(part["rows"])
                    found |= part["rows"]
                elif part is not None:
                    others.append(part["claims"])
        if not found and any(_differ(each, self._claims) == ["space"] for each in others):
            expected = "its function or its example, which is another one wherever it is drawn without a seed"
            warnings.warn(f"{self.given}: kept scores are of another space: {expected}", Notice, stacklevel=2)
        return found

    def want(self, architectures: Iterable[str]) -> None:
        """Say that the run needs these, which it did not know when it began: ``clear`` removes their rows."""
        self._wanted.update(architectures)

    def keep(self, architecture: str, row: Row) -> None:
        """Keep a row, which is on the disk a second later at most, if rows keep coming. Errors: OSError."""
        self._pending[architecture] = row
        self._wanted.add(architecture)
        if time.monotonic() - self._written_at >= SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait. Errors: OSError."""
        rows, self._pending = self._pending, {}
        if rows:
            content = json.dumps({"format": FORMAT, "claims": self._claims, "rows": rows}).encode()
            path = self.directory / _name(content)
            with replace_file(path) as temporary:
                temporary.write_bytes(content)
            self._files[path] = set(rows)
        self._written_at = time.monotonic()

    def clear(self) -> int:
        """Remove the parts of the run, whose rows are safe elsewhere; the number of other files, which stay."""
        self._pending = {}
        for path, inside in self._files.items():
            if inside <= self._wanted:
                path.unlink(missing_ok=True)
        return sum(path.name != NAME for path in self.directory.iterdir())

    def _read(self, path: Path) -> dict[str, Any] | None:
        """A part whose content is what its name says; None, and another name for it, where it is not."""
        try:
            return _checked(path)
        except Exception as error:  # content of another form raises anything
            set_aside(path, first_line(error))
            return None


def _differ(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What two runs depend on in different ways."""
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def _checked(path: Path) -> dict[str, Any]:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size > LARGEST:
        raise ValueError(f"{status.st_size} bytes")
    content = path.read_bytes()
    if path.name != _name(content):
        raise ValueError("its checksum is another one")
    part: dict[str, Any] = json.loads(content)
    if part["format"] != FORMAT:
        raise ValueError(f"format {part['format']}")
    part["rows"] = {
        text: {str(label): (float(value), str(reason)) for label, (value, reason) in row.items()}
        for text, row in part["rows"].items()
    }
    return part


def _name(content: bytes) -> str:
    return f"part_{hashlib.sha256(content).hexdigest()[:40]}.json"
