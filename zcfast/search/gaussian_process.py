"""Gaussian process regression with settings by marginal likelihood."""

from __future__ import annotations

import dataclasses
import math
from itertools import product

import torch
from torch import Tensor

from zcfast.order import average_ranks

LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)  # of the kernel; the distance is the root mean square over the features
LINEARS = (0.01, 0.1, 1.0)  # weight of the linear kernel
NOISES = (1e-3, 1e-2, 0.05, 0.2, 0.5)  # variance of the noise, of the Matern kernel's
SETTINGS = tuple(product(LENGTHS, LINEARS, NOISES))
BLOCK = 1024  # rows whose covariances are computed at once: they stay in the caches
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
        return self.upper_bound(features, 0)

    def upper_bound(self, features: Tensor, optimism: float) -> Tensor:
        """Posterior mean plus `optimism` standard deviations of the function without noise, [M] at features [M, D]."""
        bounds = []
        for block in torch.split(features, BLOCK):
            between = _kernel(block, self.features, self.length, self.linear)
            bound = between @ self.weights
            if optimism:
                halves = torch.linalg.solve_triangular(self.factor, between.T, upper=False)
                left = 1 + self.linear * block.square().mean(1) - halves.square().sum(0)
                bound = bound + optimism * (self.variance * left.clamp(min=0)).sqrt()
            bounds.append(bound)
        return torch.cat(bounds)


def _kernel(a: Tensor, b: Tensor, length: float, linear: float) -> Tensor:
    """Covariances [n, m] of features [n, D] and [m, D], for a Matern kernel of variance 1."""
    scale = math.sqrt(5 / a.shape[1]) / length
    distance = torch.cdist(a * scale, b * scale, compute_mode="use_mm_for_euclid_dist")
    matern = (1 + distance + distance.square() / 3) * (-distance).exp()
    return torch.addmm(matern, a, b.T, alpha=linear / a.shape[1])


def normal_scores(values: Tensor) -> Tensor:
    """The standard normal's quantiles at the ranks of values [n], equal ones sharing the average; float64 [n]."""
    shares = (average_ranks(values) - 0.5) / len(values)
    return math.sqrt(2) * torch.erfinv(2 * shares - 1)
