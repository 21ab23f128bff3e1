"""Passes: the runs of a net that proxies share, and what a pass or proxy of one's own needs.

`Pass` is what one's own derive from; a proxy names them in `needs` and reads their results by their classes.
"""

from zcfast.passes.activation_blocks import ActivationBlocks
from zcfast.passes.activation_correlations import ActivationCorrelations, Correlations
from zcfast.passes.activations import Activations
from zcfast.passes.base import Pass, Results
from zcfast.passes.batch import Batch
from zcfast.passes.block_flow import BlockFlow, FlowOfBlocks
from zcfast.passes.channel_correlations import ChannelCorrelations
from zcfast.passes.class_labels import ClassLabels, Labels
from zcfast.passes.curve import Curve, CurveOfNet
from zcfast.passes.draws import Draws
from zcfast.passes.failures import Failure, ProxyError
from zcfast.passes.fisher_spectrum import FisherSpectrum
from zcfast.passes.flow.attention_flow import AttentionFlow
from zcfast.passes.flow.linear_flow import (
    BatchNormLinearFlow,
    DrawnLogFlow,
    Flow,
    LinearFlow,
    LogLinearFlow,
    SignedLinearFlow,
)
from zcfast.passes.forward import Forward, SharedForward
from zcfast.passes.gradient_signs import GradientSigns
from zcfast.passes.gradient_spread import GradientSpread, Spread
from zcfast.passes.head_maxima import HeadMaxima
from zcfast.passes.hessian_product import HessianProduct, HessianProducts
from zcfast.passes.hidden_states import HiddenStates
from zcfast.passes.input_jacobian import InputJacobian
from zcfast.passes.longest_path import LongestPath
from zcfast.passes.loss_gradient import LossGradient, LossGradients
from zcfast.passes.map_difference import MapDifference
from zcfast.passes.net import Net
from zcfast.passes.observation import Observation
from zcfast.passes.products import Products
from zcfast.passes.redraw import redrawn
from zcfast.passes.relu_patterns import ReluPatterns
from zcfast.passes.repeated import Repeated, with_options
from zcfast.passes.sign_patterns import DrawnSignPatterns, SignPatterns, WholeSignPatterns
from zcfast.passes.tangent_kernel import TangentKernel
from zcfast.passes.weights import Weights, WeightsOfNet

__all__ = [
    "ActivationBlocks",
    "ActivationCorrelations",
    "Activations",
    "AttentionFlow",
    "Batch",
    "BatchNormLinearFlow",
    "BlockFlow",
    "ChannelCorrelations",
    "ClassLabels",
    "Correlations",
    "Curve",
    "CurveOfNet",
    "DrawnLogFlow",
    "DrawnSignPatterns",
    "Draws",
    "Failure",
    "FisherSpectrum",
    "Flow",
    "FlowOfBlocks",
    "Forward",
    "GradientSigns",
    "GradientSpread",
    "HeadMaxima",
    "HessianProduct",
    "HessianProducts",
    "HiddenStates",
    "InputJacobian",
    "Labels",
    "LinearFlow",
    "LogLinearFlow",
    "LongestPath",
    "LossGradient",
    "LossGradients",
    "MapDifference",
    "Net",
    "Observation",
    "Pass",
    "Products",
    "ProxyError",
    "ReluPatterns",
    "Repeated",
    "Results",
    "SharedForward",
    "SignPatterns",
    "SignedLinearFlow",
    "Spread",
    "TangentKernel",
    "Weights",
    "WeightsOfNet",
    "WholeSignPatterns",
    "redrawn",
    "with_options",
]
