"""The page of all of NAS-Bench-101: under 20 s and under 6 MB, with the making of its plot library in both.

In seconds of processor time, on one thread: what else runs on the machine does not count.
"""

import time

import pytest
import torch

import zcfast
from bench.timing import measured
from zcfast import report
from zcfast.tables import Metric, Table

SPACE = zcfast.space("nasbench101")


@pytest.fixture(scope="module")
def table() -> Table:
    """Accuracies made up from the number of parameters: the time and the size depend on the number of rows."""
    params = SPACE.params(SPACE.enumerate()).double().log()
    noise = torch.randn(len(params), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    metric = Metric((params + noise)[None], "cifar10", "test", 108, "fraction")
    return Table("nasbench101", {"test": metric}, ("test",), "made up")


@pytest.mark.benchmark(group="report of NAS-Bench-101, three scores", timer=time.process_time)
def test_report(benchmark, table):
    scores = zcfast.score_space("nasbench101", ["expected_synflow", "params", "flops"])
    page = benchmark.pedantic(report.html, (scores, table), setup=report.document._plot_library.cache_clear, rounds=3)
    benchmark.extra_info["megabytes"] = len(page.encode()) / 1e6
    assert len(page.encode()) < 6e6
    assert measured(benchmark).median < 20
