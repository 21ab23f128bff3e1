"""What ranks architectures: scores of a first stage for all of them, of a second one for the best."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from zcfast.analysis.columns import aligned
from zcfast.analysis.combine import log_rank_sum
from zcfast.designing.limits import SIZES
from zcfast.errors import Notice, integer
from zcfast.order import best_first
from zcfast.proxies import Proxy
from zcfast.proxies.base import SETS
from zcfast.proxies.flops import Flops
from zcfast.proxies.populations import Population, populations, with_parts
from zcfast.proxies.sets import expanded
from zcfast.scoring.architectures import resolve_columns
from zcfast.scoring.populations import set_score
from zcfast.spaces import ClosedForms, Graph, SearchSpace, Sizes
from zcfast.spaces.forms import closed_forms

RECOMMENDED = "recommended"
KEEP = 64


@runtime_checkable
class Ranker(Protocol):
    """What ranks architectures in a way of its own, such as a predictor."""

    def rank(self, space: SearchSpace[Any], cells: Any) -> Any:
        """Numbers [N] of architectures of the space, higher is better.

        On a benchmark with formulas it is asked once, for all rows within the limits. Anywhere else it is asked in
        batches, so there a number may depend on its own architecture alone.
        """


class LayerFlops(Flops):
    """The proxy flops of a set's parts, beside the size of that name, which counts all that runs."""

    name = "layer_flops"


Scored = str | Proxy
By = Scored | Sequence[Scored] | Ranker


