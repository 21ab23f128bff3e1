"""What a net makes of a few samples in a minibatch of another size: of parts of a minibatch, it must be the same."""

from dataclasses import dataclass

from torch import Tensor

from zcfast.tracing.batch import rounding
from zcfast.tracing.passes import Failure, ProxyError
from zcfast.tracing.recording import Recording

Rows = tuple[tuple[int, int], ...]


@dataclass
class OtherSize:
    """The first samples of a minibatch, run by themselves.

    Attributes:
        size: how many they are.
        logits: of the samples; None once they were compared.
        rows: the layer and the first dimension of the output of each call, where outputs were kept.
    """

    size: int
    logits: Tensor | None
    rows: Rows

    def dependence(self, logits: Tensor, size: int) -> Failure | None:
        """Whether the samples of the first part, the same ones, have other logits; later parts are not compared."""
        known, self.logits = self.logits, None
        if known is None or not logits.is_floating_point() or logits.numel() == 0:
            return None
        if logits.shape[1:] == known.shape[1:] and logits.numel() * self.size == known.numel() * size:
            rows = min(len(logits), len(known))
            difference = (logits.detach()[:rows] - known[:rows]).abs().max()
            if not difference > rounding(logits.dtype) * known.abs().max():
                return None
        return Failure(
            "refused", "microbatch: the logits of a sample depend on the others, or come not sample by sample"
        )

    def check_rows(self, recording: Recording, size: int) -> None:
        """Raise ProxyError unless the rows of a part are as many for each sample as here.

        A mean over rows is then one over samples. Time may come first instead, a layer may see a choice of the samples,
        or be called once for each of them.
        """
        rows = rows_of(recording)
        if [layer for layer, _ in rows] != [layer for layer, _ in self.rows] or any(
            own * self.size != other * size for (_, own), (_, other) in zip(rows, self.rows, strict=True)
        ):
            raise ProxyError("refused", "microbatch: some layer's output does not have the samples first")


def rows_of(recording: Recording) -> Rows:
    """Layer and first dimension of each output that was kept."""
    return tuple(zip(recording.layer, map(len, recording.outputs), strict=False))
