"""Networks as ONNX files that compute what the network computes."""

from __future__ import annotations

import copy
import os
import warnings
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.errors import Portable, first_line
from zcfast.files import replace_file
from zcfast.torch_internals import quiet_exporter

MISSING = "export needs {}, which is not installed: pip install 'zcfast[onnx]'"
RELATIVE, ABSOLUTE = 1e-3, 1e-5  # how far outputs may differ: onnxruntime sums in another order


class ExportError(Portable, ValueError):
    """No ONNX file was written; ``module`` is the network."""

    def __init__(self, message: str, module: nn.Module) -> None:
        """Take the reason and the network."""
        super().__init__(message)
        self.module = module


def export(module: nn.Module, inputs: Any, path: str | os.PathLike[str]) -> nn.Module:
    """Write a network, in evaluation mode, for any number of samples; see ``Pick.export``."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(name)
        except ImportError as error:
            raise ImportError(MISSING.format(name)) from error
    if not isinstance(inputs, Tensor) or inputs.dim() == 0 or len(inputs) < 2:
        raise ExportError(
            f"export: expected an example of two samples or more in one tensor, got {_form(inputs)}", module
        )
    with replace_file(path) as temporary:
        try:
            with warnings.catch_warnings(), quiet_exporter(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                warnings.simplefilter("ignore")  # of torch, about its own exporter
                network, example = copy.deepcopy(module).eval().cpu(), inputs.cpu()
                _write(network, example, temporary)
                _compare(network, example, temporary)
        except Exception as error:  # of torch's exporter, of onnxruntime, or of the network
            raise ExportError(f"export: {type(error).__name__}: {_reason(error)}", module) from error
    return module


def _write(network: nn.Module, inputs: Tensor, path: Path) -> None:
    batch = torch.export.Dim("batch", min=1)
    torch.onnx.export(
        network,
        (inputs,),
        path,
        input_names=["input"],
        output_names=["output"],
        dynamic_shapes=({0: batch},),
        dynamo=True,
        external_data=False,
    )


def _compare(network: nn.Module, inputs: Tensor, path: Path) -> None:
    """Raise unless onnxruntime gives the network's outputs for all samples and for one."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    for samples in (inputs, inputs[:1]):
        with torch.no_grad():
            expected = network(samples)
        (came,) = session.run(None, {"input": samples.numpy()})
        torch.testing.assert_close(torch.from_numpy(came), expected, rtol=RELATIVE, atol=ABSOLUTE)


def _reason(error: BaseException) -> str:
    """The innermost cause, which says more than the exporter's own words."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)


def _form(inputs: Any) -> str:
    return f"shape {list(inputs.shape)}" if isinstance(inputs, Tensor) else type(inputs).__name__
