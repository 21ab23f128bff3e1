"""What every executor keeps to."""

from contextlib import closing

import pytest

from zcfast.scoring import Executor


def check_executor(executor: Executor) -> None:
    """Every item is run once, whatever the order; what a task raises is raised; closing early does no harm."""
    assert sorted(executor.map(_square, range(9))) == [(number, number * number) for number in range(9)]
    assert list(executor.map(_square, [])) == []
    assert list(executor.map(_square, [7])) == [(0, 49)]
    with pytest.raises(ZeroDivisionError), closing(executor.map(_inverse, [1, 0])) as results:
        list(results)
    results = executor.map(_square, range(5))
    assert next(results)[0] in range(5)
    results.close()
    assert list(results) == []
    assert len(list(executor.map(_square, range(3)))) == 3  # again


def _square(number: int) -> int:
    return number * number


def _inverse(number: int) -> float:
    return 1 / number
