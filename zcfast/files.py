"""Files that are read without harm, and written whole or not at all."""

from __future__ import annotations

import itertools
import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zcfast.errors import Notice, first_line, printable, shortened

MEMORY = "ZCFAST_MEMORY"  # of the environment: bytes that reading a file may take
_DEFAULT_MEMORY = 1 << 30
PARQUET = b"PAR1"  # what such a file begins with
_OTHERS = (".csv", ".tsv", ".txt", ".json", ".html", ".xlsx", ".npz", ".pkl", ".pt", ".pth")


def memory_budget() -> int:
    """Bytes that the objects of a file may take: 1 GiB, or what ZCFAST_MEMORY says."""
    given = os.environ.get(MEMORY, "")
    if given and not given.isdecimal():
        raise ValueError(f"{MEMORY}: expected a number of bytes, got {given!r}")
    return int(given) if given else _DEFAULT_MEMORY


def require_memory(what: str, size: int) -> None:
    """Raise a ValueError where a part of a file says that it has more bytes than may be taken."""
    if size > memory_budget():
        raise ValueError(f"{what}: expected at most {memory_budget():,} bytes ({MEMORY} allows more), got {size:,}")


def read_bytes(path: Path, growth: int) -> bytes:
    """The content of a file of whose bytes each becomes up to `growth` bytes of objects, if the memory is there."""
    with path.open("rb") as file:
        content = file.read(memory_budget() // growth + 1)
    require_memory("what is made of the file", len(content) * growth)
    return content


@contextmanager
def reading(path: str | os.PathLike[str], expected: str) -> Iterator[None]:
    """Read a file: whatever a reader raises for its content becomes one ValueError with the name of the file.

    Libraries raise anything for damaged bytes, so no list of exceptions would be complete. Devices, pipes and sockets,
    which may never end, are not opened.
    """
    name = os.fspath(path)
    try:
        kind = Path(path)
        if kind.exists() and not (kind.is_file() or kind.is_dir()):
            raise ValueError(f"expected {expected}, got a device, a pipe or a socket")
        yield
    except ValueError as error:
        text = str(error)
        text = text[len(name) :] if text.startswith(name) else f": {text}"
        raise ValueError(name + printable(shortened(text))) from error
    except OSError as error:
        raise ValueError(f"{name}: expected {expected}, got none: {error.strerror or first_line(error)}") from error
    except Exception as error:
        came = f"{type(error).__name__}: {first_line(error)[:80]}"
        raise ValueError(f"{name}: expected {expected}, got a damaged or another file: {came}") from error


def check_writable(path: str | os.PathLike[str], *inputs: str | os.PathLike[str] | None) -> None:
    """Raise an OSError that says why if `replace_file(path)` could not write there; leaves nothing behind.

    Raises ValueError if the file is one of those that are read, which it would replace, or lies in a directory that is
    read and is no Parquet file, as an earlier run would have written.
    """
    target = _target(path)
    for source in inputs:
        if source is not None and target.exists() and Path(source).exists() and _reads(Path(source), target):
            raise ValueError(f"--out: expected another file than {source}, which is read")
    temporary = _temporary(target)
    os.close(_create(temporary, target))
    temporary.unlink()


def _reads(source: Path, target: Path) -> bool:
    """Whether what is read is a file that is there, or may be in the directory."""
    if target.samefile(source):
        return True
    if source.resolve() not in target.parents:
        return False
    with target.open("rb") as file:
        return file.read(len(PARQUET)) != PARQUET


def check_parquet_name(path: str | os.PathLike[str]) -> None:
    """Raise a ValueError for the name of a file that other programs would take for something else than Parquet."""
    if (suffix := Path(path).suffix.lower()) in _OTHERS:
        hint = ": `zcfast show FILE --csv` and `--json` print the rows" if suffix in (".csv", ".json") else ""
        raise ValueError(f"{path}: expected a name for a Parquet file, such as {Path(path).stem}.parquet{hint}")


def file_of(source: str) -> str:
    """The file that a path, or a URL such as sqlite:///study.db, names."""
    return source.rpartition(":///")[2].partition("?")[0] if ":///" in source else source


@contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a new file to write in place of `path`; the path changes only once the block has ended without an error.

    The new file stands in the same directory, is flushed to the disk and then renamed over `path`, so that a reader,
    an exception, Ctrl-C or a power cut sees the old file or the whole new one. Errors: OSError.
    """
    target = _target(path)
    temporary = _temporary(target)
    descriptor = _create(temporary, target)
    try:
        yield temporary
        os.fsync(descriptor)  # syncs the file, whoever wrote it
        temporary.replace(target)
        _sync_directory(target.parent)
    except OSError as error:
        raise OSError(f"{target}: cannot write: {error.strerror or error}") from error
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)


def set_aside(path: Path, why: str) -> None:
    """Give a kept file that cannot be used another name, with a notice: what it holds is made again."""
    names = (path.with_name(f"{path.name}.{number}.aside") for number in itertools.count(1))
    aside = next(name for name in names if not os.path.lexists(name))
    path.rename(aside)
    warnings.warn(f"{path}: not used ({why}): now {aside.name}, and what it holds is made again", Notice, stacklevel=3)


def _target(path: str | os.PathLike[str]) -> Path:
    """The file that `path` names, behind any symbolic link; renaming over a device or a directory is refused."""
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(f"{path}: expected a file to write, got a directory")
    if target.exists() and not target.is_file():
        raise OSError(f"{path}: expected a regular file to write, got a device or a pipe")
    return target


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")


def _create(temporary: Path, target: Path) -> int:
    try:
        return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # the umask applies
    except OSError as error:
        raise type(error)(f"{target}: cannot write: {error.strerror}") from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