@dataclass(frozen=True)
class Stages:
    """Cheap scores for all architectures, dear ones for the best of them.

    Several scores of a stage are combined by the sum of the logarithms of their ranks; those that no architecture has
    are left out, with a warning.

    Attributes:
        first: a name or a proxy, several of them, or an object with ``rank(space, cells)``. "-grad_norm" ranks a small
            grad_norm first.
        second: ranks the best ``keep`` of the first stage anew, by itself alone; None for no second stage.
        keep: how many these are; by default 64, or a tenth of those within the limits where that is fewer.
    """

    first: By
    second: By | None = None
    keep: int | None = None

    def __post_init__(self) -> None:
        """Check the number."""
        if self.keep is not None and integer("keep", self.keep) < 1:
            raise ValueError(f"keep: expected a number of architectures >= 1, got {self.keep}")

    def kept(self, within: int) -> int:
        """How many of so many architectures the second stage ranks: few enough that the first stage counts."""
        return min(within, self.keep or max(1, min(KEEP, within // 10)))


def stages(space: SearchSpace[Any], by: Any, has_minibatch: bool) -> Stages:
    """What the argument ``by`` of ``design`` asks for; sampled proxies that nobody asked for need a minibatch."""
    if isinstance(by, Stages):
        return by
    if not (isinstance(by, str) and by == RECOMMENDED):
        return Stages(by)
    forms = space.offers(ClosedForms)
    if space.offers(Graph) is not None and forms is not None and "path_rank" in forms.forms:
        first: By = "path_rank"
    else:
        space.capability(Sizes)
        first = SIZES
    return Stages(first, ("jacob_cov", "-grad_norm") if has_minibatch else None)


@dataclass(frozen=True)
class Terms:
    """The scores of one stage.

    Attributes:
        sampled: proxies that need networks, by label.
        closed: names of closed forms.
        sizes: names of sizes of the space.
        small: the names, of all that are combined, of which small numbers rank first.
        names: the columns that are combined.
        sets: scores of the set of architectures, of which the columns above are the parts.
        ranker: an object that ranks in place of scores.
    """

    sampled: dict[str, Proxy]
    closed: tuple[str, ...]
    sizes: tuple[str, ...]
    small: frozenset[str]
    names: tuple[str, ...]
    sets: tuple[Population, ...] = ()
    ranker: Ranker | None = None

    @property
    def columns(self) -> set[str]:
        """All columns that there are: those that are combined, and parts."""
        return {*self.names, *self.sizes, *self.closed, *self.sampled}

    @property
    def told(self) -> list[tuple[str, float]]:
        """What a sampler maximises: columns, each with -1 where small numbers are good; one may come both ways.

        A score of a set means something else in every batch, so its parts stand for it.
        """
        parts = {each.name: each.of for each in self.sets}
        signs = {name: -1.0 if name in self.small else 1.0 for name in self.names}
        return [(part, sign) for name, sign in signs.items() for part in parts.get(name, (name,))]

    def oriented(self, name: str, column: Tensor) -> Tensor:
        """A column [N], higher is better."""
        return -column.double() if name in self.small else column.double()

    def of_sets(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The scores of the set by name, [N] each, of the columns of their parts."""
        return {each.name: set_score(each, columns, list(self.sampled)) for each in self.sets}

    def combined(self, columns: Mapping[str, Tensor]) -> Tensor:
        """One number an architecture [N], higher is better; NaN where one lacks a score that others have."""
        absent = [name for name in self.names if bool(columns[name].isnan().all())]
        if len(absent) == len(self.names):
            return columns[absent[0]].double()
        if absent:
            listed = ", ".join(absent)
            warnings.warn(f"by: no architecture has {listed}: left out of the ranking", Notice, stacklevel=2)
        ours = [self.oriented(name, columns[name]) for name in self.names if name not in absent]
        return ours[0] if len(ours) == 1 else log_rank_sum(*ours)


def terms(space: SearchSpace[Any], by: By) -> Terms:
    """The scores that a stage names.

    Raises:
        ValueError: an unknown name, one twice, none, or one that stands for several columns.
        TypeError: something else than names, proxies and objects with ``rank``.
    """
    if isinstance(by, Ranker):
        return Terms({}, (), (), frozenset(), ("rank",), (), by)
    given = _given(by)
    if given is None:
        raise TypeError(f"by: expected names, proxies, Stages or an object with rank(space, cells), got {by!r}")
    names = [each.removeprefix("-") if isinstance(each, str) else each for each in given]
    if len({id(each) if isinstance(each, Proxy) else each for each in names}) < len(names):
        raise ValueError(f"by: expected each score once, got {', '.join(map(str, given))}")
    has_sizes = space.offers(Sizes) is not None
    parts, sets = _parts(space, names)
    sizes = tuple(name for name in parts if isinstance(name, str) and name in SIZES and has_sizes)
    others = [name for name in parts if name not in sizes]
    resolved = _resolved(space, others) if others or not sizes else {}
    sampled = {proxy.label: proxy for proxy in resolved.values() if proxy is not None}
    closed = tuple(name for name, proxy in resolved.items() if proxy is None)
    for name in closed:
        columns = space.capability(ClosedForms).forms[name].columns
        if list(columns) != [name]:
            raise ValueError(f"by: expected a score of one column, got {name} of {len(columns)}")
    asked = {each.label if isinstance(each, Proxy) else each for each in names}
    combined = tuple(name for name in (*sizes, *closed, *sampled) if name in asked)
    small = frozenset(_small(given, sampled))
    return Terms(sampled, closed, sizes, small, (*combined, *(each.name for each in sets)), sets)


def _parts(space: SearchSpace[Any], names: list[Any]) -> tuple[list[Any], tuple[Population, ...]]:
    """The scores that are needed, and scores of sets that are made of them: those of ``score_architectures``."""
    sets, parts = tuple(each for name, each in populations().items() if name in names), with_parts(names)
    if space.offers(Sizes) is None or "flops" in closed_forms(space) or not any("flops" in each.of for each in sets):
        return parts, sets
    renamed = {"flops": LayerFlops.name}
    sets = tuple(replace(each, of=tuple(renamed.get(part, part) for part in each.of)) for each in sets)
    return [*(part for part in parts if part != "flops" or part in names), LayerFlops()], sets


def _given(by: Any) -> list[Scored] | None:
    """Names and proxies, each set as its members; None for anything else."""
    several = [by] if isinstance(by, (str, Proxy)) else by
    if not isinstance(several, Sequence) or not all(isinstance(each, (str, Proxy)) for each in several):
        return None
    names: list[Scored] = expanded(several)
    for name in names:
        if isinstance(name, str) and name.removeprefix("-") in SETS:
            raise ValueError(f"by: expected the name of one score behind a minus, got {name!r}, a set of several")
    return names


def _resolved(space: SearchSpace[Any], names: list[Any]) -> dict[str, Proxy | None]:
    """Proxies and closed forms by name, as ``resolve_columns``, whose errors name another argument."""
    if RECOMMENDED in names:
        raise ValueError(f"by: expected {RECOMMENDED!r} alone, got it in a list")
    try:
        return resolve_columns(space, names)
    except ValueError as error:
        raise ValueError(f"by: {str(error).removeprefix('proxies: ')}") from error


def _small(given: Sequence[Scored], sampled: dict[str, Proxy]) -> list[str]:
    """Labels whose small numbers rank first: a "-" turns what the proxy says."""
    turned = {each[1:] for each in given if isinstance(each, str) and each.startswith("-")}
    low = {label for label, proxy in sampled.items() if not proxy.higher_is_better}
    return sorted(turned ^ low)


def ranked(space: SearchSpace[Any], ranker: Ranker, cells: Any) -> Tensor:
    """What an object gives for architectures, [N] float64."""
    (column,) = aligned({"by": ranker.rank(space, cells)})
    if len(column) != len(cells):
        raise ValueError(f"by: expected rank to give {len(cells)} numbers, one an architecture, got {len(column)}")
    return column.double()


def in_order(column: Tensor, seed: int) -> Tensor:
    """Rows of a column [N] from the best to the worst: equal ones as the seed draws them, NaN last, as they stand."""
    ranked, others = (~column.isnan()).nonzero()[:, 0], column.isnan().nonzero()[:, 0]
    drawn = ranked[torch.randperm(len(ranked), generator=torch.Generator().manual_seed(seed))]
    return torch.cat([drawn[best_first(column[drawn])], others])
