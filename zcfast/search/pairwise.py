"""Graph convolutional networks of many runs, trained together on the order of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zcfast.search import exact
from zcfast.search.cell_graphs import cell_graphs, count_types
from zcfast.search.streams import Streams

_CHUNK = 64  # cells of each run that are scored at once
_BETAS, _DECAY = (0.9, 0.999), 5e-4  # of AdamW


@dataclass(frozen=True)
class PairwiseNetwork:
    """A network a run that gives cells a score, so that of two cells the better one has the higher score.

    layers graph convolutions H <- relu(A H W + b) from the nodes' types; the score is a linear function of the global
    node. The probability that cell i is better than cell j is the first of softmax(score_i, score_j), and training
    minimises its mean cross-entropy over all pairs with different values (Dudziak et al. 2020; RankNet: Burges et al.,
    ICML 2005).

    Parameters of R runs are one tensor float64 [R, P]; the same bits beside any other runs.
    """

    space: str
    layers: int
    hidden: int

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Of the weights in their order; the last row of a graph convolution's is the bias."""
        widths = [count_types(self.space), *[self.hidden] * (self.layers - 1)]
        return [*((width + 1, self.hidden) for width in widths), (self.hidden, 1)]

    def drawn(self, streams: Streams) -> Tensor:
        """First parameters: weights uniform with variance 2 / inputs (He et al. 2015), biases zero."""
        parts = []
        for number, (rows, columns) in enumerate(self.shapes):
            bias = columns if number < self.layers else 0
            inputs = rows - (bias > 0)
            uniform = streams.uniform(number, inputs * columns) * 2 - 1
            parts.append(torch.nn.functional.pad(uniform * (6 / inputs) ** 0.5, (0, bias)))
        return torch.cat(parts, 1)

    def scores(self, parameters: Tensor, rows: Tensor) -> Tensor:
        """Scores float64 [R, M] of cells, rows int64 [R, M]."""
        return torch.cat([self._scores(parameters, part) for part in torch.split(rows, _CHUNK, 1)], 1)

    def trained(
        self, parameters: Tensor, rows: Tensor, values: Tensor, streams: Streams, *, steps: int, batch: int, rate: float
    ) -> Tensor:
        """The parameters after some steps of AdamW, each on the pairs within a random batch of cells.

        rows int64 [R, M], values [R, M] higher is better; pairs with NaN do not count.
        Source of AdamW: Loshchilov and Hutter, ICLR 2019, with the defaults of torch.optim.AdamW.
        """
        mean, square = torch.zeros_like(parameters), torch.zeros_like(parameters)
        count = rows.shape[1]
        for step in range(1, steps + 1):
            chosen = streams.fork(f"batch {step - 1}").permutation(count, 0, min(batch, count))
            leaf = parameters.detach().requires_grad_()
            scores = self._scores(leaf, rows.gather(1, chosen))
            (gradient,) = torch.autograd.grad(scores, leaf, _pair_gradient(scores.detach(), values.gather(1, chosen)))
            mean = mean * _BETAS[0] + gradient * (1 - _BETAS[0])
            square = square * _BETAS[1] + gradient * gradient * (1 - _BETAS[1])
            deviation = (square / (1 - _BETAS[1] ** step)).sqrt() + 1e-8
            parameters = parameters * (1 - rate * _DECAY) - mean * (rate / (1 - _BETAS[0] ** step)) / deviation
        return parameters

    def _scores(self, parameters: Tensor, rows: Tensor) -> Tensor:
        runs, count = rows.shape
        types, edges = cell_graphs(self.space, rows.flatten())
        sizes = [a * b for a, b in self.shapes]
        weights = [
            part.reshape(runs, *shape)
            for part, shape in zip(torch.split(parameters, sizes, 1), self.shapes, strict=True)
        ]
        nodes, kinds = types.shape[1], torch.arange(count_types(self.space), device=rows.device)
        state, edges = (types[..., None] == kinds).double(), edges.double()
        for weight in weights[:-1]:
            gathered = torch.nn.functional.pad(exact.product(edges, state), (0, 1), value=1)
            mixed = exact.product(gathered.reshape(runs, count * nodes, -1), weight)
            state = torch.relu(mixed).reshape(runs * count, nodes, -1)
        return exact.product(state[:, -1].reshape(runs, count, -1), weights[-1])[..., 0]


def _pair_gradient(scores: Tensor, values: Tensor) -> Tensor:
    """Gradient [R, M] of the mean cross-entropy of a run's pairs by scores [R, M], values [R, M].

    Where i is better than j the loss is -log sigmoid(s_i - s_j), so s_i gets sigmoid(s_j - s_i) less, s_j as much more.
    """
    better = values[:, :, None] > values[:, None, :]
    missed = torch.where(better, exact.sigmoid(scores[:, None, :] - scores[:, :, None]), 0.0)
    missed = exact.rounded(missed)
    return (missed.sum(1) - missed.sum(2)) / better.sum((1, 2))[:, None].clamp(min=1)
