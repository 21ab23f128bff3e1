"""Operators and arguments that nobody means: an error that names the argument, or a result, and never a wild access.

`python tools/asan.py` runs this under AddressSanitizer.
"""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import zcfast
from tests import hostile
from zcfast import search_ops

ROOT = Path(__file__).parents[1]
OPERATORS = sorted(hostile.calls())


def test_every_operator_is_called():
    registered = {name for name in dir(torch.ops.zcfast) if hasattr(getattr(torch.ops.zcfast, name), "default")}
    names = torch._C._dispatch_get_all_op_names()
    registered |= {name.removeprefix("zcfast::") for name in names if name.startswith("zcfast::")}
    assert registered - {"simd_level", "cuda_built"} == set(OPERATORS)


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_arguments_that_are_spoiled_are_right(operator):
    getattr(torch.ops.zcfast, operator)(**hostile.calls()[operator])


@pytest.fixture(scope="module")
def _every_module():
    """Shapes of results are registered beside the wrappers, wherever these are."""
    for module in pkgutil.walk_packages(zcfast.__path__, "zcfast."):
        if "._" not in module.name:  # not to be started, or no Python
            importlib.import_module(module.name)


@pytest.mark.usefixtures("_every_module")
@pytest.mark.parametrize("operator", OPERATORS)
def test_opcheck(operator):
    torch.library.opcheck(getattr(torch.ops.zcfast, operator).default, (), hostile.calls()[operator])


