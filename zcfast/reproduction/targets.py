"""What can be reproduced, by the name of the paper's table or figure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from zcfast.errors import unknown
from zcfast.reproduction import ablations, figures, local, searches, tables
from zcfast.reproduction.context import Context
from zcfast.reproduction.results import Result
from zcfast.reproduction.search_results import SearchResult

ALL = "all"
TARGETS: dict[str, Callable[[Context], Result | SearchResult]] = {
    **{name: partial(tables.reproduce, target=name) for name in tables.TABLES},
    **{name: partial(local.reproduce, target=name) for name in local.TABLES},
    **{name: partial(ablations.reproduce, target=name) for name in ablations.TABLES},
    **{name: partial(searches.table, target=name) for name in searches.TABLES},
    "figure2": figures.figure2,
    "figure3": figures.figure3,
    **{name: partial(searches.figure, target=name) for name in searches.FIGURES},
}


def chosen(names: list[str]) -> list[str]:
    """The targets that names stand for, in the paper's order; `all` stands for every one that there is.

    Errors: ValueError for no name and an unknown one.
    """
    for name in names:
        if name not in (*TARGETS, ALL):
            raise unknown("table or figure", name, [*TARGETS, ALL])
    if not names:
        raise ValueError(f"targets: expected one or more of {', '.join([*TARGETS, ALL])}, got none")
    order = sorted(TARGETS, key=lambda name: (not name.startswith("table"), len(name), name))
    return [name for name in order if name in names or ALL in names]
