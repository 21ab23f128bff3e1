"""How differently a net reacts to each sample."""

from zcfast.ops import jacobian_correlation
from zcfast.passes.base import Results
from zcfast.passes.failures import ProxyError
from zcfast.passes.input_jacobian import InputJacobian
from zcfast.proxies.base import Proxy, register


@register
class JacobCov(Proxy):
    """-sum_i [log(v_i + k) + 1/(v_i + k)], k = 1e-5: v are the eigenvalues of the correlation matrix of the samples.

    What is correlated is the derivative of the sum of all logits by each sample, of a net of tokens by the output of
    its token embedding.
    """

    name = "jacob_cov"
    definition = (
        "-sum_i [log(v_i + k) + 1/(v_i + k)], k = 1e-5: v are the eigenvalues of the correlation matrix of the samples."
    )
    source = "Mellor et al. 2020 (version 1); Abdelfattah et al. 2021, section 3.2"
    needs = (InputJacobian,)
    sums_layers = False

    def value(self, results: Results) -> float:
        """The score of the minibatch."""
        jacobian = results[InputJacobian]
        if len(jacobian) < 2:
            raise ProxyError("undefined", "the correlation of samples needs two or more, got one")
        value = jacobian_correlation(jacobian)
        if value.isnan() and not jacobian.isnan().any():
            raise ProxyError("undefined", "the Jacobian of some sample is constant, so it correlates with no other")
        return value.item()
