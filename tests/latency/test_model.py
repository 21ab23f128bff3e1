import numpy as np
import pytest
import torch
from torch import nn

import zcfast
from tests.latency.nets import own
from tests.shared import shared_data
from zcfast import latency
from zcfast.analysis import spearman
from zcfast.search.features import Features, described
from zcfast.search.gaussian_process import GaussianProcess

DEVICES = ("eyeriss", "fpga", "gold_6226", "titan_rtx_256", "pixel2", "pixel3", "raspi4")


def drawn(space, size, seed=0):
    return torch.randperm(len(space), generator=torch.Generator().manual_seed(1000 + seed))[:size]


def costs(space, cells):
    """A made-up device: each multiply-add and each kernel of 5 takes its time."""
    flops = space.capability(zcfast.spaces.Sizes).flops(cells).double()
    fives = torch.tensor([text.count(": 5") for text in space.format(cells)]).double()
    return 1 + flops / 1e6 + 3 * fives


def test_an_own_space_from_few_measurements():
    space = own()
    rows = drawn(space, 20)
    truth = costs(space, space.enumerate())
    model = latency.fit(space, rows, truth[rows])
    mean, deviation = model.predict()
    assert spearman(mean, truth) > 0.98
    assert (deviation >= 0).all()
    assert deviation[rows].mean() < deviation.mean()
    cells = space.sample(5, torch.Generator().manual_seed(3))
    assert torch.equal(model(space, cells), model.predict(cells)[0])
    torch.testing.assert_close(mean[space.index(cells)], model(space, cells))


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_a_space_of_cells_from_few_measurements(name):
    space = zcfast.space(name)
    cells = space.sample(500, torch.Generator().manual_seed(1))
    truth = 2 + space.flops(cells).double() / 1e7
    model = latency.fit(space, cells[:20], truth[:20].tolist())
    assert spearman(model.predict(cells)[0], truth) > 0.97
    assert repr(model) == f"LatencyModel({name}: 20 measured)"


def test_operations_on_paths_by_hand():
    space = zcfast.space("nasbench201")
    dead = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"  # node 1 leads nowhere
    live = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    columns = described(space, space.parse([dead, live]))
    assert columns["nor_conv_3x3"].tolist() == [2, 2]
    assert columns["nor_conv_3x3 on a path"].tolist() == [0, 2]
    assert columns["avg_pool_3x3 on a path"].tolist() == [0, 1]
    assert columns["none"].tolist() == [3, 2]
    assert columns["multiply-adds"].tolist() == space.flops(space.parse([dead, live])).tolist()


def test_layers_by_kind():
    space = own()
    cell = space.parse({"width": 8, "kernel0": 1, "kernel1": 3, "kernel2": 3})
    columns = {name: column.item() for name, column in described(space, cell).items() if not name.startswith("choice")}
    assert columns == {
        "conv 1x1": 1,
        "conv 1x1, multiply-adds": 3 * 8 * 256,
        "conv 3x3": 2,
        "conv 3x3, multiply-adds": 2 * 9 * 64 * 256,
        "matrix product": 1,
        "matrix product, multiply-adds": 80,
        "multiply-adds": 3 * 8 * 256 + 2 * 9 * 64 * 256 + 80,
    }


def sometimes(trial):
    width = trial.suggest_int("width", 1, 40)
    if width == 7:
        raise RuntimeError("seven")
    return nn.Sequential(nn.Flatten(), nn.Linear(48, width), nn.Linear(width, 10))


def test_a_network_that_cannot_be_built_has_no_latency():
    space = zcfast.Space(sometimes, example=(torch.randn(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64)))
    rows = torch.tensor([0, 10, 20, 30, 39])
    model = latency.fit(space, rows, rows + 1.0)
    mean, deviation = model.predict()
    missing = (torch.arange(40) == 6).tolist()
    assert mean.isnan().tolist() == deviation.isnan().tolist() == missing
    with pytest.raises(ValueError, match=r"rows: expected networks that can be built, got .*7"):
        latency.fit(space, [0, 6, 9], [1.0, 2, 3])


