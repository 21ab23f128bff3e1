"""Checksums of code: whether what made a kept result would make it again."""

from __future__ import annotations

import functools
import hashlib
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor

_OWN = __name__.partition(".")[0]
_INSTALLED = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
# What calls functions: the functions, and what else they are called with.
_WRAPPERS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    property: lambda value: (value.fget,),
    staticmethod: lambda value: (value.__func__,),
    classmethod: lambda value: (value.__func__,),
    MethodType: lambda value: (value.__func__, value.__self__),
    functools.partial: lambda value: (value.func, value.args, value.keywords),
    functools.cached_property: lambda value: (value.func,),
    functools._lru_cache_wrapper: lambda value: (value.__wrapped__,),
}


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
    """Checksum of an object: its state and the code of its class, with the functions and values that code refers to.

    Code of the user's own is followed wherever it leads. Of a module that is installed the file counts, and this
    package is told apart by `package`.
    """
    return hashlib.sha256(repr(_Walk().describe(value)).encode()).hexdigest()


class _Walk:
    """Describes objects by nested tuples of texts, each object that refers to others once."""

    def __init__(self) -> None:
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
        for kind, inside in _WRAPPERS.items():
            if isinstance(value, kind):
                return (kind.__name__, *map(self.describe, inside(value)))
        if isinstance(value, ModuleType):
            return _file(value.__name__)
        if isinstance(value, Tensor):
            content = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
            return (str(value.dtype), *value.shape, hashlib.sha256(content).hexdigest())
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, FunctionType):
            return self._function(value)
        return self._instance(value)

    def _instance(self, value: Any) -> Any:
        kind: Any = type(value)
        if kind.__reduce_ex__ is object.__reduce_ex__ and kind.__reduce__ is object.__reduce__:
            try:
                return (self.describe(kind), *map(self.describe, value.__reduce_ex__(2)[2:]))
            except TypeError:  # an object of C that does not pickle
                return (kind.__qualname__, repr(value))
        try:
            made_of = value.__reduce_ex__(2)  # not its pickle, where a tensor differs from process to process
            return (kind.__qualname__, self.describe(made_of))
        except Exception:  # of whatever the object is made of
            return (kind.__qualname__, getattr(value, "__qualname__", None) or repr(value))

    def _class(self, kind: type) -> Any:
        if not _is_own(kind):
            return (kind.__module__, kind.__qualname__, _file(kind.__module__))
        members = {name: each for name, each in sorted(vars(kind).items()) if _is_program(name, each)}
        return (kind.__qualname__, *map(self.describe, kind.__bases__), self.describe(members))

    def _function(self, function: FunctionType) -> Any:
        if not _is_own(function):
            return (function.__module__, function.__qualname__, _file(function.__module__))
        cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        names = sorted(_names(function.__code__))
        referred = {name: function.__globals__[name] for name in names if name in function.__globals__}
        parts = (function.__defaults__, function.__kwdefaults__, cells, referred)
        return (_code(function.__code__), *map(self.describe, parts))


def _is_program(name: str, member: Any) -> bool:
    """Whether a member of a class is the user's, not what Python, abc or dataclasses note there."""
    return name != "_abc_impl" and (not name.startswith("__") or isinstance(member, FunctionType))


def _is_own(value: Any) -> bool:
    """Whether a class or function is the user's: neither of this package nor of one that is installed."""
    name = value.__module__ or ""
    path = getattr(sys.modules.get(name), "__file__", None)
    if name in ("__main__", "__mp_main__"):
        return True
    return path is not None and name.partition(".")[0] != _OWN and not path.startswith(_INSTALLED)


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
