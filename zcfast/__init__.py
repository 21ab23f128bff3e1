"""zcfast: score neural networks without training them."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public name -> its module, imported at the first use: importing zcfast alone does not import torch.
_PUBLIC = {
    "ImageBatch": "zcfast.images",
    "Score": "zcfast.scoring",
    "Scores": "zcfast.scores",
    "load_images": "zcfast.images",
    "random_images": "zcfast.images",
    "score": "zcfast.scoring",
    "score_architectures": "zcfast.sampled_scoring",
    "score_space": "zcfast.space_scoring",
    "space": "zcfast.spaces",
    "table": "zcfast.tables.load",
    "vote": "zcfast.voting",
}
__all__ = [
    "ImageBatch",
    "Score",
    "Scores",
    "__version__",
    "load_images",
    "random_images",
    "score",
    "score_architectures",
    "score_space",
    "space",
    "table",
    "vote",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'zcfast' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PUBLIC[name]), name)
    return value
