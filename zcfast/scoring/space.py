"""Scores a whole search space, or any batch of its cells, without building a network."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from zcfast.data.provenance import Provenance
from zcfast.errors import unknown
from zcfast.proxies import registered
from zcfast.proxies.sets import expanded
from zcfast.scores import Scores
from zcfast.spaces import Cells, ClosedForm, ClosedForms, Enumerated, SearchSpace, as_space
from zcfast.spaces.forms import closed_forms
from zcfast.version import __version__

CHUNK = 32_768  # cells between two reports of progress, and between two chances to interrupt


def score_space(
    space: str | SearchSpace[Any],
    proxies: Sequence[str],
    *,
    cells: Cells | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Scores:
    """One row an architecture: all of a search space, or ``cells``, in closed form.

    Args:
        space: the search space or its name.
        proxies: a list of any of "expected_synflow" (natural logarithm, float64; -inf for a score of zero), "params"
            and "flops" (int64), "path_statistics" (float64 columns ``path_*``, not all of them better when higher, see
            zcfast.expected.path_statistics) and "path_rank" (float64; a rank among the cells that are scored together,
            so it depends on the set: to pick within a limit, score the cells within it). No set of proxies has closed
            forms alone.
        cells: valid architectures to score as they stand; all of ``space.enumerate()`` by default.
        progress: called with the number of rows done and of all rows.
        options: of the network (``space.network`` has the defaults: stem_channels, modules, classes, resolution, ...)
            and ``initialisation`` of expected synflow: "kaiming_fan_out" (default on NAS-Bench-101), "kaiming_fan_in"
            or "pytorch" (default on NAS-Bench-201), and ``path_rank_version``: 2 (default) or 1, of path_rank.

    Returns:
        Scores with the columns of each proxy, on the device of the cells.

    Raises:
        ValueError: an unknown space, proxy or option, an option that no requested proxy takes, an invalid cell.
    """
    searched: SearchSpace[Any] = as_space(space)
    cells = searched.capability(Enumerated).enumerate() if cells is None else cells
    return Scores(searched, cells, *in_closed_form(searched, expanded(proxies), cells, progress, **options))


def in_closed_form(
    space: SearchSpace[Any],
    proxies: Sequence[str],
    cells: Cells,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> tuple[dict[str, Tensor], Provenance]:
    """The columns and the provenance of ``score_space``."""
    forms = _forms(space, proxies)
    own_names = own_options(space)
    network = {name: value for name, value in options.items() if name not in own_names}
    own = {name: value for name, value in options.items() if name in own_names}
    for name in own:
        if not any(name in form.options for form in forms.values()):
            raise ValueError(f"{name}: no effect on {', '.join(proxies)}")
    provenance = _provenance(space, forms, network, own)
    check_cells(space, cells)
    return _columns(forms, cells, network, own, progress), provenance


def own_options(space: SearchSpace[Any]) -> set[str]:
    """Names of the options of the space's closed forms that are none of its networks."""
    return {name for form in closed_forms(space).values() for name in form.options}


def _forms(space: SearchSpace[Any], proxies: Sequence[str]) -> dict[str, ClosedForm]:
    """The closed forms asked for, by name."""
    if isinstance(proxies, str) or len(set(proxies)) != len(proxies):
        raise ValueError(f"proxies: expected a list of different names, got {proxies!r}")
    known = closed_forms(space)
    if proxies and not known:
        space.capability(ClosedForms)
    for name in proxies:
        if name in registered() and name not in known:
            expected = f"expected closed forms of {space.title} ({', '.join(known)}), got {name}, which needs networks"
            raise ValueError(f"proxies: {expected}: zcfast.score_architectures")
        if name not in known:
            raise unknown("proxy", name, known)
    return {name: known[name] for name in proxies}


def check_cells(space: SearchSpace[Any], cells: Any) -> None:
    """Raise a ValueError for anything but valid architectures of the space."""
    kind = type(space.sample(0))
    if type(cells) is not kind:
        hint = "; space.parse makes them of texts" if isinstance(cells, (str, list, tuple)) else ""
        raise ValueError(f"cells: expected {kind.__name__} of {space.title}, got {type(cells).__name__}{hint}")
    space.require_valid(cells)


def _columns(
    forms: dict[str, ClosedForm],
    cells: Cells,
    network: dict[str, Any],
    own: dict[str, Any],
    progress: Callable[[int, int], None] | None,
) -> dict[str, Tensor]:
    chunks: dict[str, list[dict[str, Tensor]]] = {name: [] for name in forms}
    for start in range(0, max(len(cells), 1), CHUNK):
        chunk = cells[start : start + CHUNK]
        for name, form in forms.items():
            chunks[name].append(form.compute(chunk, network, _taken(form, own)))
        if progress:
            progress(min(start + CHUNK, len(cells)), len(cells))
    columns = {}
    for name, parts in chunks.items():
        joined = {column: torch.cat([part[column] for part in parts]) for column in parts[0]}
        within = forms[name].within
        columns.update(within(joined, _taken(forms[name], own)) if within else joined)
    return columns


def _taken(form: ClosedForm, own: dict[str, Any]) -> dict[str, Any]:
    return {option: value for option, value in own.items() if option in form.options}


def _provenance(
    space: SearchSpace[Any], forms: dict[str, ClosedForm], network: dict[str, Any], own: dict[str, Any]
) -> Provenance:
    columns = {column: meaning for form in forms.values() for column, meaning in form.columns.items()}
    described = {"space": space.title, "network": space.network_options(network)}
    weights = {"initialisation": space.initialisation, **own}
    return Provenance(__version__, torch.__version__, columns=columns, options={**described, **weights})
