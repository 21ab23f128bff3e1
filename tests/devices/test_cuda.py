"""On a GPU."""

import pytest
import torch

from tests.devices.placement import *  # noqa: F403

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@pytest.fixture
def device(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # PyTorch's default rounds to ten bits
    return "cuda"
