"""What takes a device says so where it is not there; the command line's tests are in tests/cli/test_sampled.py."""

import pytest
import torch

import zcfast
from zcfast import search
from zcfast.images import random_images
from zcfast.tables import Metric, Table

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")


def scored(path):
    space = zcfast.space("nasbench201")
    zcfast.score_architectures(
        space, ["snip"], space.enumerate()[:1], random_images(2, (3, 8, 8), 10, 0), device="cuda"
    )


def searched(path):
    table = Table("nasbench201", {"test": Metric(torch.rand(1, 15_625), "", "", None, "fraction")}, ("test",), "drawn")
    search.run(search.random_search(), "nasbench201", table, device="cuda")


def loaded(path):
    algorithm = search.random_search()
    search.save_state(algorithm.init("nasbench201", runs=1), path)
    search.load_state(algorithm.state, path, device="cuda")


CALLS = {
    "score_architectures": scored,
    "search.run": searched,
    "init": lambda path: search.reinforce().init("nasbench101", runs=1, device="cuda"),
    "load_state": loaded,
    "cells": lambda path: zcfast.space("nasbench101").enumerate()[:1].to("cuda"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_cuda_is_missing(call, tmp_path):
    with pytest.raises(ValueError, match=r"^device: expected"):
        call(tmp_path / "state")
