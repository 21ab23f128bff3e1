"""On a device that is not the CPU; run by test_pretend.py in a process of its own."""

import pytest
import torch

import zcfast
from tests.devices import pretend
from tests.devices.placement import *  # noqa: F403
from zcfast import _native, search
from zcfast.images import random_images
from zcfast.passes import layers
from zcfast.scoring import architectures


@pytest.fixture(params=[True, False], ids=["with CUDA kernels", "built without CUDA"], autouse=True)
def kernels(request, monkeypatch):
    """Whether the extension has the device's kernels."""
    elsewhere = _native.has_kernel

    def has_kernel(operator, device_type):
        if device_type != pretend.NAME:
            return elsewhere(operator, device_type)
        return request.param and operator in pretend.KERNELS

    monkeypatch.setattr(_native, "has_kernel", has_kernel)
    monkeypatch.setattr(architectures, "find_device", torch.device)
    monkeypatch.setattr(layers, "_PLAIN", {*layers._PLAIN, pretend.PretendTensor})  # a real device has torch's tensors
    return request.param


@pytest.fixture
def device():
    return pretend.NAME


def test_devices_do_not_mix(device):
    here, there = torch.ones(3), torch.ones(3, device=device)
    assert (there + 1).device.type == device
    with pytest.raises(RuntimeError, match="expected all tensors on one device"):
        here + there
    with pytest.raises(RuntimeError, match="flow_convolution: no CUDA kernel"):
        torch.ops.zcfast.flow_convolution(
            torch.ones(1, 1, 1, 4, 4, device=device).double(), torch.ones(1, 1, 2, 2, device=device), 1, 1, 1, 0, 0
        )


def test_every_kernel_is_used_where_there_is_one(device, kernels):
    space = zcfast.space("nasbench101")
    cells = space.enumerate()[1000:1002].to(device)
    pretend.used.clear()
    zcfast.score_space(space, ["expected_synflow"], cells=cells)
    space.neighbours(cells)
    images = random_images(2, (3, 16, 16), 10, 0)
    zcfast.score_architectures(space, ["snip", "fisher", "jacob_cov"], cells, images, device=device, modules=1)
    algorithm = search.ageing_evolution(pool=5, tournament=2)
    accuracies = torch.arange(float(len(space)), device=device)
    algorithm.advance(algorithm.init(space, runs=2, device=device), accuracies, 10)
    assert pretend.used == (pretend.KERNELS if kernels else set())
