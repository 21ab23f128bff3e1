"""Scores several given networks as one table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from zcfast.proxies import Proxy
from zcfast.scores import Scores
from zcfast.scoring.architectures import score_architectures
from zcfast.spaces import of


def score_modules(
    modules: Mapping[str, nn.Module | Callable[[], nn.Module]] | Iterable[nn.Module | Callable[[], nn.Module]],
    batch: Any,
    proxies: str | Sequence[str | Proxy] = "paper",
    **options: Any,
) -> Scores:
    """One row a network: ``score`` of each, as a table that ranks, votes, saves and reports.

        scores = zcfast.score_modules({"small": small, "wide": wide}, batch, ["synflow", "naswot"])
        scores.cells[scores.top(1, by="synflow")].texts

    Args:
        modules: networks by name, each with its own weights, or functions that make them, with weights of the seed and
            the name. Without names they are "0", "1", ...
        batch: one minibatch that all of them take: a pair (inputs, targets), an ImageBatch or a DataLoader.
        proxies: as for ``score_architectures``.
        options: of ``score_architectures``: seed, device, workers, loss_fn, logits, layers, progress, ...

    Returns:
        Scores of N networks. A network without a score has NaN, and its reason in ``reasons``.

    Raises:
        TypeError, ValueError: an argument is wrong; the message says what came.
    """
    space = of(modules, example=batch)
    return score_architectures(space, proxies, space.enumerate(), None, **options)
