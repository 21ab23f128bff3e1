"""Limits on what a network may cost: sizes of the space, columns and models of the user's own."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from zcfast.analysis.columns import aligned
from zcfast.errors import first_line, unknown
from zcfast.spaces import ActivationMemory, Cells, Enumerated, SearchSpace, Sizes
from zcfast.spaces.capabilities import Capability

SIZES = ("flops", "params")
MEMORY = "activation_memory"
# What the space counts, and by which capability: multiply_adds is flops by the name of the proxy.
COUNTED: Mapping[str, type[Capability]] = {
    **dict.fromkeys((*SIZES, "multiply_adds"), Sizes),
    MEMORY: ActivationMemory,
}
_COUNTS = {"": 1.0, "K": 1e3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BYTES = {**_COUNTS, "B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_TIMES = {"": 1.0, "ms": 1.0, "us": 1e-3, "s": 1e3}  # in milliseconds
_QUANTITY = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?) ?([a-zA-Z]*)")

Model = Callable[[SearchSpace[Any], Any], Any]


@dataclass(frozen=True, eq=False)
class Cost:
    """A number of each architecture, the lower the better.

    Attributes:
        name: what it is called.
        most: the limit; infinite where it has none and is only traded off.
        source: None for a size of the space; a column [N] of all rows of an enumerated space; or a function of the
            space and of cells [M] that gives their numbers [M].
    """

    name: str
    most: float
    source: Tensor | Model | None = None

    def of(self, space: SearchSpace[Any], cells: Cells, **network: Any) -> Tensor:
        """The numbers of architectures, [M]; NaN where there is none."""
        if self.source is None:
            count: Callable[..., Tensor] = getattr(space.capability(COUNTED[self.name]), self.name)
            return count(cells, **network).cpu()
        if isinstance(self.source, Tensor):
            return self.source[space.capability(Enumerated).index(cells).cpu()]
        try:
            numbers = self.source(space, cells)
        except Exception as error:  # a function of the caller's
            raise ValueError(f"limits: {self.name}: {type(error).__name__}: {first_line(error)}") from error
        return _column(self.name, numbers, len(cells))


def costs(space: SearchSpace[Any], limits: Mapping[str, Any] | None, minimise: Sequence[str]) -> list[Cost]:
    """The sizes that the space has, and all that is limited or traded off.

    Raises:
        ValueError: an unknown name, one that the space does not count, a number that is no limit, a column of another
            length.
        TypeError: limits of another form.
    """
    if limits is not None and not isinstance(limits, Mapping):
        raise TypeError(f"limits: expected numbers by name, such as {{'flops': 450e6}}, got {limits!r}")
    several = isinstance(minimise, Sequence) and not isinstance(minimise, str)
    if not several or not all(isinstance(name, str) for name in minimise):
        raise TypeError(f"minimise: expected a list of names, got {minimise!r}")
    found = {name: _cost(space, name, value) for name, value in (limits or {}).items()}
    has_sizes = space.offers(Sizes) is not None
    for name in minimise:
        if name not in found and name not in COUNTED:
            raise unknown("cost to minimise", name, [*COUNTED, *found])
    wanted = [name for name in COUNTED if name in minimise or (has_sizes and name in SIZES)]
    made = list({**{name: Cost(name, math.inf) for name in wanted}, **found}.values())
    for cost in made:
        if cost.source is None:
            space.capability(COUNTED[cost.name])
    return made


def _cost(space: SearchSpace[Any], name: str, value: Any) -> Cost:
    if not isinstance(value, tuple):
        if name not in COUNTED:
            expected = f"expected (a column of all rows, or a function of space and cells, and a number), got {value!r}"
            raise ValueError(f"{unknown('limit', name, COUNTED)}; for a cost of your own {expected}")
        return Cost(name, _most(name, value))
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"limits: expected a name of letters, digits and _, got {name!r}")
    if len(value) != 2:
        raise ValueError(f"limits: {name}: expected (column, number), got {len(value)} values")
    source, most = value[0], _most(name, value[1])
    if callable(source) and not isinstance(source, Tensor):
        return Cost(name, most, source)
    return Cost(name, most, _column(name, source, len(space.capability(Enumerated))))


def _most(name: str, value: Any) -> float:
    value = quantity(f"limits: {name}", name, value) if isinstance(value, str) else value
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise ValueError(f"limits: {name}: expected a finite number > 0, got {value!r}")
    return float(value)


def _column(name: str, values: Any, rows: int) -> Tensor:
    (column,) = aligned({f"limits: {name}": values})
    if len(column) != rows:
        raise ValueError(f"limits: {name}: expected a column of {rows:,} numbers, one a row, got {len(column):,}")
    return column.double()


def within(costs: Sequence[Cost], columns: Mapping[str, Tensor]) -> Tensor:
    """Whether each architecture keeps to all limits, bool [N]; one without a number does not."""
    rows = len(next(iter(columns.values()))) if columns else 0
    kept = torch.ones(rows, dtype=torch.bool)
    for cost in costs:
        if cost.most < math.inf:
            kept &= columns[cost.name] <= cost.most
    return kept


def excess(costs: Sequence[Cost], values: Mapping[str, float]) -> dict[str, float]:
    """By how large a share one architecture exceeds each limit; at most 0 within it."""
    return {cost.name: values[cost.name] / cost.most - 1 for cost in costs if cost.most < math.inf}


def infeasible(costs: Sequence[Cost], columns: Mapping[str, Tensor]) -> ValueError:
    """The error to raise where no architecture keeps to all limits: how near they come."""
    limited = [cost for cost in costs if cost.most < math.inf]
    table = torch.stack([columns[cost.name].double() / cost.most for cost in limited])
    considered = f"none of {table.shape[1]:,} architectures considered"
    for cost, shares in zip(limited, table, strict=True):
        known = shares[~shares.isnan()]
        if not len(known):
            return ValueError(f"limits: {considered} has a number for {cost.name}")
        if known.min() > 1:
            least = f"{known.min().item() * cost.most:,.6g}"
            return ValueError(f"limits: {considered} has {cost.name} <= {cost.most:,.6g}: the least is {least}")
    worst = table.nan_to_num(torch.inf, torch.inf).max(0).values
    nearest = int(worst.argmin())
    has = ", ".join(f"{cost.name} {columns[cost.name][nearest].item():,.6g}" for cost in limited)
    asked = ", ".join(f"{cost.name} <= {cost.most:,.6g}" for cost in limited)
    return ValueError(f"limits: {considered} has {asked} at once: the nearest has {has}")


def quantity(where: str, name: str, text: str) -> float:
    """The number of a text with a unit: "450e6", "450M", "40MiB" or "12ms" (times are in milliseconds).

    Args:
        where: what errors begin with.
        name: of the cost, which says what units there are.
        text: the number and its unit.

    Raises:
        ValueError: no number, or a unit that its kind does not have.
    """
    match = _QUANTITY.fullmatch(text.strip())
    units = _BYTES if name == MEMORY else _COUNTS if name in COUNTED else {**_COUNTS, **_TIMES}
    if match is None or match[2] not in units:
        kinds = ", ".join(unit for unit in units if unit)
        near = [unit for unit in units if match is not None and unit.lower() == match[2].lower()]
        hint = f"; did you mean {match[1]}{near[0]}?" if near and match is not None else ""
        raise ValueError(f"{where}: expected a number with or without a unit ({kinds}), got {text!r}{hint}")
    try:
        return float(match[1]) * units[match[2]]
    except ValueError as error:
        raise ValueError(f"{where}: expected a number, got {text!r}") from error
