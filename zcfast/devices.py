"""Where networks run."""

import torch

from zcfast.errors import first_line


def find_device(name: str) -> torch.device:
    """The device "cpu" or "cuda"; a ValueError says what else came, or that there is no CUDA device."""
    if name not in ("cpu", "cuda"):
        raise ValueError(f"device: expected cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: expected cpu, as PyTorch finds no CUDA device here, got cuda")
    return torch.device(name)


def present_device(device: torch.device | str) -> torch.device:
    """Any device that tensors can lie on here; a ValueError says why another one cannot be."""
    try:
        return torch.empty(0, device=device).device
    except (AssertionError, RuntimeError, TypeError) as error:  # the first where torch was built without CUDA
        raise ValueError(
            f"device: expected one that PyTorch finds here, got {device!r}: {first_line(error)}"
        ) from error
