"""What every store keeps to."""

import math
from collections.abc import Callable

from zcfast.scoring import Store
from zcfast.scoring.store import Row

CLAIMS = {"seed": 0, "proxies": ["a", "b"]}
ROWS: dict[str, Row] = {"one": {"a": (0.1, ""), "b": (-math.inf, "")}, "two": {"a": (math.nan, "undefined: 0 / 0")}}


def check_store(make: Callable[[], Store]) -> None:
    """What is kept is there for the next run of the same claims, and for no other, until it is cleared.

    Args:
        make: gives a store of one place, at first empty, not entered yet.
    """
    with make() as store:
        assert store.begin(CLAIMS, list(ROWS)) == {}
        for architecture, row in ROWS.items():
            store.keep(architecture, row)
    with make() as store:
        found = store.begin(CLAIMS, ["two", "one", "three"])
        assert repr(sorted(found.items())) == repr(sorted(ROWS.items()))  # NaN equals no NaN
        store.keep("three", ROWS["one"])
    with make() as store:
        assert store.begin({**CLAIMS, "seed": 1}, list(ROWS)) == {}
    with make() as store:
        assert set(store.begin(CLAIMS, [])) == {"one", "two", "three"}
    with make() as store:
        store.begin(CLAIMS, ["one", "two", "three"])
        assert store.clear() == 0
    with make() as store:
        assert store.begin(CLAIMS, list(ROWS)) == {}
