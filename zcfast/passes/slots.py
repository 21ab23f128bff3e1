"""Stand-ins for the parameters of a net, one for each place that holds one."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from zcfast.passes.failures import ProxyError, describe
from zcfast.passes.layers import Layer


def expose_parametrized(modules: Sequence[nn.Module]) -> None:
    """Replace each parametrized tensor by its present value, a plain parameter (inside `isolated` only).

    Raises:
        ValueError: a parametrization raised, so that the net has no weights.
    """
    for child in modules:
        # The first test spares most modules the second, which looks the name up in vain by way of an exception.
        if "parametrizations" not in child._modules or not parametrize.is_parametrized(child):
            continue
        assert isinstance(child.parametrizations, nn.ModuleDict)
        try:
            with torch.no_grad():
                values = {name: getattr(child, name).clone() for name in child.parametrizations}
        except Exception as error:  # a foreign function: what it raises is the answer
            kind = parametrize.type_before_parametrizations(child).__name__
            raise ValueError(f"module: a parametrization of {kind} raised {describe(error).reason}") from error
        child.__class__ = parametrize.type_before_parametrizations(child)
        child._parameters.update({name: nn.Parameter(value) for name, value in values.items()})


@dataclass(frozen=True)
class Slot:
    """A place that holds a parameter. Places of tied parameters are distinct slots with the same parameter."""

    module: nn.Module
    name: str
    parameter: Tensor


class Slots:
    """All places of real and complex parameters of a net, and which of them hold the weights of counted layers.

    Attributes:
        all: every slot.
        counted: indices into `all` of the slots whose parameter is a counted layer's weight.
        groups: for each layer, the positions in `counted` of the slots that hold its weight.
        own: for each layer, the position in `counted` of its own slot.
        counts: for each slot of `all`, how many counted layers hold its parameter as their weight.
        weights: the weight of each layer.
        installed: the stand-in of each slot of `all`.
    """

    def __init__(self, modules: Sequence[nn.Module], layers: Sequence[Layer]) -> None:
        """List the slots of the modules of a net whose parametrizations are exposed."""
        self.all = [
            Slot(child, name, parameter)
            for child in modules
            for name, parameter in child._parameters.items()
            if parameter is not None and (parameter.is_floating_point() or parameter.is_complex())
        ]
        self.installed: list[Tensor] = []
        self._count(layers)

    def counting(self, layers: Sequence[Layer]) -> "Slots":
        """The same slots, of which others count."""
        other = copy.copy(self)
        other.installed = []
        other._count(layers)
        return other

    def holding(self, tensors: Sequence[Tensor], layers: Sequence[Layer]) -> "Slots":
        """The same slots with other parameters, one for each; tied ones stay tied, by the first of theirs."""
        first: dict[int, Tensor] = {}
        for slot, tensor in zip(self.all, tensors, strict=True):
            first.setdefault(id(slot.parameter), tensor)
        other = copy.copy(self)
        other.all = [Slot(slot.module, slot.name, first[id(slot.parameter)]) for slot in self.all]
        other.installed = []
        other._count(layers)
        return other

    def _count(self, layers: Sequence[Layer]) -> None:
        held = {(id(slot.module), slot.name): slot.parameter for slot in self.all}
        weights = [held[id(layer.module), layer.parameter] for layer in layers]
        multiplicity: dict[int, int] = {}
        for weight in weights:
            multiplicity[id(weight)] = multiplicity.get(id(weight), 0) + 1
        self.counts = [multiplicity.get(id(slot.parameter), 0) for slot in self.all]
        self.counted = [index for index, count in enumerate(self.counts) if count]
        places: dict[int, list[int]] = {}
        position: dict[tuple[int, str], int] = {}
        for rank, index in enumerate(self.counted):
            slot = self.all[index]
            places.setdefault(id(slot.parameter), []).append(rank)
            position[id(slot.module), slot.name] = rank
        self.groups = [places[id(weight)] for weight in weights]
        self.own = [position[id(layer.module), layer.parameter] for layer in layers]
        self.weights = [weight.detach() for weight in weights]

    @property
    def tied(self) -> bool:
        """Whether some counted weight is held in more than one place."""
        return any(len(group) > 1 for group in self.groups)

    def install(self, stand_in: Callable[[Slot, int], Tensor]) -> list[Tensor]:
        """Put a stand-in, made from the slot and its count, in each slot (inside `isolated` only); list them."""
        self.installed = [stand_in(slot, count) for slot, count in zip(self.all, self.counts, strict=True)]
        for slot, tensor in zip(self.all, self.installed, strict=True):
            _disguise(tensor, slot.parameter)
        self.reinstall()
        return self.installed

    def reinstall(self) -> None:
        """Put the stand-ins in their slots once more."""
        for slot, tensor in zip(self.all, self.installed, strict=True):
            slot.module._parameters[slot.name] = tensor  # type: ignore[assignment]  # any tensor serves a forward pass
        for child in {id(slot.module): slot.module for slot in self.all}.values():
            if isinstance(child, nn.RNNBase):  # it keeps a second list of its parameters
                child.__dict__["_flat_weights"] = [getattr(child, name, None) for name in child._flat_weights_names]

    def check_hooks(self, slots: Iterable[Slot] | None = None) -> None:
        """Raise ProxyError where a parameter has a hook on its gradient, which no stand-in has.

        Args:
            slots: those whose gradient is taken; by default the weights of the counted layers.
        """
        for slot in (self.all[index] for index in self.counted) if slots is None else slots:
            if slot.parameter._backward_hooks or slot.parameter._post_accumulate_grad_hooks:
                kind = type(slot.module).__name__
                reason = f"the {slot.name} of a {kind} has a hook on its gradient, which no score calls; remove it"
                raise ProxyError("refused", reason)

    @property
    def parameters(self) -> list[Tensor]:
        """The net's own parameters."""
        return [slot.parameter for slot in self.all]

    def of_layers(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """From one tensor for each counted slot, those of the layers' own slots."""
        return [tensors[rank] for rank in self.own]

    def shared(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Gradient of each layer's weight as a whole: of a tied weight, the sum over its places."""
        return [sum_tensors([gradients[rank] for rank in group]) for group in self.groups]


def _disguise(stand_in: Tensor, parameter: Tensor) -> None:
    """Give a stand-in what nets ask of a parameter: the attributes that they gave it, and to be one."""
    own = vars(stand_in)
    own.update({name: value for name, value in vars(parameter).items() if name not in own}, _is_param=True)


def sum_tensors(tensors: Sequence[Tensor]) -> Tensor:
    """Sum tensors of one shape; a single one is returned as it is."""
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total
