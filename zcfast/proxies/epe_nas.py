"""How differently a net reacts to the samples of one class."""

import torch
from torch import Tensor

from zcfast.passes.base import Results
from zcfast.passes.class_labels import ClassLabels, Labels
from zcfast.passes.failures import ProxyError
from zcfast.passes.input_jacobian import InputJacobian
from zcfast.proxies.base import Proxy, register

_K = 1e-5
_MANY_CLASSES = 100  # above which classes are compared in place of added


@register
class EpeNas(Proxy):
    """Sum over classes c of |s_c|, s_c the sum of log(|r_nm| + 1e-5) over all pairs of the samples of c.

    r_nm correlates what jacob_cov correlates: the derivatives of the sum of all logits by samples n and m. Of a net
    with more than 100 logits, s_c is divided by the number of samples of c, and the score is the sum of |s_c - s_d|
    over all pairs of classes, divided by the number of classes that occur; classes of one sample have no s_c then.
    Higher is better; the labels are needed.
    """

    name = "epe_nas"
    definition = "Sum over classes c of |s_c|, s_c the sum of log(|r_nm| + 1e-5) over all pairs of the samples of c."
    source = "Lopes et al. 2021 (EPE-NAS)"
    needs = (InputJacobian, ClassLabels)
    sums_layers = False

    def value(self, results: Results) -> float:
        """The score of the minibatch."""
        labels: Labels = results[ClassLabels]
        return _score(results[InputJacobian], labels.samples, labels.classes)


def _score(jacobian: Tensor, samples: Tensor, classes: int) -> float:
    """From the rows [N, D], the class [N] of each and the number of classes that the net knows."""
    present = [int(each) for each in torch.unique(samples) if each >= 0]
    groups = [jacobian[samples == each].double() for each in present]
    if not groups:
        raise ProxyError("undefined", "no sample has a class")
    if classes <= _MANY_CLASSES:
        return sum(abs(_similarity(rows)) for rows in groups)
    means = [_similarity(rows) / len(rows) for rows in groups if len(rows) > 1]
    if len(means) < 2:
        raise ProxyError("undefined", "it compares classes of two samples or more, and fewer than two are there")
    values = torch.tensor(means, dtype=torch.float64)
    return float((values[:, None] - values).abs().sum() / len(groups))


def _similarity(rows: Tensor) -> float:
    """The sum over all pairs of rows; the correlation of a single one is 1."""
    if (rows == rows[:, :1]).all(1).any():
        raise ProxyError("undefined", "the Jacobian of some sample is constant, so it correlates with no other")
    correlation = torch.corrcoef(rows).reshape(-1)
    return float((correlation.abs() + _K).log().sum())
