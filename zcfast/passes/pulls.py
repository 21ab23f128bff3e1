"""Derivatives at the activations, seen while a backward pass goes by."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor

from zcfast.passes.failures import Failure, describe
from zcfast.passes.rectifiers import RectifierCall, as_rows
from zcfast.torch_internals import outside_transforms

_NOT_MOVED = Failure("undefined", "an activation gets what no weight moves, by which no derivative is taken")
_HIDDEN = Failure("refused", "an activation writes in place to a view, which hides the derivative by what it got")
_INSIDE = Failure("refused", "an activation runs inside torch.func.vmap or the like")


class Pulls:
    """What a function makes of the derivatives by the inputs of activations, each through one call alone.

    None of these derivatives is kept: together they are as large as all maps.
    """

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        """`function` gets each derivative; it must not change it."""
        self._function, self._listens = function, False
        self.clear()

    def clear(self) -> None:
        """Begin a forward pass."""
        self._seen: list[Any] = []
        self._failure: Failure | None = None

    @property
    def seen(self) -> list[Any]:
        """One for each call, in order; None where the value that was differentiated does not depend on it, or where
        it gets constants, such as the zeros of a cell's node that nothing leads to.

        Raises:
            ProxyError: there are none of some call, or the function raised.
        """
        if self._failure is not None:
            raise self._failure.as_error()
        return self._seen

    def attach(self, call: RectifierCall) -> None:
        """Wait at one call, in its graph."""
        self._seen.append(None)
        node = call.output.grad_fn
        inside = outside_transforms(call.output) is not call.output
        if inside or call.hidden or (node is None and not _is_constant(call.input)):
            self._failure = self._failure or (_INSIDE if inside else _HIDDEN if call.hidden else _NOT_MOVED)
        elif node is not None:
            node.register_hook(partial(self._pull, len(self._seen) - 1))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Inside, a backward pass runs whose derivatives are meant."""
        self._listens = True
        try:
            yield
        finally:
            self._listens = False

    def _pull(self, place: int, by_inputs: tuple[Tensor | None, ...], _: Any) -> None:
        if not self._listens or by_inputs[0] is None or self._failure is not None:
            return
        try:
            self._seen[place] = self._function(by_inputs[0])
        except Exception as error:  # the backward pass serves others too
            self._failure = describe(error)


def _is_constant(maps: Tensor) -> bool:
    """Whether each sample has one value at all places."""
    rows = as_rows(maps.detach())
    return bool((rows == rows[:, :1]).all())
