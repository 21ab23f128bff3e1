"""How much removing single weights changes the loss, to first order."""

from zcfast.proxies.base import Proxy, register
from zcfast.tracing.passes import Pass


@register
class Snip(Proxy):
    """Sum of |W_l * g_l|; of a tied weight, g_l is the gradient by the layer's own use of it."""

    name = "snip"
    definition = "Sum of |W_l * g_l|; of a tied weight, g_l is the gradient by the layer's own use of it."
    source = "Lee et al. 2019 (SNIP); Abdelfattah et al. 2021, section 3.2"
    needs = Pass.LOSS_GRAD
    saliency = "abs_product"
