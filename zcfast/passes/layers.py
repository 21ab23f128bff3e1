"""Which layers of a net count in a score that is a sum over layers."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

from zcfast.nets.counted import COUNTABLE, channel_dim
from zcfast.passes.failures import ProxyError

_PLAIN = (nn.Parameter, Tensor)
_TORCHS_RULES = (Tensor.__torch_function__.__func__, nn.Parameter.__torch_function__)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Layer:
    """One counted layer: its name in the net, the module whose weight counts, and that weight's name there."""

    name: str
    module: nn.Module
    parameter: str = "weight"

    @property
    def weight(self) -> Tensor:
        """The weight that the layer multiplies by: with a parametrization, its result."""
        weight = getattr(self.module, self.parameter)
        assert isinstance(weight, Tensor)
        return weight

    def channel_dim(self, output: Tensor) -> int:
        """Dimension of the channels in the layer's output; a ProxyError for the output of no such layer."""
        try:
            return channel_dim(self.module, output)
        except ValueError as error:
            raise ProxyError("failed", f"layer {self.name!r} {error}") from error


def find_layers(module: nn.Module, kinds: tuple[type[nn.Module], ...] = COUNTABLE) -> list[Layer]:
    """List the distinct layers of a net that are of the given kinds, in the order of registration.

    Args:
        module: any net.
        kinds: layer types, each one of nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear or derived from them.

    Returns:
        The layers; a module registered under several names appears once, two modules that share a weight twice.

    Raises:
        TypeError: kinds is not a tuple of such types.
        ValueError: a layer's weight is not a floating-point parameter (or parametrized as one), or some part of the net
            is lazy or TorchScript, or a parameter changes what torch's functions make of it.
    """
    if not (
        isinstance(kinds, tuple)
        and kinds
        and all(isinstance(kind, type) and issubclass(kind, COUNTABLE) for kind in kinds)
    ):
        expected = ", ".join(f"nn.{kind.__name__}" for kind in COUNTABLE)
        raise TypeError(f"layers: expected a tuple of types among {expected}, got {kinds!r}")
    layers = []
    for name, child in module.named_modules():
        _check_readable(name, child)
        if isinstance(child, kinds):
            layers.append(Layer(name, child))
            _check_weight(layers[-1])
    return layers


def _check_readable(name: str, child: nn.Module) -> None:
    if isinstance(child, torch.jit.ScriptModule):
        which = f"its part {name!r} is" if name else "it is"
        raise ValueError(
            f"module: {which} TorchScript, whose layers cannot be seen; score the nn.Module it was made of"
        )
    if isinstance(child, LazyModuleMixin) and child.has_uninitialized_params():
        raise ValueError(f"module: {name!r} is lazy and has no parameters yet; run the net once first")
    for key, parameter in child._parameters.items():
        if type(parameter) not in _PLAIN and parameter is not None and _has_rules(type(parameter)):
            where = f"{name}.{key}".lstrip(".")
            raise ValueError(
                f"module: expected parameters without rules of their own for torch's functions, {where!r} is a "
                f"{type(parameter).__name__}"
            )


def _has_rules(kind: type) -> bool:
    """Whether functions of such tensors are others than torch's, so that a plain tensor would not stand in for one."""
    return (
        getattr(kind.__torch_function__, "__func__", kind.__torch_function__) not in _TORCHS_RULES  # type: ignore[attr-defined]
        or kind.__torch_dispatch__ is not Tensor.__torch_dispatch__  # type: ignore[attr-defined]
    )


def _check_weight(layer: Layer) -> None:
    weight = layer.module._parameters.get("weight")
    if weight is None:
        if parametrize.is_parametrized(layer.module, "weight"):
            return
        raise ValueError(
            f"module: expected layer {layer.name!r} to hold its weight as a parameter, got none; make a pruned weight "
            "permanent by torch.nn.utils.prune.remove, and normalise by torch.nn.utils.parametrizations"
        )
    if weight.layout != torch.strided or weight.is_nested:
        kind = "a nested one" if weight.is_nested else str(weight.layout)
        raise ValueError(f"module: expected dense weights, layer {layer.name!r} has {kind}")
    if not weight.is_floating_point():
        raise ValueError(f"module: expected floating-point weights, layer {layer.name!r} has {weight.dtype}")
