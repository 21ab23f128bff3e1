"""Names of search spaces: built-in ones, registered ones, those of installed packages, and import paths."""

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from zcfast.errors import unknown
from zcfast.import_paths import imported, made
from zcfast.spaces.base import SearchSpace

GROUP = "zcfast.spaces"  # of entry points: name = "module:space"

# Where each built-in space is: a SearchSpace, or a class or function that makes one.
_BUILT_IN = {
    "nasbench101": "zcfast.spaces.nasbench101:NasBench101",
    "nasbench201": "zcfast.spaces.nasbench201:NasBench201",
    "nasbench_bert": "zcfast.spaces.nasbench_bert:NasBenchBert",
}
# Benchmarks without a space here: where the reader of their accuracies is, a function of name and path.
TABLES = {
    "nasbench_macro": "zcfast.spaces.nasbench_macro.readers:read",
    "nasbench_nlp": "zcfast.spaces.nasbench_nlp.readers:read",
    "pytorchcv": "zcfast.spaces.pytorchcv.readers:read",
    "transnas_macro": "zcfast.spaces.transnas.readers:read",
    "transnas_micro": "zcfast.spaces.transnas.readers:read",
}
_registered: dict[str, SearchSpace[Any]] = {}
_found: dict[str, SearchSpace[Any]] = {}  # by name or import path, once imported


def names() -> list[str]:
    """The names of all search spaces: built in, registered here, and of installed packages."""
    return list(dict.fromkeys([*_BUILT_IN, *_registered, *_installed()]))


def register(space: SearchSpace[Any], name: str | None = None) -> SearchSpace[Any]:
    """Make a space known by its name, or by another that it then has, in this process.

    A package gives its spaces to every process by entry points of the group "zcfast.spaces".

    Raises:
        ValueError: no space, or the name of another one.
    """
    if not isinstance(space, SearchSpace):
        raise ValueError(f"space: expected a zcfast.spaces.SearchSpace, got {space!r}")
    wanted = space.name if name is None else name
    if not isinstance(wanted, str) or not wanted or ":" in wanted:
        raise ValueError(f"name: expected a text without a colon, got {wanted!r}")
    if wanted in _BUILT_IN or _registered.get(wanted, space) is not space or wanted in _installed():
        raise ValueError(f"name: expected one that no other space has, got {wanted!r}")
    space.name = wanted
    _registered[wanted] = space
    return space


def space(name: str) -> Any:  # a SearchSpace and what else it offers
    """The search space of a name, or at an import path such as ``mymodule:space``.

    An import path may lead to a space, or to a class or function that makes one; the current directory is searched too.
    The space is then called by its path, so that files of its scores find it again.

    Raises:
        ValueError: an unknown name, with the near matches; a path that leads to no space, with the reason.
    """
    if not isinstance(name, str):
        raise unknown("search space", name, names())
    if name in _registered:
        return _registered[name]
    if ":" in name:
        return _imported(name)
    where = {**_installed(), **_BUILT_IN}
    if name not in where:
        raise ValueError(f"{unknown('search space', name, names())}; one of your own is mymodule:space")
    return _imported(where[name], name)


def loaded_space(name: str) -> Any:
    """The space that a file names; one at an import path only if it was found before, as a file shall import nothing.

    Raises:
        ValueError: an unknown name, or an import path of this process's first time.
    """
    if isinstance(name, str) and ":" in name and name not in _found:
        told = f"call zcfast.space({name!r}) first, or give it as space (--space)"
        raise ValueError(f"expected a known space, got one at an import path, {name}: {told}")
    try:
        return space(name)
    except ValueError as error:
        raise ValueError(f"{error}; a space of one's own is given beside the file, as space (--space)") from error


def has_name(space_: SearchSpace[Any]) -> bool:
    """Whether the space's name leads to it in this process."""
    try:
        return loaded_space(space_.name) is space_
    except ValueError:
        return False


def as_space(space_or_name: Any) -> Any:
    """A space as it is, or the one of a name."""
    if isinstance(space_or_name, SearchSpace):
        return space_or_name
    if callable(space_or_name):
        hint = "zcfast.Space(build, example) is one"
        raise TypeError(f"space: expected a space or its name, got {space_or_name!r}; {hint}")
    return space(space_or_name)


@cache
def _installed() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=GROUP)}


def _imported(path: str, name: str | None = None) -> SearchSpace[Any]:
    wanted = name or path
    if wanted not in _found:
        _found[wanted] = _import(path)
        if _registered.get(getattr(_found[wanted], "name", "")) is not _found[wanted]:
            _found[wanted].name = wanted
    return _found[wanted]


def _import(path: str) -> SearchSpace[Any]:
    found = imported(path, "mymodule:space")
    if not isinstance(found, SearchSpace) and callable(found):
        found = made(path, found)
    if not isinstance(found, SearchSpace):
        raise ValueError(f"{path}: expected a search space or what makes one, got {type(found).__name__}")
    return found
