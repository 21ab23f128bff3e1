"""What can be reproduced, by the name of the paper's table or figure."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial

from reproduction import ablations, figures, local, searches, tables
from reproduction.context import Context
from reproduction.results import Result
from reproduction.search_results import SearchResult

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
            near = difflib.get_close_matches(name, [*TARGETS, ALL])
            hint = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join([*TARGETS, ALL])}"
            raise ValueError(f"unknown table or figure {name!r}: {hint}")
    if not names:
        raise ValueError(f"targets: expected one or more of {', '.join([*TARGETS, ALL])}, got none")
    order = sorted(TARGETS, key=lambda name: (not name.startswith("table"), len(name), name))
    return [name for name in order if name in names or ALL in names]
