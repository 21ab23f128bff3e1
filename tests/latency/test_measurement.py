import copy
import time

import pytest
import torch
from torch import nn

import zcfast
from tests.latency.nets import own
from zcfast import latency
from zcfast.spaces.nasbench201 import NasBench201Cells

SMALL = {"width": 8, "kernel0": 1, "kernel1": 1, "kernel2": 1}
LARGE = {"width": 64, "kernel0": 5, "kernel1": 5, "kernel2": 5}
EXAMPLE = (torch.randn(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64))


class Sleeps(nn.Module):
    """Takes its time, more or less."""

    def __init__(self, seconds, varies=0.0):
        super().__init__()
        self.seconds, self.varies, self.calls = seconds, varies, 0
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        self.calls += 1
        time.sleep(self.seconds + self.varies * (self.calls % 2))
        return self.norm(x).mean((1, 2, 3))[:, None]


def sleepers(*seconds, **options):
    return zcfast.spaces.of([Sleeps(each, **options) for each in seconds], example=EXAMPLE)


def test_medians_of_networks_that_take_known_times():
    space, threads = sleepers(0.003, 0.012, 0.03), torch.get_num_threads()
    measured = latency.measure(space, [2, 0, 1], repeats=5, threads=1)
    assert (measured.milliseconds >= torch.tensor([30.0, 3, 12])).all()
    assert measured.milliseconds.argsort().tolist() == [1, 2, 0]
    assert measured.spread.shape == (3,)
    assert measured.protocol["runtime"] == "torch"
    assert torch.get_num_threads() == threads


def test_the_users_network_stays_as_it_was():
    module = Sleeps(0.001)
    before = copy.deepcopy(module.state_dict())
    space = zcfast.spaces.of([module, Sleeps(0.02)], example=EXAMPLE)
    latency.measure(space, [0, 1], batch=5, repeats=3)
    assert module.training
    assert module.calls == 0
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_networks_run_as_in_use_on_batches_of_any_size():
    shapes = []

    class Looks(nn.Module):
        def forward(self, x):
            shapes.append((tuple(x.shape), self.training, torch.is_grad_enabled()))
            return x.mean((1, 2, 3))[:, None]

    space = zcfast.spaces.of([Looks()], example=EXAMPLE)
    latency.measure(space, [0], batch=5, repeats=3)
    assert set(shapes) == {((5, 3, 8, 8), False, False)}


def test_noise_larger_than_the_differences_is_refused():
    space = sleepers(0.003, 0.003, varies=0.012)
    with pytest.raises(latency.TooNoisyError, match="expected repeats that differ less than the networks") as caught:
        latency.measure(space, [0, 1], repeats=8)
    assert caught.value.measured.milliseconds.shape == (2,)


def test_own_networks_of_different_sizes():
    space = own(32)
    cells = space.parse([SMALL, LARGE])
    found = latency.measure(space, cells, batch=16, repeats=5).milliseconds
    assert found[0] < found[1]
    mean, _ = latency.fit(space, cells, found).predict(cells)
    assert mean[0] < mean[1]


def test_networks_of_cells():
    space = zcfast.space("nasbench201")
    small, large = torch.tensor([[1, 0, 0, 0, 0, 0]]), torch.full((1, 6), 3)
    cells = NasBench201Cells(torch.cat([small, large]).to(torch.int8))
    found = latency.measure(space, cells, repeats=5, batch=8, modules=2)
    assert found.milliseconds[0] < found.milliseconds[1]
    assert found.protocol["options"] == {"modules": 2}


def test_onnxruntime():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    space = own(32)
    cells = space.parse([SMALL, LARGE])
    found = latency.measure(space, cells, runtime="onnxruntime", batch=16, repeats=5).milliseconds
    assert found[0] < found[1]


@pytest.mark.slow
def test_torch_compile():
    found = whatever_the_noise(own(), [0, 200], runtime="torch.compile", batch=2, repeats=3)
    assert (found.milliseconds > 0).all()


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="runtime: onnxruntime needs onnx, onnxscript and onnxruntime"):
        latency.measure(own(), [0], runtime="onnxruntime")


def test_a_network_that_does_not_run():
    space = zcfast.spaces.of({"wrong": nn.Linear(5, 2)}, example=EXAMPLE)
    with pytest.raises(ValueError, match="modules: wrong does not run: mat1 and mat2"):
        latency.measure(space, [0])


def test_bad_input():
    space = sleepers(0.0)
    for options, message in (
        ({"runtime": "tensorrt"}, "unknown runtime 'tensorrt'"),
        ({"device": "npu"}, "device: expected cpu or cuda, got 'npu'"),
        ({"batch": 0}, "batch: expected a number >= 1, got 0"),
        ({"threads": 1.5}, r"threads: expected an integer, got 1\.5"),
        ({"repeats": 2}, "repeats: expected a number >= 3, got 2"),
    ):
        with pytest.raises(ValueError, match=message):
            latency.measure(space, [0], **options)
    with pytest.raises(ValueError, match="rows: expected at least one architecture, got none"):
        latency.measure(space, space.enumerate()[:0])


def whatever_the_noise(*arguments, **options):
    try:
        return latency.measure(*arguments, **options)
    except latency.TooNoisyError as error:
        return error.measured


class Called(nn.Sequential):
    """Counts the calls of its own code; what is compiled runs none of it."""

    calls = 0

    def forward(self, x):
        if not torch.compiler.is_compiling():
            Called.calls += 1
        return super().forward(x)


class Broken(nn.Module):
    """torch compiles it in two parts, of code that all of its kind share."""

    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.Linear(3, width), nn.Linear(width, 2)

    def forward(self, x):
        x = self.first(x)
        torch._dynamo.graph_break()
        return self.second(x)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["whole", "in parts"])
def test_more_networks_than_torch_keeps_of_one_code_are_compiled(monkeypatch, kind):
    runs = []

    def backend(graph, inputs):
        place = len(runs)
        runs.append(0)

        def run(*given):
            runs[place] += 1
            return graph(*given)

        return run

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **options: real(function, backend=backend, **options))
    make = {
        "whole": lambda n: Called(*(nn.Linear(3, 3) for _ in range(n + 1)), nn.Linear(3, 2)),
        "in parts": lambda n: Broken(n + 1),
    }[kind]
    space = zcfast.spaces.of({str(n): make(n) for n in range(12)}, example=EXAMPLE_OF_DRAWING)
    whatever_the_noise(space, list(range(12)), runtime="torch.compile", repeats=3)
    assert len(runs) == (12 if kind == "whole" else 24)
    assert min(runs) >= 3 + 3  # warm-up and repeats
    assert Called.calls == 0


@pytest.mark.slow
def test_twelve_networks_are_compiled_and_measured():
    space = own(8)
    found = whatever_the_noise(space, list(range(0, 192, 16)), runtime="torch.compile", batch=8, repeats=3)
    assert len(found.milliseconds) == 12
    assert (found.milliseconds > 0).all()


def test_no_random_number_of_the_process_is_drawn():
    before = torch.get_rng_state()
    latency.measure(zcfast.spaces.of([Drawing], example=EXAMPLE_OF_DRAWING), [0], repeats=3)
    assert torch.equal(torch.get_rng_state(), before)


EXAMPLE_OF_DRAWING = torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)


class Drawing(torch.nn.Linear):
    def __init__(self):
        super().__init__(3, 2)

    def forward(self, x):
        return super().forward(x + torch.rand_like(x))
