"""Checksums of code: whether what made a kept result would make it again."""

from __future__ import annotations

import functools
import hashlib
import pickle
import sys
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import zcfast

_OWN = zcfast.__name__
_NO_CODE = (
    *("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl"),
    *("__dataclass_fields__", "__dataclass_params__", "__match_args__"),
)


@functools.cache
def package() -> str:
    """Checksum of this package's programs, so also of a checkout that was edited under one version."""
    root = Path(__file__).resolve().parent.parent
    files = sorted(path for path in root.rglob("*") if path.suffix in (".py", ".so"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def fingerprint(value: Any) -> str:
    """Checksum of an object of the user's: its attributes and the code of its class, with what that code refers to.

    Followed are functions, classes, closures and global values of the same top-level package as the object's class, or
    of the script or notebook; of modules elsewhere the file counts. This package is told apart by `package`.
    """
    kind = value if isinstance(value, type | FunctionType) else type(value)
    described = _Walk(kind.__module__.partition(".")[0]).describe(value)
    return hashlib.sha256(repr(described).encode()).hexdigest()


class _Walk:
    """Describes objects by nested tuples of texts, each object that refers to others once."""

    def __init__(self, top: str) -> None:
        self.top = top
        self.seen: dict[int, Any] = {}  # id -> object, which keeps the id its own

    def describe(self, value: Any) -> Any:
        """What stays the same as long as the value does the same."""
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            return repr(value)
        if id(value) in self.seen:
            return "seen"
        self.seen[id(value)] = value
        if isinstance(value, list | tuple):
            return (type(value).__name__, *map(self.describe, value))
        if isinstance(value, set | frozenset):
            return ("set", *sorted(repr(self.describe(each)) for each in value))
        if isinstance(value, dict):
            return ("dict", *((self.describe(key), self.describe(each)) for key, each in value.items()))
        if isinstance(value, property | staticmethod | classmethod):
            parts = (value.fget,) if isinstance(value, property) else (value.__func__,)
            return (type(value).__name__, *map(self.describe, parts))
        if isinstance(value, MethodType):
            return ("method", self.describe(value.__func__), self.describe(value.__self__))
        if isinstance(value, functools.partial):
            return ("partial", self.describe(value.func), self.describe(value.args), self.describe(value.keywords))
        if isinstance(value, functools.cached_property):
            return ("cached", self.describe(value.func))
        if isinstance(value, functools._lru_cache_wrapper):
            return ("cached", self.describe(value.__wrapped__))
        if isinstance(value, ModuleType):
            return _file(value.__name__)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, FunctionType):
            return self._function(value)
        return self._instance(value)

    def _instance(self, value: Any) -> Any:
        state = getattr(value, "__dict__", None)
        if state is not None and self._is_followed(type(value)):
            return (self.describe(type(value)), self.describe(state))
        try:
            return (type(value).__qualname__, hashlib.sha256(pickle.dumps(value)).hexdigest())
        except Exception:  # of whatever the object is made of
            return (type(value).__qualname__, getattr(value, "__qualname__", None) or repr(value))

    def _class(self, kind: type) -> Any:
        if not self._is_followed(kind):
            return (kind.__module__, kind.__qualname__, _file(kind.__module__))
        members = {name: each for name, each in sorted(vars(kind).items()) if name not in _NO_CODE}
        return (kind.__qualname__, *map(self.describe, kind.__bases__), self.describe(members))

    def _function(self, function: FunctionType) -> Any:
        if not self._is_followed(function):
            return (function.__module__, function.__qualname__, _file(function.__module__))
        cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        names = sorted(_names(function.__code__))
        referred = {name: function.__globals__[name] for name in names if name in function.__globals__}
        parts = (function.__defaults__, function.__kwdefaults__, cells, referred)
        return (_code(function.__code__), *map(self.describe, parts))

    def _is_followed(self, value: Any) -> bool:
        top = (value.__module__ or "").partition(".")[0]
        return top != _OWN and top in (self.top, "__main__", "__mp_main__")


def _code(code: CodeType) -> Any:
    """Instructions, names and constants, without places in the file; sets have no order between processes."""
    constants = (
        _code(each) if isinstance(each, CodeType) else sorted(map(repr, each)) if isinstance(each, frozenset) else each
        for each in code.co_consts
    )
    return (code.co_code, code.co_names, code.co_varnames, *map(repr, constants))


def _names(code: CodeType) -> set[str]:
    inside = (each for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*map(_names, inside))


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _file(name: str) -> str:
    """Checksum of a module's file; its name where it has none, and for this package."""
    path = getattr(sys.modules.get(name), "__file__", None)
    if path is None or name.partition(".")[0] == _OWN:
        return name
    try:
        return f"{name} {hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
    except OSError:
        return name
