"""What every space, proxy, algorithm, executor, store and table keeps to: tests for those of your own; needs pytest.

    def test_my_space():
        zcfast.testing.check_space(mymodule.space)

    class TestMine(zcfast.testing.AlgorithmContract):
        spaces = ("myspace",)

        def make(self):
            return Mine(option=3)

The built-in ones are tested by the same code. A check raises AssertionError where something does not hold.
"""

try:
    import pytest
except ImportError as error:
    raise ImportError("zcfast.testing needs pytest, which is not installed: pip install pytest") from error

SUITES = ("algorithm", "executor", "proxy", "space", "store", "table")
# Assertions say what came.
pytest.register_assert_rewrite(*(f"zcfast.testing.{name}" for name in SUITES))

from zcfast.testing.algorithm import AlgorithmContract  # noqa: E402
from zcfast.testing.executor import check_executor  # noqa: E402
from zcfast.testing.proxy import check_proxy  # noqa: E402
from zcfast.testing.space import check_space  # noqa: E402
from zcfast.testing.store import check_store  # noqa: E402
from zcfast.testing.table import check_table  # noqa: E402

__all__ = ["AlgorithmContract", "check_executor", "check_proxy", "check_space", "check_store", "check_table"]
