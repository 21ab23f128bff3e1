"""Loads the compiled operators; importing it twice is free."""

from functools import cache
from pathlib import Path

import torch

from zcfast import torch_internals

OLDEST_TORCH = (2, 10)  # as in pyproject.toml, and the target of CMakeLists.txt


def check_torch(version: str) -> None:
    """An ImportError for a torch that is too old; the loader's own error would name a symbol."""
    if tuple(map(int, version.split(".")[:2])) < OLDEST_TORCH:
        raise ImportError(f"zcfast: expected torch {'.'.join(map(str, OLDEST_TORCH))} or newer, got {version}")


def load() -> None:
    """Register torch.ops.zcfast; an ImportError says what to do where the extension was never built."""
    check_torch(torch.__version__)
    libraries = sorted(Path(__file__).parent.glob("_C*.so"))
    if not libraries:
        raise ImportError(
            f"zcfast: {Path(__file__).parent} is its source, where nothing is compiled: start Python in another "
            "directory to import an installed copy, or run pip install -e . in the checkout"
        )
    torch.ops.load_library(str(libraries[0]))  # type: ignore[no-untyped-call]


@cache
def has_kernel(operator: str, device_type: str) -> bool:
    """Whether an operator runs on a device: CUDA kernels are there if the extension was built with them."""
    return device_type == "meta" or torch_internals.has_kernel(f"zcfast::{operator}", device_type)


def device_of_kernel(operator: str, device: torch.device) -> torch.device:
    """The device itself if an operator runs on it, else the CPU, where all of them do."""
    return device if has_kernel(operator, device.type) else torch.device("cpu")


load()
