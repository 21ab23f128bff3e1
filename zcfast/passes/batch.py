"""The minibatch of a score, its loss and how logits are found in what the net returns."""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # the name that every PyTorch user reads
from torch import Tensor, nn

from zcfast.nets.inputs import Inputs, check_dense, checked_inputs, mapped, named_tensors, sample_count, tensors_of
from zcfast.passes.failures import ProxyError, WrongArgumentError, describe
from zcfast.passes.opaque import Opaque, UnsupportedError
from zcfast.torch_internals import outside_modes

Loss = Callable[[Tensor, Tensor], Tensor]

IGNORED = -100  # the class that torch's cross-entropy leaves out
_ROUNDING = 0.01  # of the sum of half-precision probabilities
_OTHER_LOSS = "other losses than cross-entropy are given by loss_fn"


def find_logits(output: Any) -> Tensor:
    """Find the logits in a net's output.

    A tensor is its own; otherwise the attribute `logits` (Hugging Face, torchvision's Inception), the key "logits",
    or the first tensor of a tuple, list or mapping.

    Raises:
        WrongArgumentError: nothing of the kind is there.
    """
    if isinstance(output, Tensor):
        return output
    found = getattr(output, "logits", None)
    if not isinstance(found, Tensor) and isinstance(output, Mapping):
        found = output.get("logits")
    if isinstance(found, Tensor):
        return found
    values = output.values() if isinstance(output, Mapping) else output
    if isinstance(output, (Mapping, tuple, list)):
        for value in values:
            if isinstance(value, Tensor):
                return value
    raise WrongArgumentError(
        f"logits: expected a callable that finds them in the net's output, got {type(output).__name__}"
    )


