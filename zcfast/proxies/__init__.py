"""The proxies. A list of proxies may hold their names, or these classes with options: fisher(weighting="channel")."""

from zcfast.proxies.az_nas import AzExpressivity, AzProgressivity, AzTrainability
from zcfast.proxies.base import Proxy, register, registered, resolve
from zcfast.proxies.depth import Depth
from zcfast.proxies.dextr import Dextr
from zcfast.proxies.dss import Dss
from zcfast.proxies.epe_nas import EpeNas
from zcfast.proxies.fisher import Fisher
from zcfast.proxies.flops import Flops
from zcfast.proxies.grad_norm import GradNorm
from zcfast.proxies.gradsign import GradSign
from zcfast.proxies.grasp import Grasp
from zcfast.proxies.head_confidence import HeadConfidence
from zcfast.proxies.hidden_cov import HiddenCov
from zcfast.proxies.jacob_cov import JacobCov
from zcfast.proxies.l2_norm import L2Norm
from zcfast.proxies.linear_regions import LinearRegions
from zcfast.proxies.logsynflow import LogSynflow
from zcfast.proxies.meco import Meco, MecoOpt
from zcfast.proxies.multiply_adds import MultiplyAdds
from zcfast.proxies.naswot import Naswot
from zcfast.proxies.ntk_cond import NtkCond
from zcfast.proxies.params import Params
from zcfast.proxies.plain import Plain
from zcfast.proxies.repeated import RepeatedProxy
from zcfast.proxies.snip import Snip
from zcfast.proxies.swap import RegSwap, Swap, SwapUniversal
from zcfast.proxies.synflow import Synflow
from zcfast.proxies.synflow_bn import SynflowBatchNorm
from zcfast.proxies.vkdnw import Vkdnw, VkdnwDim, VkdnwEntropy
from zcfast.proxies.wrcor import WeightedWrCor, WrCor
from zcfast.proxies.zen import Zen
from zcfast.proxies.zico import Zico

# The names by which scores are known; they take the place of the modules of the same names.
depth, dextr, dss, epe_nas = Depth, Dextr, Dss, EpeNas
fisher, flops, grad_norm, grasp, jacob_cov, l2_norm = Fisher, Flops, GradNorm, Grasp, JacobCov, L2Norm
head_confidence, hidden_cov, logsynflow = HeadConfidence, HiddenCov, LogSynflow
multiply_adds, naswot, params, plain = MultiplyAdds, Naswot, Params, Plain
snip, synflow, synflow_bn = Snip, Synflow, SynflowBatchNorm
meco, meco_opt = Meco, MecoOpt
az_expressivity, az_progressivity, az_trainability = AzExpressivity, AzProgressivity, AzTrainability
linear_regions, swap, reg_swap, swap_universal = LinearRegions, Swap, RegSwap, SwapUniversal
gradsign, ntk_cond = GradSign, NtkCond
vkdnw, vkdnw_dim, vkdnw_entropy = Vkdnw, VkdnwDim, VkdnwEntropy
wrcor, wrcor_weighted = WrCor, WeightedWrCor
zen, zico = Zen, Zico

__all__ = [
    "Proxy",
    "RepeatedProxy",
    "az_expressivity",
    "az_progressivity",
    "az_trainability",
    "depth",
    "dextr",
    "dss",
    "epe_nas",
    "fisher",
    "flops",
    "grad_norm",
    "gradsign",
    "grasp",
    "head_confidence",
    "hidden_cov",
    "jacob_cov",
    "l2_norm",
    "linear_regions",
    "logsynflow",
    "meco",
    "meco_opt",
    "multiply_adds",
    "naswot",
    "ntk_cond",
    "params",
    "plain",
    "reg_swap",
    "register",
    "registered",
    "resolve",
    "snip",
    "swap",
    "swap_universal",
    "synflow",
    "synflow_bn",
    "vkdnw",
    "vkdnw_dim",
    "vkdnw_entropy",
    "wrcor",
    "wrcor_weighted",
    "zen",
    "zico",
]