@pytest.mark.slow
def test_drawn_arguments_give_a_result_or_one_clear_line():
    """In a process of its own, which a wild access would end."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.test_ops_hostile"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-4000:])
    assert done.stdout.split() == OPERATORS


def spoil_calls(operator):
    @seed(0)
    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def spoiled(data):
        hostile.spoiled_call(data, operator)

    spoiled()


GRAPH = (torch.tensor([0, 2, 3, 5, 6]), torch.tensor([1, 2, 0, 1, 3, 2]))
VALUES = torch.tensor([0.1, 0.4, 0.2, 0.3], dtype=torch.float64)


def evolve(asked=0, steps=30, initial=None, rows=None, graph=GRAPH, moves=None, ratio=0.5, values=VALUES, runs=3):
    keys, whole = torch.arange(runs), torch.arange(4).repeat(runs, 1)
    accuracies = torch.ones(runs, 4, dtype=torch.float64)
    pool = (whole if initial is None else initial, whole if rows is None else rows, accuracies)
    return search_ops.evolve(keys, asked, steps, pool, 2, graph, moves, ratio, values)


def changed(tensor, place, number):
    tensor = tensor.clone()
    tensor.view(-1)[place] = number
    return tensor


WHOLE = torch.arange(4).repeat(3, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"initial": changed(WHOLE, 5, 4)}, "initial: expected rows of values, up to 3, got 4 at 5"),
        ({"initial": changed(WHOLE, 0, -1)}, "initial: expected rows of values, up to 3, got -1 at 0"),
        ({"asked": 4, "rows": torch.full((3, 4), 2**62)}, f"rows: expected rows of values, up to 3, got {2**62} at "),
        ({"graph": (GRAPH[0], torch.full((6,), 9))}, "ids: expected rows of values, up to 3, got 9 at "),
        ({"graph": (GRAPH[0], torch.full((6,), -(2**63)))}, f"ids: expected rows of values, up to 3, got -{2**63} at "),
        ({"graph": (GRAPH[0] + 2, GRAPH[1])}, "offsets: expected rising places in ids, up to 6, got "),
        ({"graph": (GRAPH[0].flip(0), GRAPH[1])}, "offsets: expected rising places in ids, up to 6, got "),
        ({"graph": (GRAPH[0] - 7, GRAPH[1])}, "offsets: expected rising places in ids, up to 6, got -"),
        ({"graph": (GRAPH[0], GRAPH[1][:0])}, "offsets: expected rising places in ids, up to 0, got "),
        ({"moves": torch.full((4,), 4), "ratio": 1.0}, "moves: expected rows of values, up to 3, got 4 at "),
        ({"asked": -1}, "asked: expected 0 to "),
        ({"asked": 2**62}, "asked: expected 0 to "),
        ({"steps": -1}, "steps: expected 0 to "),
        ({"ratio": torch.nan}, "ratio: expected 0 to 1, got nan"),
        ({"values": VALUES[:0], "graph": (GRAPH[0][:1], GRAPH[1])}, "values: expected one or more, got none"),
    ],
)
def test_evolve_names_the_number_that_is_no_row(arguments, message):
    with pytest.raises(RuntimeError, match=f"zcfast::evolve: {message}"):
        evolve(**arguments)


def test_evolve_names_the_first_run():
    """Whichever thread meets it."""
    initial = torch.arange(4).repeat(200, 1)
    initial[150:, 2] = 77
    with pytest.raises(RuntimeError, match=r"initial: .*, got 77 at 602"):
        evolve(initial=initial, rows=initial, runs=200)


def test_evolve_leaves_its_arguments():
    initial, rows = WHOLE.clone(), WHOLE.clone()
    trained, after, _ = evolve(initial=initial, rows=rows)
    assert torch.equal(rows, WHOLE)
    assert after.data_ptr() != rows.data_ptr()
    assert trained.min() >= 0
    assert trained.max() <= 3


@pytest.mark.parametrize(
    ("table", "number", "message"),
    [
        (0, -5, "lookup: expected 0 or 1 \\+ 128 class \\+ order, got -5 at "),
        (0, 2**31 - 1, "lookup: expected 0 or 1 \\+ 128 class \\+ order, got 2147483647 at "),
        (0, 128, "lookup: expected 0 or 1 \\+ 128 class \\+ order, got 128 at "),
        (
            0,
            0,
            "expected the tables of zcfast._tables.nasbench101\\(\\), got others, which lead the cell in row 0 to no",
        ),
        (1, 0, "orders: expected 1 to 5, got 0 at 0"),
        (1, 127, "orders: expected 1 to 5, got 127 at 0"),
        (2, -(2**31), "class_first: expected 0 to 423623, got -2147483648 at 0"),
        (3, 72918, "class_orbits: expected -1 to 72917, got 72918 at 0"),
        (4, -1, "orbits: expected 0 to 242, got -1 at 0"),
    ],
)
@pytest.mark.parametrize("operator", ["nasbench101_index", "nasbench101_neighbours"])
def test_look_up_tables_are_not_trusted(operator, table, number, message):
    call = hostile.calls()[operator]
    name = ("lookup", "orders", "class_first", "class_orbits", "orbits")[table]
    call[name] = torch.full_like(call[name], number)
    with pytest.raises(RuntimeError, match=f"zcfast::{operator}: .*{message}"):
        getattr(torch.ops.zcfast, operator)(**call)


@pytest.mark.parametrize("operator", ["nasbench101_keys", "nasbench101_expected_synflow"])
def test_the_first_invalid_cell_is_named(operator):
    call = hostile.calls()[operator]
    for name in ("vertices", "edges", "operations"):
        call[name] = call[name].repeat(2000, *[1] * (call[name].dim() - 1))
    call["vertices"][1234:] = 9
    with pytest.raises(RuntimeError, match="got an invalid one in row 1234"):
        getattr(torch.ops.zcfast, operator)(**call)


@pytest.mark.parametrize("operator", ["saliency_reduce", "fisher_reduce", "jacobian_correlation", "evolve"])
def test_a_tensor_whose_storage_was_freed(operator):
    for name, value in hostile.calls()[operator].items():
        tensor = value[0] if isinstance(value, list) else value
        if not isinstance(tensor, torch.Tensor):
            continue
        freed = tensor.clone()
        freed.untyped_storage().resize_(0)
        call = {**hostile.calls()[operator], name: [freed, *value[1:]] if isinstance(value, list) else freed}
        with pytest.raises(RuntimeError, match=f"{name}.*: expected a tensor with memory, got one whose storage was"):
            getattr(torch.ops.zcfast, operator)(**call)


@pytest.mark.parametrize(
    ("operator", "change", "message"),
    [
        ("jacobian_correlation", {"jacobian": torch.empty(2**32, 0)}, "jacobian: .*got 4294967296 x 4294967296"),
        ("stream_bits", {"keys": torch.zeros(1, dtype=torch.int64).expand(2**30), "draws": 2**30}, "draws: .*at most"),
        ("stream_bits", {"step": -1}, "step: expected 0 to"),
        ("batch_norm", {"eps": torch.nan}, "eps: expected a finite number of at least 0, got nan"),
        ("batch_norm", {"eps": -1.0}, "eps: expected a finite number of at least 0, got -1"),
        ("nasbench101_expected_synflow", {"init_scale": torch.nan}, "init_scale: expected a finite number"),
        ("nasbench201_expected_synflow", {"init_scale": torch.inf}, "init_scale: expected a finite number"),
        ("nasbench201_expected_synflow", {"init_bias_scale": -1.0}, "init_bias_scale: expected a finite number"),
    ],
)
def test_numbers_out_of_range(operator, change, message):
    with pytest.raises(RuntimeError, match=f"zcfast::{operator}: {message}"):
        getattr(torch.ops.zcfast, operator)(**{**hostile.calls()[operator], **change})


@pytest.mark.parametrize("shape", [(2**38, 3, 0), (2**20, 3, 2**40, 0), (0, 3, 2**40)])
def test_sizes_of_nothing_take_no_time(shape):
    nothing = torch.empty(shape)
    got = torch.ops.zcfast.fisher_reduce(nothing, nothing, 1)
    expected = torch.zeros(3, dtype=torch.float64) if shape[0] else torch.full((3,), torch.nan, dtype=torch.float64)
    assert torch.equal(got.nan_to_num(7), expected.nan_to_num(7))


if __name__ == "__main__":
    for name in OPERATORS:
        spoil_calls(name)
        print(name, flush=True)
