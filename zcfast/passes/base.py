"""What a pass is: one run of a net, or several, whose result proxies share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from zcfast.passes.batch import Batch
from zcfast.passes.failures import ProxyError
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation

Reads = Literal["nothing", "shape", "inputs", "batch", "batches"]


class Pass(ABC):
    """What proxies need to have run. Each pass runs once a call, however many proxies ask for it.

    A proxy names classes; the engine makes an instance of each, without arguments, for every call of `score`.

    Attributes:
        requires: the passes whose results it reads: they run before, and where one fails, so does this.
        reads: what it takes of the minibatch: inputs and targets ("batch"), in several parts ("batches"), its "inputs",
            no more than their "shape", or "nothing". A proxy all of whose passes read no more than the shape is scored
            without a minibatch where a space has none.
        cost: its time beside what it requires, in forward passes of the minibatch, a forward and backward pass being
            three; 0 below half of one. For estimates: those of this package are rounded, of 32 pictures or sequences.
    """

    requires: ClassVar[tuple[type[Pass], ...]] = ()
    reads: ClassVar[Reads] = "batch"
    cost: ClassVar[float] = 0.0

    def observe(self, forward: Observation) -> None:  # noqa: B027  # most passes ask for nothing
        """Say, before the shared forward pass of the minibatch, what is to be seen of it.

        It is called where Forward is among `requires`.
        """

    @abstractmethod
    def run(self, net: Net, batch: Batch, done: Results) -> Any:
        """Give the result.

        Args:
            net: the net, isolated: whatever happens to it here, it comes back as it was.
            batch: the minibatch.
            done: the results of the passes that this one requires.

        Raises:
            ProxyError: there is no result, with a status and a reason of one's own; other exceptions are reported as
                "failed". The pass and those that require it then have no result, and all others keep theirs.
        """


class Results(dict[type[Pass], Any]):
    """The result of each pass, by its class: of those that a proxy names in `needs`, or a pass in `requires`."""

    def __missing__(self, which: Any) -> Any:
        """Raise ProxyError: the result was not asked for."""
        asked = ", ".join(each.__name__ for each in self) or "none"
        name = getattr(which, "__name__", which)
        raise ProxyError("failed", f"expected a pass that `needs` or `requires` names ({asked}), got {name}")


def with_requirements(needs: Iterable[type[Pass]]) -> list[type[Pass]]:
    """Passes with all that they require, each behind what it requires.

    Raises:
        TypeError: something is no class of passes, or passes require one another.
    """
    found: dict[type[Pass], bool] = {}  # whether all that it requires is in front of it

    def add(which: type[Pass]) -> None:
        if not (isinstance(which, type) and issubclass(which, Pass)):
            raise TypeError(f"needs: expected classes of passes, got {which!r}")
        if found.get(which) is False:
            raise TypeError(f"requires: expected passes without a circle, got {which.__name__} that requires itself")
        if which not in found:
            found[which] = False
            for required in which.requires:
                add(required)
            found[which] = found.pop(which) or True

    for which in needs:
        add(which)
    return list(found)
