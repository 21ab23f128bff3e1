"""Scores a whole search space, or any batch of its cells, without building a network."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import zcfast
from zcfast.errors import unknown
from zcfast.expected.proxies import PROXIES
from zcfast.scores import Scores
from zcfast.spaces import Cells, CellSpace
from zcfast.spaces import space as named_space

CHUNK = 32_768  # cells between two reports of progress, and between two chances to interrupt


def score_space(
    space: str | CellSpace[Any],
    proxies: Sequence[str],
    *,
    cells: Cells | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Scores:
    """One row an architecture: all of a search space, or ``cells``, in closed form.

    Args:
        space: the search space or its name.
        proxies: any of "expected_synflow" (natural logarithm, float64; -inf for a score of zero), "params" and "flops"
            (int64), "path_statistics" (float64 columns ``path_*``, not all of them better when higher, see
            zcfast.expected.path_statistics) and "path_rank" (float64; a rank among the cells that are scored together,
            so it depends on the set).
        cells: valid architectures to score as they stand; all of ``space.enumerate()`` by default.
        progress: called with the number of rows done and of all rows.
        options: of the network (``space.network`` has the defaults: stem_channels, modules, classes, resolution, ...)
            and ``initialisation`` of expected synflow: "kaiming_fan_out" (default on NAS-Bench-101), "kaiming_fan_in"
            or "pytorch" (default on NAS-Bench-201).

    Returns:
        Scores with the columns of each proxy, on the device of the cells.

    Raises:
        ValueError: an unknown space, proxy or option, an option that no requested proxy takes, an invalid cell.
    """
    space = named_space(space) if isinstance(space, str) else space
    if not isinstance(space, CellSpace):
        raise ValueError(f"space: expected a search space or its name, got {space!r}")
    cells = space.enumerate() if cells is None else cells
    return Scores(space.name, cells, *closed_forms(space, proxies, cells, progress, **options))


def closed_forms(
    space: CellSpace[Any],
    proxies: Sequence[str],
    cells: Cells,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The columns and the protocol of ``score_space``."""
    if isinstance(proxies, str) or len(set(proxies)) != len(proxies):
        raise ValueError(f"proxies: expected a list of different names, got {proxies!r}")
    for name in proxies:
        if name not in PROXIES:
            raise unknown("proxy", name, PROXIES)
    own_names = {name for proxy in PROXIES.values() for name in proxy.options}
    network = {name: value for name, value in options.items() if name not in own_names}
    own = {name: value for name, value in options.items() if name in own_names}
    for name in own:
        if not any(name in PROXIES[proxy].options for proxy in proxies):
            raise ValueError(f"{name}: no effect on {', '.join(proxies)}")
    protocol = _protocol(space, proxies, network, own)
    if type(cells) is not type(space.enumerate()):
        raise ValueError(f"cells: expected cells of {space.title}, got {type(cells).__name__}")
    space.require_valid(cells)
    return _columns(space, proxies, cells, network, own, progress), protocol


def _columns(
    space: CellSpace[Any],
    proxies: Sequence[str],
    cells: Cells,
    network: dict[str, Any],
    own: dict[str, Any],
    progress: Callable[[int, int], None] | None,
) -> dict[str, Tensor]:
    chunks: dict[str, list[dict[str, Tensor]]] = {name: [] for name in proxies}
    for start in range(0, max(len(cells), 1), CHUNK):
        chunk = cells[start : start + CHUNK]
        for name in proxies:
            proxy = PROXIES[name]
            taken = {option: value for option, value in own.items() if option in proxy.options}
            chunks[name].append(proxy.compute(space, chunk, network, taken))
        if progress:
            progress(min(start + CHUNK, len(cells)), len(cells))
    columns = {}
    for name, parts in chunks.items():
        joined = {column: torch.cat([part[column] for part in parts]) for column in parts[0]}
        within = PROXIES[name].within
        columns.update(within(joined) if within else joined)
    return columns


def _protocol(
    space: CellSpace[Any], proxies: Sequence[str], network: dict[str, Any], own: dict[str, Any]
) -> dict[str, Any]:
    """What a reader of the scores needs to make them again."""
    return {
        "zcfast": zcfast.__version__,
        "torch": torch.__version__,
        "space": space.title,
        "network": dataclasses.asdict(space.network_with(network)),
        "initialisation": own.get("initialisation", space.initialisation),
        "columns": {
            column: dataclasses.asdict(meaning) for name in proxies for column, meaning in PROXIES[name].columns.items()
        },
    }