def test_modules_by_name():
    nets = {str(width): nn.Sequential(nn.Flatten(), nn.Linear(12, width)) for width in (1, 2, 3, 4, 8, 16)}
    space = zcfast.spaces.of(nets, example=(torch.randn(2, 3, 2, 2), torch.zeros(2, dtype=torch.int64)))
    mean, _ = latency.fit(space, [0, 2, 5], [1.0, 3.0, 16.0]).predict()
    assert (mean.diff() > 0).all()


def test_nothing_that_varies():
    nets = [nn.Sequential(nn.Flatten(), nn.Linear(12, 5)) for _ in range(3)]
    space = zcfast.spaces.of(nets, example=(torch.randn(2, 3, 2, 2), torch.zeros(2, dtype=torch.int64)))
    with pytest.raises(ValueError, match="modules: expected architectures that differ in layers or choices, got none"):
        Features.fit(space, space.enumerate())


def test_equal_latencies_are_constant():
    mean, _ = latency.fit("nasbench201", [3, 50, 700], [2.0, 2.0, 2.0]).predict()
    torch.testing.assert_close(mean, torch.full_like(mean, 2))


def test_bad_input():
    space = zcfast.space("nasbench201")
    for rows, values, message in (
        ([1, 2], [1.0], r"milliseconds: expected a number for each of two or more rows, got 1 for 2"),
        ([1], [1.0], r"milliseconds: expected a number for each of two or more rows, got 1 for 1"),
        ([1, 2], [1.0, float("nan")], "milliseconds: expected finite numbers above 0"),
        ([1, 2], [1.0, 0.0], "milliseconds: expected finite numbers above 0"),
        ([1, 15_625], [1.0, 2.0], "rows: expected numbers from 0 to 15624"),
        ([1.0, 2.0], [1.0, 2.0], "rows: expected integers"),
    ):
        with pytest.raises(ValueError, match=message):
            latency.fit(space, rows, values)
    model = latency.fit(space, [1, 200], [1.0, 2.0])
    with pytest.raises(ValueError, match="space: expected nasbench201, whose latencies were fitted, got nasbench101"):
        model(zcfast.space("nasbench101"), zcfast.space("nasbench101").sample(1))


def test_the_deviation_is_the_processs():
    """Against the textbook's formula in plain float64."""
    space, rows = zcfast.space("nasbench201"), drawn(range(15_625), 10)
    truth = space.flops(space.enumerate()).double() / 1e6
    model = latency.fit(space, rows, truth[rows])
    x, at = model.features.of(space.enumerate()[rows]), model.features.of(space.enumerate()[:50])
    process = model.process

    def kernel(a, b):
        distance = (a[:, None] - b).square().mean(2).sqrt() * 5**0.5 / process.length
        return (1 + distance + distance.square() / 3) * (-distance).exp() + process.linear * (a @ b.T) / a.shape[1]

    inverse = torch.linalg.inv(kernel(x, x) + process.noise * torch.eye(10, dtype=torch.float64))
    left = kernel(at, at).diagonal() - (kernel(at, x) @ inverse @ kernel(x, at)).diagonal()
    expected = model.scale * (process.variance * left.clamp(min=0)).sqrt()
    torch.testing.assert_close(model.predict(space.enumerate()[:50])[1], expected, rtol=1e-4, atol=1e-6 * model.scale)
    assert isinstance(process, GaussianProcess)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "aim"), [(10, 0.923), (20, 0.949)])
def test_seven_devices(size, aim):
    latencies, found = np.load(shared_data("latency/nasbench201_ms.npz")), []
    for device in DEVICES:
        for seed in range(12):
            rows = drawn(range(15_625), size, seed)
            model = latency.fit("nasbench201", rows, latencies[device][rows.numpy()])
            found.append(spearman(model.predict()[0], latencies[device]))
    assert np.mean(found) >= aim


def test_rows_are_predicted_as_their_architectures():
    space = zcfast.space("nasbench201")
    model = latency.fit(space, [0, 5, 100], [1.0, 2.0, 4.0])
    for rows in ([5, 7], torch.tensor([5, 7])):
        assert model.predict(rows)[0].tolist() == model.predict(space.enumerate()[[5, 7]])[0].tolist()
    with pytest.raises(ValueError, match="rows: "):
        model.predict([20_000])
