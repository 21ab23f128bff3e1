"""synflow of the net as it is."""

from zcfast.passes.flow.linear_flow import BatchNormLinearFlow
from zcfast.proxies.base import register
from zcfast.proxies.synflow import FlowProxy


@register
class SynflowBatchNorm(FlowProxy):
    """Sum of |W_l * dR/dW_l|, R as in synflow but with every BatchNorm kept.

    BatchNorm normalises by the statistics of the one sample of ones.
    """

    name = "synflow_bn"
    definition = "Sum of |W_l * dR/dW_l|, R as in synflow but with every BatchNorm kept."
    source = "published code of Abdelfattah et al. 2021"
    needs = (BatchNormLinearFlow,)
