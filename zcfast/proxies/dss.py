"""How much flows through a transformer, and in how many directions through its attention."""

from zcfast.passes.base import Results
from zcfast.passes.flow.attention_flow import AttentionFlow
from zcfast.passes.flow.linear_flow import Flow
from zcfast.proxies.base import Proxy, register


@register
class Dss(Proxy):
    """Sum over attention's projections of ||dR/dW||_nuc ||W||_nuc, over other linear layers of sum |W dR/dW|.

    R and the positive parameters are those of synflow. Convolutions, such as the embedding of patches, do not count.
    For transformers. Higher is better; no labels are needed.
    """

    name = "dss"
    definition = (
        "Sum over attention's projections of ||dR/dW||_nuc ||W||_nuc, over other linear layers of sum |W dR/dW|."
    )
    source = "Zhou et al. 2022 (TF-TAS: training-free transformer architecture search)"
    needs = (AttentionFlow,)
    network = "without BatchNorm"
    sums_layers = False

    def value(self, results: Results) -> float:
        """The score."""
        flow: Flow = results[AttentionFlow]
        return flow.value
