"""What tools/cuda_report.py refuses, on kernels that were never compiled."""

import copy
import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[1] / "tools" / "cuda_report.py"


@pytest.fixture(scope="module")
def report():
    specification = importlib.util.spec_from_file_location("cuda_report", PATH)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def usages(report):
    return {
        (name, arch): report.Usage(
            instances=2,
            registers=40,
            stack=64 if name in report.INDEXED_LOCALLY else 0,
            wide_loads=[4, 6] if kernel.wide_loads else [],
            occupancy=50,
        )
        for name, kernel in report.KERNELS.items()
        for arch in report.ARCHITECTURES
    }


def test_the_committed_table_has_every_kernel(report, usages):
    committed = report.TABLE.read_text()
    assert not [text for text in report.regressions(usages, committed) if "found none" in text]


@pytest.mark.parametrize(
    ("kernel", "change", "message"),
    [
        ("correlate_kernel", {"occupancy": 37}, "expected an occupancy of at least 50 %, got 37 %"),
        ("correlate_kernel", {"stack": 8, "local_accesses": 2}, "expected no local memory, got 8 bytes"),
        ("correlate_kernel", {"generic_loads": 1}, "expected loads of known spaces alone, got 1 generic ones"),
        ("nasbench101_index_kernel", {"stack": 72}, "expected at most 64 bytes of stack, got 72"),
        (
            "fisher_rows_kernel",
            {"wide_loads": [2, 6]},
            "expected 4 to 6 in 2 for loads of 16 bytes in loops, got 2 in 2",
        ),
        ("fisher_rows_kernel", {"wide_loads": [6]}, "expected 4 to 6 in 2 for loads of 16 bytes in loops, got 4 in 1"),
    ],
)
def test_what_gets_worse_is_refused(report, usages, kernel, change, message):
    committed = report.render(usages)
    assert report.problems(usages, committed) == []
    worse = copy.deepcopy(usages)
    for name, value in change.items():
        setattr(worse[kernel, 90], name, value)
    found = report.problems(worse, committed)
    assert any(message in text for text in found), found
