"""Graph convolutional networks of many runs, trained together on the order of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast.search.cell_graphs import TYPES, cell_graphs
from zcfast.search.streams import Streams

_CHUNK = 512  # cells of each run that are scored at once


@dataclass(frozen=True)
class PairwiseNetwork:
    """A network a run that gives cells a score, so that of two cells the better one has the higher score.

    layers graph convolutions H <- relu(A H W + b) from the nodes' types; the score is a linear function of the global
    node. The probability that cell i is better than cell j is the first of softmax(score_i, score_j), and training
    minimises its mean cross-entropy over all pairs with different values (Dudziak et al. 2020; RankNet: Burges et al.,
    ICML 2005).

    Parameters of R runs are one tensor float32 [R, P].
    """

    space: str
    layers: int
    hidden: int

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Of the weights and biases, in their order."""
        shapes = []
        for width in [TYPES[self.space], *[self.hidden] * (self.layers - 1)]:
            shapes += [(width, self.hidden), (1, self.hidden)]
        return [*shapes, (self.hidden, 1)]

    def drawn(self, streams: Streams) -> Tensor:
        """First parameters: weights uniform with variance 2 / inputs (He et al. 2015), biases zero."""
        parts = []
        for number, (rows, columns) in enumerate(self.shapes):
            uniform = streams.uniform(number, rows * columns).float() * 2 - 1
            parts.append(uniform * (6 / rows) ** 0.5 if rows > 1 else torch.zeros_like(uniform))
        return torch.cat(parts, 1)

    def scores(self, parameters: Tensor, rows: Tensor) -> Tensor:
        """Scores float32 [R, M] of cells, rows int64 [R, M]."""
        return torch.cat([self._scores(parameters, part) for part in torch.split(rows, _CHUNK, 1)], 1)

    def trained(
        self, parameters: Tensor, rows: Tensor, values: Tensor, streams: Streams, *, steps: int, batch: int, rate: float
    ) -> Tensor:
        """The parameters after some steps of AdamW, each on the pairs within a random batch of cells.

        rows int64 [R, M], values [R, M] higher is better; pairs with NaN do not count.
        """
        parameters = parameters.detach().clone().requires_grad_()
        optimiser = torch.optim.AdamW([parameters], lr=rate, weight_decay=5e-4)
        count = rows.shape[1]
        for step in range(steps):
            chosen = streams.fork(f"batch {step}").permutation(count, 0, min(batch, count))
            scores = self._scores(parameters, rows.gather(1, chosen))
            loss = _pair_loss(scores, values.gather(1, chosen))
            (parameters.grad,) = torch.autograd.grad(loss, parameters)
            optimiser.step()
        return parameters.detach()

    def _scores(self, parameters: Tensor, rows: Tensor) -> Tensor:
        runs, count = rows.shape
        types, edges = cell_graphs(self.space, rows.flatten())
        weights = [
            part.reshape(runs, *shape)
            for part, shape in zip(
                torch.split(parameters, [a * b for a, b in self.shapes], 1), self.shapes, strict=True
            )
        ]
        nodes = types.shape[1]
        kinds = torch.arange(TYPES[self.space], device=rows.device)
        state = (types[..., None] == kinds).float().reshape(runs, count * nodes, -1)
        for layer in range(self.layers):
            mixed = torch.bmm(state, weights[2 * layer]).reshape(runs * count, nodes, self.hidden)
            gathered = torch.bmm(edges, mixed).reshape(runs, count * nodes, self.hidden)
            state = torch.relu(gathered + weights[2 * layer + 1])
        last = state.reshape(runs, count, nodes, self.hidden)[:, :, -1]
        scores: Tensor = (last * weights[-1].transpose(1, 2)).sum(2)
        return scores


def _pair_loss(scores: Tensor, values: Tensor) -> Tensor:
    """Sum over the runs of the mean cross-entropy of pairs; scores and values [R, M]."""
    better = (values[:, :, None] > values[:, None, :]).float()
    # Of all ways to write it the softmax of rows of two has the same bits wherever a pair lies in the tensor: one
    # function of a whole tensor rounds differently in its vectors and behind the last of them.
    first = scores[:, :, None].expand(-1, -1, scores.shape[1])
    pairs = torch.stack([first, first.transpose(1, 2)], 3)
    losses = -torch.log_softmax(pairs, 3)[..., 0] * better
    return (losses.sum((1, 2)) / better.sum((1, 2)).clamp(min=1)).sum()
