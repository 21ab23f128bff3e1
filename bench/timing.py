"""What a benchmark has measured."""

from typing import Any

import pytest


def measured(benchmark: Any) -> Any:
    """The statistics of its times; with --benchmark-disable nothing is timed, and the rest of the test is skipped."""
    if benchmark.disabled:
        pytest.skip("ran, but was not timed: benchmarks are disabled")
    return benchmark.stats.stats
