"""zcfast: score neural networks without training them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zcfast.version import __version__

if TYPE_CHECKING:
    from zcfast import analysis, compat, designing, latency, optuna, passes, proxies, report, scoring, search, spaces
    from zcfast.analysis.vote import vote
    from zcfast.data.provenance import Provenance
    from zcfast.designing import design
    from zcfast.images import ImageBatch, load_images, random_images
    from zcfast.scores import Scores
    from zcfast.scoring import Score, score
    from zcfast.scoring.architectures import score_architectures
    from zcfast.scoring.modules import score_modules
    from zcfast.scoring.space import score_space
    from zcfast.spaces import Space, space
    from zcfast.tables.load import table

# Public name -> its module, imported at the first use: importing zcfast alone does not import torch.
_PUBLIC = {
    "ImageBatch": "zcfast.images",
    "Provenance": "zcfast.data.provenance",
    "Score": "zcfast.scoring",
    "Scores": "zcfast.scores",
    "Space": "zcfast.spaces",
    "design": "zcfast.designing",
    "load_images": "zcfast.images",
    "random_images": "zcfast.images",
    "score": "zcfast.scoring",
    "score_architectures": "zcfast.scoring.architectures",
    "score_modules": "zcfast.scoring.modules",
    "score_space": "zcfast.scoring.space",
    "space": "zcfast.spaces",
    "table": "zcfast.tables.load",
    "vote": "zcfast.analysis.vote",
}
_SUBMODULES = (
    "analysis",
    "compat",
    "designing",
    "latency",
    "optuna",
    "passes",
    "proxies",
    "report",
    "scoring",
    "search",
    "spaces",
)
__all__ = [
    "ImageBatch",
    "Provenance",
    "Score",
    "Scores",
    "Space",
    "__version__",
    "analysis",
    "compat",
    "design",
    "designing",
    "latency",
    "load_images",
    "optuna",
    "passes",
    "proxies",
    "random_images",
    "report",
    "score",
    "score_architectures",
    "score_modules",
    "score_space",
    "scoring",
    "search",
    "space",
    "spaces",
    "table",
    "vote",
]


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # a type checker would take it that every name is there

    def __getattr__(name: str) -> Any:
        if name in _SUBMODULES:
            return import_module(f"zcfast.{name}")
        if name not in _PUBLIC:
            raise AttributeError(f"module 'zcfast' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_PUBLIC[name]), name)
        return value
