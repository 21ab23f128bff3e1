"""zcfast: score neural networks without training them."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public name -> its module, imported at the first use: importing zcfast alone does not import torch.
_PUBLIC = {
    "Scores": "zcfast.scores",
    "score_space": "zcfast.space_scoring",
    "space": "zcfast.spaces",
}
__all__ = ["Scores", "__version__", "score_space", "space"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'zcfast' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PUBLIC[name]), name)
    return value
