"""Runtimes that run a network on one batch of inputs, as functions without arguments."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.errors import first_line
from zcfast.nets.inputs import Inputs, call_net, mapped, tensors_of
from zcfast.torch_internals import compiled_apart, quiet_exporter

Run = Callable[[], object]
MISSING = "runtime: onnxruntime needs onnx, onnxscript and onnxruntime: pip install onnx onnxscript onnxruntime"


def by_torch(module: nn.Module, inputs: Inputs, device: torch.device, threads: int) -> Run:
    """The module as it is, in this process."""
    module, inputs = module.to(device), mapped(lambda x: x.to(device), inputs)
    return _waited_for(lambda: call_net(module, inputs), device)


def by_compiler(module: nn.Module, inputs: Inputs, device: torch.device, threads: int) -> Run:
    """torch.compile of the module's call, which takes long."""
    module, inputs = module.to(device), mapped(lambda x: x.to(device), inputs)
    with torch.inference_mode():
        return _waited_for(compiled_apart(lambda: call_net(module, inputs)), device)


def _waited_for(call: Run, device: torch.device) -> Run:
    """A call without gradients, until the device has done it."""

    def run() -> None:
        with torch.inference_mode():
            call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)

    return run


def by_onnxruntime(module: nn.Module, inputs: Inputs, device: torch.device, threads: int) -> Run:
    """The module as an ONNX graph of these shapes.

    Raises:
        ImportError: a package is missing.
        ValueError: torch cannot export the module, or onnxruntime has no such device.
    """
    try:
        onnxruntime = import_module("onnxruntime")
        import_module("onnxscript")  # what torch exports with
    except ImportError as error:
        raise ImportError(MISSING) from error
    provider = "CUDAExecutionProvider" if device.type == "cuda" else "CPUExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise ValueError(f"device: expected one that this onnxruntime has, got {device.type}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(_exported(module, inputs), options, providers=[provider])
    names = [each.name for each in session.get_inputs()]
    feed = {name: _array(tensor) for name, tensor in zip(names, tensors_of(inputs), strict=True)}
    return lambda: session.run(None, feed)


RUNTIMES = {"torch": by_torch, "torch.compile": by_compiler, "onnxruntime": by_onnxruntime}


def _exported(module: nn.Module, inputs: Inputs) -> bytes:
    given: dict[str, Any] = {"kwargs": inputs} if isinstance(inputs, dict) else {"args": tuple(tensors_of(inputs))}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "net.onnx"
        try:
            with quiet_exporter():
                torch.onnx.export(module, f=path, dynamo=True, external_data=False, verbose=False, **given)
        except Exception as error:  # whatever torch raises for a net that it cannot export
            raise ValueError(f"runtime: torch cannot export the network: {first_line(error)}") from error
        return path.read_bytes()


def _array(tensor: Tensor) -> Any:
    return tensor.cpu().numpy()
