"""The precision that closed forms are computed in."""

import torch


def in_float64(dtype: torch.dtype) -> bool:
    """Whether a closed form is computed in float64; a ValueError for anything but float32 and float64."""
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype: expected torch.float32 or torch.float64, got {dtype}")
    return dtype == torch.float64
