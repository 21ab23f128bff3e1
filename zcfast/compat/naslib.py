"""NASLib's zero-cost predictor, on this package's scores."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from zcfast.compat.foresight import LAYERS
from zcfast.compat.minibatch import minibatch
from zcfast.compat.placed import placed
from zcfast.devices import present_device
from zcfast.errors import check_kind, unknown
from zcfast.scoring import Score, score

_PROXIES = {
    **{"epe_nas": "epe_nas", "fisher": "fisher", "grad_norm": "grad_norm", "grasp": "grasp", "jacov": "jacob_cov"},
    **{"l2_norm": "l2_norm", "nwot": "naswot", "params": "params", "plain": "plain", "snip": "snip"},
    **{"synflow": "synflow", "zen": "zen"},
}
METHODS = tuple(_PROXIES)
"""NASLib's names of methods."""


class ZeroCost:
    """A predictor that needs no training: NASLib's ``ZeroCost(method_type="jacov")``.

    The numbers are NASLib's: synflow is its logarithm, and params are millions. Other than there, a net without a score
    has NaN, where NASLib has -1e8; nwot counts no wrappers of activations; zen takes nets that keep no statistics.

    Attributes:
        method_type: the method, one of `METHODS`.
        dataload, num_imgs_or_batches: what is taken of a data loader, as in ("random", 1, classes).
        device: where nets run.
    """

    def __init__(self, method_type: str = "jacov", device: torch.device | str | None = None) -> None:
        """Take the method, and a device; None is the first GPU where there is one.

        Raises:
            ValueError: there is no such method or device.
        """
        if method_type not in METHODS:
            raise unknown("method_type", method_type, METHODS)
        self.method_type, self.dataload, self.num_imgs_or_batches = method_type, "random", 1
        self.device = present_device(device or ("cuda:0" if torch.cuda.is_available() else "cpu"))

    def pre_process(self) -> None:
        """Nothing."""

    def fit(self, xtrain: Sequence[Any], ytrain: Sequence[float], *_: Any, **__: Any) -> None:
        """Nothing is learnt."""

    def query(
        self,
        graph: nn.Module | Sequence[nn.Module],
        dataloader: Iterable[Any] | None = None,
        info: Any = None,
    ) -> float | list[float]:
        """The score of a net, or of several.

        Args:
            graph: the net; where it has `get_loss_fn` and `num_classes`, as NASLib's graphs have, these hold.
            dataloader: of batches (inputs, targets).
            info: nothing.

        Raises:
            TypeError, ValueError: an argument is wrong.
        """
        if dataloader is None:
            raise ValueError("dataloader: expected batches (inputs, targets), got None")
        if isinstance(graph, nn.Module):
            return self._query(graph, dataloader)
        for each in graph:
            check_kind("graph", each, nn.Module)
        return [self._query(each, dataloader) for each in graph]

    def _query(self, graph: nn.Module, dataloader: Iterable[Any]) -> float:
        classes = getattr(graph, "num_classes", 0)
        batch = minibatch(dataloader, (self.dataload, self.num_imgs_or_batches, classes), self.device)
        given: Any = getattr(graph, "get_loss_fn", None)
        loss = F.cross_entropy if given is None else given()
        own = None if loss is F.cross_entropy else loss
        net = placed(graph, self.device)
        (found,) = score(net, batch, [_PROXIES[self.method_type]], loss_fn=own, layers=LAYERS).values()
        return self._as_there(found)

    def _as_there(self, found: Score) -> float:
        if self.method_type == "params":
            return found.value / 1e6
        if self.method_type == "synflow" and found.log_value is not None:
            return 0.0 if found.log_value == -math.inf else found.log_value
        return found.value
