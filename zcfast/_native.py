"""Loads the compiled operators; importing it twice is free."""

from pathlib import Path

import torch


def load() -> None:
    """Register torch.ops.zcfast; an ImportError says what to do where the extension was never built."""
    libraries = sorted(Path(__file__).parent.glob("_C*.so"))
    if not libraries:
        raise ImportError(
            "zcfast's compiled extension is missing: install the package (pip install -e . in a checkout)"
        )
    torch.ops.load_library(str(libraries[0]))  # type: ignore[no-untyped-call]


load()