@dataclass(frozen=True)
class Batch:
    """A checked minibatch: inputs, each [N, ...], targets [N, ...] and the loss.

    The inputs are a tensor, or several in a tuple or dict, which the net gets in order or by keyword.
    """

    inputs: Inputs
    targets: Tensor
    loss_fn: Loss | None = None
    logits: Callable[[Any], Tensor] = find_logits
    sizes: tuple[int, ...] = ()  # of the minibatches that stand in it side by side, where they were given in a list

    def __post_init__(self) -> None:
        """Check the arguments against one another."""
        check_dense("targets", self.targets)
        object.__setattr__(self, "inputs", checked_inputs(self.inputs))  # in a container that no caller changes
        if self.targets.dim() == 0 or len(self.targets) != self.samples:
            raise ValueError(f"targets: expected one a sample ({self.samples}), got shape {tuple(self.targets.shape)}")
        for name, function in (("loss_fn", self.loss_fn), ("logits", self.logits)):
            if function is not None and not callable(function):
                raise TypeError(f"{name}: expected a callable, got {function!r}")

    @property
    def samples(self) -> int:
        """N."""
        return sample_count(self.inputs)

    @property
    def device(self) -> torch.device:
        """That of the first input."""
        return tensors_of(self.inputs)[0].device

    def check_for(self, module: nn.Module) -> None:
        """Raise ValueError where the batch is on a device that holds no parameter of the net, or is not finite.

        Parameters on the meta device have no values, and so no scores.
        """
        held = (p for child in module.modules() for p in child._parameters.values())  # parameters() takes twice as long
        devices = {parameter.device for parameter in held if parameter is not None}
        if torch.device("meta") in devices:
            raise ValueError("module: expected parameters with values, got some on the meta device")
        for name, value in {**named_tensors(self.inputs), "targets": self.targets}.items():
            if devices and value.device not in devices:
                expected = ", ".join(sorted(map(str, devices)))
                raise ValueError(f"{name}: expected to be on the module's device ({expected}), got {value.device}")
            if not _is_finite(value):
                raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")

    @classmethod
    def side_by_side(cls, minibatches: "Sequence[Batch]") -> "Batch":
        """Several minibatches as one, which knows where each ends.

        Raises:
            ValueError: they differ in more than their numbers of samples.
        """
        first, forms = minibatches[0], [_form(each) for each in minibatches]
        for form in forms:
            if form != forms[0]:
                raise ValueError(f"batch: expected minibatches of one form, {forms[0]}, got {form}")
        columns = map(torch.cat, zip(*(tensors_of(each.inputs) for each in minibatches), strict=True))
        inputs = mapped(lambda _: next(columns), first.inputs)
        targets = torch.cat([each.targets for each in minibatches])
        return cls(inputs, targets, first.loss_fn, first.logits, tuple(each.samples for each in minibatches))

    def minibatches(self, number: int) -> "list[Batch]":
        """Those that were given, where they are several; else `split`, of a list of one too.

        Raises:
            ProxyError: others were given, or there are fewer samples.
        """
        if len(self.sizes) < 2:
            return self.split(number)
        if len(self.sizes) != number:
            raise ProxyError("refused", f"it takes {number} minibatches, got {len(self.sizes)}")
        return self._cut(self.sizes)

    def split(self, parts: int) -> "list[Batch]":
        """Several minibatches of this one's samples, in order, whose sizes differ by one at most.

        Raises:
            ProxyError: there are fewer samples.
        """
        if self.samples < parts:
            raise ProxyError("undefined", f"{parts} minibatches take as many samples, got {self.samples}")
        return self._cut([len(part) for part in self.targets.tensor_split(parts)])

    def _cut(self, sizes: Sequence[int]) -> "list[Batch]":
        """Minibatches of so many samples, in order."""
        ends = list(itertools.accumulate(sizes))
        return [
            Batch(mapped(lambda x: x[a:b], self.inputs), self.targets[a:b], self.loss_fn, self.logits)  # noqa: B023
            for a, b in zip([0, *ends], ends, strict=False)
        ]

    def tensors(self) -> tuple[Inputs, Tensor]:
        """Inputs and targets as a backward pass may keep them, off the caller's graph (inside `isolated` only)."""
        return mapped(_kept, self.inputs), _kept(self.targets)

    def found_logits(self, output: Any, samples: int) -> Tensor:
        """The logits in what the net returns for so many samples.

        Raises:
            WrongArgumentError: there are none; the caller's function raises, gives another thing, or cuts the graph.
        """
        if self.logits is find_logits:
            return find_logits(output)
        try:
            logits = self.logits(output)
        except UnsupportedError:  # of a pass that not all nets take
            raise
        except Exception as error:  # a foreign function: what it raises is the answer
            expected = "expected a callable that finds them in the net's output"
            raise WrongArgumentError(f"logits: {expected}, got one that raised {describe(error).reason}") from error
        if not isinstance(logits, Tensor):
            raise WrongArgumentError(f"logits: expected a tensor, got {type(logits).__name__}")
        with outside_modes():  # a mode of the pass would take it for the net's
            if self.loss_fn is None:
                _check_fit(logits, self.targets, samples)
            if not _needs_gradient(logits) and any(map(_needs_gradient, _tensors_in(output))):
                raise WrongArgumentError(
                    "logits: expected a tensor with the gradient of the net's output, got one without"
                )
        return logits

    def loss_of(self, output: Any) -> Tensor:
        """The loss of what the net returned for the inputs, with its graph; see `found_logits` and `loss`."""
        return self.loss(self.found_logits(output, self.samples), self.tensors()[1])

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss: a scalar.

        Raises:
            WrongArgumentError: the loss is no scalar tensor, or with the default loss, targets do not fit the logits.
            ProxyError: loss_fn raised, or the default loss ignores every target.
        """
        if self.loss_fn is None:
            _check_targets(logits, targets)
            # Classes of any integer type and probabilities of any precision, where torch takes one.
            return F.cross_entropy(logits, targets.to(logits.dtype if targets.is_floating_point() else torch.int64))
        devices = [logits.device] if logits.is_cuda else []
        try:
            with torch.random.fork_rng(devices):  # every pass has the same loss
                loss = self.loss_fn(logits, targets)
        except Exception as error:  # a foreign function: what it raises is the result
            raise ProxyError("failed", f"loss_fn raised {describe(error).reason}") from error
        if not isinstance(loss, Tensor):
            raise WrongArgumentError(f"loss_fn: expected to return a tensor, got {type(loss).__name__}")
        if loss.dim() != 0:
            raise WrongArgumentError(f"loss_fn: expected to return a scalar, got shape {tuple(loss.shape)}")
        if logits.requires_grad and not loss.requires_grad:
            raise WrongArgumentError("loss_fn: expected a loss that depends on the logits, got one without a gradient")
        return loss


def _form(batch: Batch) -> str:
    """All but the number of samples, in words."""
    tensors = {**named_tensors(batch.inputs), "targets": batch.targets}
    return ", ".join(f"{name} {['N', *each.shape[1:]]} {each.dtype} on {each.device}" for name, each in tensors.items())


def _is_finite(x: Tensor) -> bool:
    """Whether no number is NaN or infinite: by the extremes, many times faster than one by one."""
    if x.is_complex():
        x = torch.view_as_real(x.resolve_conj())
    if not x.is_floating_point() or x.numel() == 0:
        return True
    return all(math.isfinite(extreme.item()) for extreme in torch.aminmax(x))


def _kept(x: Tensor) -> Tensor:
    """A tensor that a backward pass may keep, which one made in inference mode is not."""
    return x.detach().clone() if x.is_inference() else x.detach()


def _check_targets(logits: Tensor, targets: Tensor) -> None:
    """Raise WrongArgumentError unless cross-entropy is the loss that these targets are for."""
    _check_logits(logits)
    if targets.is_floating_point():
        _check_probabilities(logits, targets)
    else:
        _check_classes(logits, targets)


def _check_logits(logits: Tensor) -> None:
    if logits.dim() < 2:
        raise WrongArgumentError(f"logits: expected [N, classes, ...], got shape {tuple(logits.shape)}; {_OTHER_LOSS}")
    if not logits.is_floating_point():
        raise WrongArgumentError(f"logits: expected floats, got {logits.dtype}")
    if logits.shape[1] < 2:
        raise WrongArgumentError(
            f"logits: expected two classes or more, got shape {tuple(logits.shape)}; {_OTHER_LOSS}"
        )


def _check_fit(logits: Tensor, targets: Tensor, samples: int) -> None:
    """Raise WrongArgumentError unless the default loss takes logits of this form."""
    _check_logits(logits)
    classes = logits.shape[1] if not targets.is_floating_point() or targets.dim() < 2 else targets.shape[1]
    expected = (samples, classes, *targets.shape[2 if targets.is_floating_point() else 1 :])
    if tuple(logits.shape) != expected:
        raise WrongArgumentError(f"logits: expected shape {expected}, got {tuple(logits.shape)}; {_OTHER_LOSS}")


def _needs_gradient(x: Tensor) -> bool:
    return isinstance(x, Opaque) or x.requires_grad


def _tensors_in(output: Any) -> list[Tensor]:
    """The tensors that a net returns."""
    values = output.values() if isinstance(output, Mapping) else output
    if not isinstance(values, Iterable) or isinstance(output, Tensor):
        values = [output, *getattr(output, "__dict__", {}).values()]
    return [value for value in values if isinstance(value, Tensor)]


def _check_probabilities(logits: Tensor, targets: Tensor) -> None:
    if targets.shape != logits.shape:
        shape = tuple(logits.shape)
        raise WrongArgumentError(f"targets: expected probabilities {shape}, got {tuple(targets.shape)}; {_OTHER_LOSS}")
    sums = targets.sum(1)
    if bool((targets < 0).any()) or bool(((sums - 1).abs() > _ROUNDING).any()):
        raise WrongArgumentError(
            f"targets: expected probabilities, which sum to 1 over the classes, got {targets.min().item():.6g} to "
            f"{targets.max().item():.6g} with sums {sums.min().item():.6g} to {sums.max().item():.6g}; {_OTHER_LOSS}"
        )


def _check_classes(logits: Tensor, targets: Tensor) -> None:
    if targets.dtype == torch.bool or targets.is_complex():
        raise WrongArgumentError(
            f"targets: expected classes as integers or probabilities as floats, got {targets.dtype}"
        )
    form, shape = (len(logits), *logits.shape[2:]), tuple(targets.shape)
    if shape != form:
        classes_last = logits.dim() > 2 and shape == tuple(logits.shape[:-1])
        moved = "transpose(1, 2)" if logits.dim() == 3 else "movedim(-1, 1)"
        hint = f"where the classes are last, give logits=lambda out: out.{moved}" if classes_last else _OTHER_LOSS
        raise WrongArgumentError(f"targets: expected shape {form} for the default loss, got {shape}; {hint}")
    counted = targets[targets != IGNORED]
    if not counted.numel():
        which = "every target" if len(logits) > 1 else "each target of a sample that runs alone"
        raise ProxyError("undefined", f"{which} is {IGNORED}, which the loss ignores")
    low, high = int(counted.min()), int(counted.max())
    if low < 0 or high >= logits.shape[1]:
        last = logits.shape[1] - 1
        raise WrongArgumentError(f"targets: expected classes 0 to {last}, or {IGNORED} to ignore, got {low} to {high}")
