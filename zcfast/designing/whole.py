"""First scores without networks that mean the same in every batch of proposals."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import torch

from zcfast.designing.formulas import has_formulas, rows_within
from zcfast.designing.plan import Plan, Stage, scored
from zcfast.order import spread
from zcfast.spaces import Cells, Enumerated
from zcfast.spaces.forms import closed_forms


class Unsampled:
    """Closed forms and what an object gives, of any cells.

    A rank, or a number of the caller's object, may depend on the set that is asked for. On a listed space with formulas
    it is that among all rows within the limits, computed once. On any other it is asked for batch by batch, and one
    that depends on the batch is refused where a sampler would be told it.
    """

    def __init__(self, plan: Plan) -> None:
        """Take the design, whose first stage this is without sampled proxies."""
        self._plan, self._terms = plan, replace(plan.first, sampled={}, sets=())
        self._whole, self._checked = has_formulas(plan), False

    def of(self, cells: Cells) -> Stage:
        """The scores of architectures within the limits."""
        if not self._terms.closed and self._terms.ranker is None:
            return Stage({}, {}, {})
        if not self._whole:
            return scored(self._plan, self._terms, cells)
        rows = self._plan.space.capability(Enumerated).index(cells).cpu()
        return Stage({name: column[rows] for name, column in self._all.columns.items()}, self._all.meanings, {})

    def require_alone(self, cells: Cells) -> None:
        """Raise a ValueError where a score depends on the set and a sampler is to be told it; looked at once."""
        if self._whole or self._checked or len(cells) < 2:
            return
        plan = self._plan
        for name in self._terms.closed:
            if closed_forms(plan.space)[name].within is not None:
                raise ValueError(f"by: expected a score of one architecture, got {name}, a rank in a set that is drawn")
        half = len(cells) // 2
        if self._terms.ranker is not None and not _equal(self.of(cells[:half]), self.of(cells), half):
            kind = type(self._terms.ranker).__name__
            raise ValueError(f"by: expected {kind} to give one number whichever architectures it is asked with")
        self._checked = True

    @cached_property
    def _all(self) -> Stage:
        """Of all rows of the space, NaN over the limits."""
        plan = self._plan
        cells, (_, rows) = plan.space.capability(Enumerated).enumerate(), rows_within(plan)
        stage = scored(plan, self._terms, cells[rows])
        return Stage({name: spread(c, rows, len(cells)) for name, c in stage.columns.items()}, stage.meanings, {})


def _equal(one: Stage, other: Stage, rows: int) -> Any:
    pairs = [(one.columns[name][:rows].double(), other.columns[name][:rows].double()) for name in one.columns]
    return all(torch.allclose(first, second, rtol=1e-6, equal_nan=True) for first, second in pairs)
