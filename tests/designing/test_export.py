"""Networks that are written as ONNX files."""

import numpy as np
import pytest
import torch
from torch import nn

import zcfast
from tests.designing.own_space import EXAMPLE, small
from zcfast.designing import ExportError

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def best():
    return zcfast.design(zcfast.Space(small, EXAMPLE), by="params").best


@pytest.mark.slow
def test_the_file_computes_what_the_network_computes(best, tmp_path):
    net = best.export(tmp_path / "net.onnx")
    assert net.training
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    inputs = torch.randn(7, 3, 8, 8)
    with torch.no_grad():
        expected = net.eval()(inputs).numpy()
    (came,) = session.run(None, {"input": inputs.numpy()})
    np.testing.assert_allclose(came, expected, rtol=1e-4, atol=1e-5)
    trained = best.build()
    nn.init.ones_(trained[-1].weight)
    assert best.export(tmp_path / "trained.onnx", trained) is trained
    (came,) = onnxruntime.InferenceSession(tmp_path / "trained.onnx").run(None, {"input": inputs.numpy()})
    assert np.ptp(came - trained[-1].bias.detach().numpy(), axis=1).max() < 1e-4


class Strange(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(x) if x.sum().item() > 0 else self.layer(-x)


@pytest.mark.slow
def test_a_network_that_cannot_be_written_is_kept(tmp_path):
    space = zcfast.spaces.of({"strange": Strange}, example=(torch.ones(2, 3), torch.tensor([0, 1])))
    best = zcfast.design(space, by="params").best
    with pytest.raises(ExportError, match=r"^export: .+") as error:
        best.export(tmp_path / "net.onnx")
    assert isinstance(error.value.module, Strange)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_one_clear_error(best, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(
        ImportError, match=r"export needs onnxruntime, which is not installed: pip install 'zcfast\[onnx\]'"
    ):
        best.export(tmp_path / "net.onnx")


class Elsewhere(nn.Linear):
    """Runs only once it was moved to the CPU, as the copy of a network on a GPU does."""

    here = False

    def _apply(self, fn, recurse=True):
        self.here = fn(torch.zeros(1)).device.type == "cpu"
        return super()._apply(fn, recurse)

    def forward(self, x):
        if not self.here:
            raise RuntimeError("expected all tensors on one device")
        return super().forward(x)


@pytest.mark.slow
def test_a_network_on_another_device_is_written_by_a_copy_on_the_cpu(tmp_path):
    space = zcfast.spaces.of({"elsewhere": nn.Linear(3, 2)}, example=(torch.ones(2, 3), torch.tensor([0, 1])))
    best, net = zcfast.design(space, by="params").best, Elsewhere(3, 2)
    assert best.export(tmp_path / "net.onnx", net) is net
    assert not net.here
    with pytest.raises(ExportError, match="export: NotImplementedError: Cannot copy out of meta tensor"):
        best.export(tmp_path / "other.onnx", nn.Linear(3, 2, device="meta"))
