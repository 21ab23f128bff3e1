"""Gaussian process regression with settings by marginal likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)  # of the kernel, in root mean square standard deviations of the features
LINEARS = (0.01, 0.1, 1.0)  # weight of the linear kernel
NOISES = (1e-3, 1e-2, 0.05, 0.2, 0.5)  # variance of the noise, of the signal's


@dataclass(frozen=True)
class GaussianProcess:
    """What n observations say about others.

    The kernel is Matern 5/2 plus a tenth of a linear one, on features [n, D] that are standardised over all that there
    is; the prior mean is 0. Length scale and noise have the highest marginal likelihood of a grid, the signal's
    variance the highest for each. Everything float64.
    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, sections 2.2, 4.2, 5.4.
    """

    features: Tensor
    length: float
    linear: float
    noise: float
    variance: float
    factor: Tensor  # [n, n], lower triangular, of the correlation with noise
    weights: Tensor  # [n]: its inverse times the targets

    @classmethod
    def fit(cls, features: Tensor, targets: Tensor) -> GaussianProcess:
        """Of n >= 1 observations: features float64 [n, D], targets [n] of mean about 0."""
        n = len(targets)
        kernels = torch.stack([_kernel(features, features, *shape) for shape in product(LENGTHS, LINEARS)])
        noises = torch.tensor(NOISES, dtype=torch.float64)
        eye = torch.eye(n, dtype=torch.float64)
        factors = torch.linalg.cholesky(kernels[:, None] + noises[:, None, None] * eye).flatten(0, 1)
        halves = torch.linalg.solve_triangular(factors, targets[:, None].expand(len(factors), n, 1), upper=False)
        variances = halves.square().mean((1, 2)).clamp(min=1e-12)
        likelihoods = -n / 2 * variances.log() - factors.diagonal(dim1=1, dim2=2).log().sum(1)
        best = int(likelihoods.argmax())
        weights = torch.linalg.solve_triangular(factors[best].T, halves[best], upper=True)[:, 0]
        length, linear, noise = list(product(LENGTHS, LINEARS, NOISES))[best]
        return cls(features, length, linear, noise, variances[best].item(), factors[best], weights)

    def mean(self, features: Tensor) -> Tensor:
        """Posterior mean [M] at features [M, D]."""
        return _kernel(features, self.features, self.length, self.linear) @ self.weights

    def mean_and_deviation(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and standard deviation [M], of the function without noise, at features [M, D]."""
        between = _kernel(features, self.features, self.length, self.linear)
        halves = torch.linalg.solve_triangular(self.factor, between.T, upper=False)
        own = 1 + self.linear * features.square().mean(1)
        left = (own - halves.square().sum(0)).clamp(min=0)
        return between @ self.weights, (self.variance * left).sqrt()


def _kernel(a: Tensor, b: Tensor, length: float, linear: float) -> Tensor:
    """Covariances [n, m] of features [n, D] and [m, D], for a signal of variance 1."""
    products = a @ b.T / a.shape[1]
    squares = a.square().mean(1)[:, None] + b.square().mean(1) - 2 * products
    distance = (5 * squares.clamp(min=0)).sqrt() / length
    return (1 + distance + distance.square() / 3) * (-distance).exp() + linear * products


def normal_scores(values: Tensor) -> Tensor:
    """The values [n] replaced by the quantiles of a standard normal at their ranks; equal ones share the average."""
    from zcfast.analysis.correlation import average_ranks

    ranks = average_ranks(values)
    return math.sqrt(2) * torch.erfinv(2 * (ranks - 0.5) / len(values) - 1)
