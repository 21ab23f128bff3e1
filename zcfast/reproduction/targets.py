"""What can be reproduced, by the name of the paper's table or figure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from zcfast.errors import unknown
from zcfast.reproduction import ablations, figures, local, tables
from zcfast.reproduction.context import Context
from zcfast.reproduction.results import Result

ALL = "all"
TARGETS: dict[str, Callable[[Context], Result]] = {
    **{name: partial(tables.reproduce, target=name) for name in tables.TABLES},
    **{name: partial(local.reproduce, target=name) for name in local.TABLES},
    **{name: partial(ablations.reproduce, target=name) for name in ablations.TABLES},
    "figure2": figures.figure2,
    "figure3": figures.figure3,
}
NOT_YET = {
    "table3": "compares searches",
    "table7": "compares searches",
    "figure4": "shows searches",
    "figure5": "shows searches",
    "figure7": "shows searches",
    "figure8": "shows searches",
}


def chosen(names: list[str]) -> list[str]:
    """The targets that names stand for, in the paper's order; `all` stands for every one that there is.

    Errors: ValueError for no name, an unknown one, and a table or figure that cannot be reproduced yet.
    """
    for name in names:
        if name in NOT_YET:
            raise ValueError(f"{name}: not yet: it {NOT_YET[name]}, and zcfast has no search engine yet")
        if name not in (*TARGETS, ALL):
            raise unknown("table or figure", name, [*TARGETS, ALL])
    if not names:
        raise ValueError(f"targets: expected one or more of {', '.join([*TARGETS, ALL])}, got none")
    order = sorted(TARGETS, key=lambda name: (not name.startswith("table"), len(name), name))
    return [name for name in order if name in names or ALL in names]
