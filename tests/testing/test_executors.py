from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest

from zcfast.scoring import Executor, InProcess, Processes
from zcfast.testing import check_executor


class Threads(Executor):
    """One of a user's own."""

    def map(self, task, items):
        with ThreadPoolExecutor(2) as pool:
            places = {pool.submit(task, item): place for place, item in enumerate(items)}
            for done in as_completed(places):
                yield places[done], done.result()


class Forgetful(Threads):
    def map(self, task, items):
        yield from super().map(task, items[1:])


@pytest.mark.parametrize("executor", [InProcess(), Processes(2), Threads()], ids=lambda each: type(each).__name__)
def test_contract(executor):
    check_executor(executor)


def test_lost_items_are_found_out():
    with pytest.raises(AssertionError):
        check_executor(Forgetful())
