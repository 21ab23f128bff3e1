"""Loads the compiled operators; importing it twice is free."""

from pathlib import Path

import torch


def load() -> None:
    """Register torch.ops.zcfast; an ImportError says what to do where the extension was never built."""
    libraries = sorted(Path(__file__).parent.glob("_C*.so"))
    if not libraries:
        raise ImportError(
            f"zcfast: {Path(__file__).parent} is its source, where nothing is compiled: start Python in another "
            "directory to import an installed copy, or run pip install -e . in the checkout"
        )
    torch.ops.load_library(str(libraries[0]))  # type: ignore[no-untyped-call]


load()
