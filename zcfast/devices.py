"""Where networks run."""

import torch


def find_device(name: str) -> torch.device:
    """The device "cpu" or "cuda"; a ValueError says what else came, or that there is no CUDA device."""
    if name not in ("cpu", "cuda"):
        raise ValueError(f"device: expected cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: expected cpu, as PyTorch finds no CUDA device here, got cuda")
    return torch.device(name)
