"""Whether the outputs of layers have the samples first, as they must where a minibatch runs in parts."""

from collections.abc import Callable
from dataclasses import dataclass

from zcfast.tracing.passes import ProxyError
from zcfast.tracing.recording import Recording


@dataclass
class SampleRows:
    """Compares the rows (first dimensions) of the outputs with those of a minibatch of another size.

    A mean over rows is a mean over samples where each sample has as many. Time may come first instead, a layer may see
    a choice of the samples, or be called once for each of them.
    """

    _size: int = 0
    _rows: tuple[tuple[int, int], ...] = ()

    def check(self, recording: Recording, size: int, run: Callable[[int], Recording]) -> None:
        """Raise ProxyError unless the rows of a part are as many for each sample as in a minibatch of another size.

        Args:
            recording: of the part, with the outputs kept.
            size: how many samples it has.
            run: records a minibatch of so many samples, likewise; called once.
        """
        if not self._size:
            self._size = size - 1 or 2
            self._rows = _rows(run(self._size))
        rows = _rows(recording)
        if [layer for layer, _ in rows] != [layer for layer, _ in self._rows] or any(
            own * self._size != other * size for (_, own), (_, other) in zip(rows, self._rows, strict=True)
        ):
            raise ProxyError("refused", "microbatch: some layer's output does not have the samples first")


def _rows(recording: Recording) -> tuple[tuple[int, int], ...]:
    """Layer and rows of each call."""
    return tuple(zip(recording.layer, map(len, recording.outputs), strict=True))
