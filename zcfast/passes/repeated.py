"""Passes that draw random numbers and run several times, each time with others."""

import functools
from abc import abstractmethod
from typing import Any, ClassVar, Literal, TypeVar

from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.draws import Draws
from zcfast.passes.net import Net

Init = Literal["official", "as_is"]
"""Which weights and inputs a proxy takes: those that its published code draws, or those that are given."""

R = TypeVar("R", bound="Repeated")


class Repeated(Pass):
    """A pass of several rounds; its result is the list of theirs.

    Attributes:
        stream: names its random numbers: passes of one stream draw the same.
        init: see `Init`.
        repeats: how many rounds.
    """

    stream: ClassVar[str]
    init: ClassVar[Init] = "official"
    repeats: ClassVar[int] = 1

    def run(self, net: Net, batch: Batch, done: Results) -> list[Any]:
        """Run all rounds."""
        return [self.once(net, batch, Draws(net.seed, self.stream, each)) for each in range(self.repeats)]

    @abstractmethod
    def once(self, net: Net, batch: Batch, draws: Draws) -> Any:
        """The result of one round; exceptions as for `Pass.run`."""


@functools.cache
def with_options(which: type[R], **options: Any) -> type[R]:
    """The pass with other class attributes than its own; the same options give the same class, which then runs once."""
    cost = which.cost * options.get("repeats", which.repeats) / which.repeats
    return type(which.__name__, (which,), {**options, "cost": cost, "__module__": which.__module__})
