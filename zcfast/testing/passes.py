"""What every pass keeps to."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from zcfast.passes import Pass, Results
from zcfast.proxies import Proxy
from zcfast.testing.proxy import check_proxy


def check_pass(
    which: type[Pass],
    number: Callable[[Any], float],
    module: nn.Module | None = None,
    batch: tuple[Tensor, Tensor] | None = None,
) -> None:
    """Its result is the same twice, alone and beside others, and the net comes back as it was.

    Args:
        which: the pass.
        number: a number that says what its result is.
        module, batch: as `check_proxy` takes them.
    """

    class Reads(Proxy):
        name = f"reads {which.__name__}"
        source = "none"
        needs = (which,)

        def value(self, results: Results) -> float:
            return number(results[which])

    assert which.cost >= 0
    assert which.reads in ("nothing", "shape", "inputs", "batch", "batches")
    check_proxy(Reads(), module, batch)
