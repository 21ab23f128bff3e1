"""Gaussian process regression with settings by marginal likelihood."""

from __future__ import annotations

import dataclasses
import math
from itertools import product

import torch
from torch import Tensor

from zcfast.analysis.correlation import average_ranks

LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)  # of the kernel; the distance is the root mean square over the features
LINEARS = (0.01, 0.1, 1.0)  # weight of the linear kernel
NOISES = (1e-3, 1e-2, 0.05, 0.2, 0.5)  # variance of the noise, of the Matern kernel's
SETTINGS = tuple(product(LENGTHS, LINEARS, NOISES))
LIKELY = 256  # how many of the highest means have their bound computed first
SMALLEST = 1e-12  # variance of targets that are all alike


@dataclasses.dataclass(frozen=True)
class GaussianProcess:
    """What n observations say about everything else.

    The kernel is Matern 5/2 plus a weak linear one on features of mean 0 and variance 1, the prior mean 0. Length
    scale, weight of the linear kernel and noise have the highest marginal likelihood on a grid, each with the signal's
    variance that suits it best. All in float64.
    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, sections 2.2, 4.2, 5.4.

    Attributes:
        features: [n, D] of the observations.
        length: of the Matern kernel.
        linear: weight of the linear kernel.
        noise: variance of the noise, of the signal's.
        variance: of the signal.
        factor: [n, n], lower triangular: of the observations' covariance with noise, over the signal's variance.
        weights: [n], the posterior mean's.
    """

    features: Tensor
    length: float
    linear: float
    noise: float
    variance: float
    factor: Tensor
    weights: Tensor

    @classmethod
    def fit(cls, features: Tensor, targets: Tensor) -> GaussianProcess:
        """The process given n >= 1 observations: features [n, D], targets [n] of mean 0."""
        n = len(targets)
        kernels = torch.stack([_kernel(features, features, *shape) for shape in product(LENGTHS, LINEARS)])
        noises = torch.tensor(NOISES, dtype=torch.float64)[:, None, None] * torch.eye(n, dtype=torch.float64)
        factors = torch.linalg.cholesky(kernels[:, None] + noises).flatten(0, 1)
        halves = torch.linalg.solve_triangular(factors, targets[:, None].expand(len(factors), n, 1), upper=False)
        variances = halves.square().mean((1, 2)).clamp(min=SMALLEST)
        likelihoods = -n / 2 * variances.log() - factors.diagonal(dim1=1, dim2=2).log().sum(1)
        best = int(likelihoods.argmax())
        weights = torch.linalg.solve_triangular(factors[best].T, halves[best], upper=True)[:, 0]
        return cls(features, *SETTINGS[best], variances[best].item(), factors[best], weights)

    def expecting(self, features: Tensor) -> GaussianProcess:
        """The process as if its own mean had been observed at features [m, D]: the same mean, but more certain."""
        together = torch.cat([self.features, features])
        covariance = _kernel(together, together, self.length, self.linear)
        factor = torch.linalg.cholesky(covariance + self.noise * torch.eye(len(together), dtype=torch.float64))
        weights = torch.cat([self.weights, self.weights.new_zeros(len(features))])
        return dataclasses.replace(self, features=together, factor=factor, weights=weights)

    def mean(self, features: Tensor) -> Tensor:
        """Posterior mean [M] at features [M, D]."""
        return _kernel(features, self.features, self.length, self.linear) @ self.weights

    def upper_bound(self, features: Tensor, optimism: float) -> Tensor:
        """Posterior mean plus `optimism` standard deviations of the function without noise, [M] at features [M, D].

        -inf where it cannot be the highest: no deviation is larger than the prior one.
        """
        between = _kernel(features, self.features, self.length, self.linear)
        mean = between @ self.weights
        prior = 1 + self.linear * features.square().mean(1)
        highest = mean + optimism * (self.variance * prior).sqrt()
        bound = torch.full_like(mean, -torch.inf)
        likely = mean >= mean.topk(min(len(mean), LIKELY)).values[-1]
        for rows in (likely, ~likely):
            rows = rows & (highest >= bound.max())
            halves = torch.linalg.solve_triangular(self.factor, between[rows].T, upper=False)
            left = (prior[rows] - halves.square().sum(0)).clamp(min=0)
            bound[rows] = mean[rows] + optimism * (self.variance * left).sqrt()
        return bound


def _kernel(a: Tensor, b: Tensor, length: float, linear: float) -> Tensor:
    """Covariances [n, m] of features [n, D] and [m, D], for a Matern kernel of variance 1."""
    products = a @ b.T / a.shape[1]
    squares = a.square().mean(1)[:, None] + b.square().mean(1) - 2 * products
    distance = (5 * squares.clamp(min=0)).sqrt() / length
    return (1 + distance + distance.square() / 3) * (-distance).exp() + linear * products


def normal_scores(values: Tensor) -> Tensor:
    """The standard normal's quantiles at the ranks of values [n], equal ones sharing the average; float64 [n]."""
    shares = (average_ranks(values) - 0.5) / len(values)
    return math.sqrt(2) * torch.erfinv(2 * shares - 1)
