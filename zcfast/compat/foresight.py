"""The call of foresight (zero-cost-nas, the code of Abdelfattah et al. 2021), on this package's scores."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from zcfast.compat.minibatch import DataloadInfo, minibatch
from zcfast.compat.placed import placed
from zcfast.errors import check_kind, unknown
from zcfast.scoring import score

MEASURES = ("fisher", "grad_norm", "grasp", "jacob_cov", "l2_norm", "plain", "snip", "synflow", "synflow_bn")
"""The names of its measures, which are those of the proxies here."""

LAYERS = (nn.Conv2d, nn.Linear)
"""Those whose weights its measures sum over."""


def find_measures(
    net_orig: nn.Module,
    dataloader: Iterable[Any],
    dataload_info: DataloadInfo,
    device: Any,
    loss_fn: Any = F.cross_entropy,
    measure_names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Foresight's measures of a net by their names there, of the same signs and, to rounding, of the same numbers.

    Other than there, the net comes back as it was, and on the device where it was; every BatchNorm is removed for
    synflow, also where a net's own copy for it keeps some; a measure that has no value is NaN; and memory never changes
    a number.

    Args:
        net_orig: the net.
        dataloader: of batches (inputs, targets).
        dataload_info: ("random", batches, classes) or ("grasp", samples a class, classes).
        device: where it runs.
        loss_fn: (logits, targets) -> scalar. The two may come in the other order, as in
            ``find_measures(net, loader, info, F.cross_entropy, device)``.
        measure_names: some of `MEASURES`; None takes all.

    Returns:
        Numbers by name, in the order of the names.

    Raises:
        TypeError, ValueError: an argument is wrong.
    """
    if callable(device):
        device, loss_fn = loss_fn, device
    check_kind("net_orig", net_orig, nn.Module)
    names = MEASURES if measure_names is None else tuple(measure_names)
    for name in names:
        if name not in MEASURES:
            raise unknown("measure", name, MEASURES)
    if callable(device):
        raise TypeError(f"device: expected a device, got {device!r}")
    loss: Callable[[Tensor, Tensor], Tensor] | None = None if loss_fn is F.cross_entropy else loss_fn
    batch = minibatch(dataloader, dataload_info, device)
    found = score(placed(net_orig, batch[0].device), batch, names, loss_fn=loss, layers=LAYERS)
    return {name: found[name].value for name in names}
