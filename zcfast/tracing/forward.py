"""Forward passes of the minibatch through a net that holds stand-ins for its parameters."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from zcfast.tracing.batch import Batch, find_logits
from zcfast.tracing.channels_last import ChannelsLast, has_tangent
from zcfast.tracing.embedding import EmbeddingTap, tapped_embedding
from zcfast.tracing.generators import random_devices
from zcfast.tracing.isolation import Isolated
from zcfast.tracing.layers import Layer
from zcfast.tracing.parameters import Slots
from zcfast.tracing.passes import Failure, Pass, ProxyError
from zcfast.tracing.recording import Recording, has_inplace_modules, recorded

UNREPEATABLE = Failure(
    "refused", "the net computes other logits in a second pass: something that a pass changes does not come back"
)


class Forward:
    """Runs a net on minibatches, from the same random state each time, in the memory format that is fastest.

    Attributes:
        channels_last: the inputs have their channels innermost, and so has what the net makes of them; False leaves
            the format as the caller has it.
        retried: whether the first forward pass did not serve, and a further one took its place.
        mismatch: that a further pass computed other logits, if one did.
    """

    def __init__(
        self,
        net: Isolated,
        slots: Slots,
        layers: Sequence[Layer],
        batch: Batch,
        passes: Pass,
        *,
        channels_last: bool,
    ) -> None:
        """Take the net, the places of its stand-ins, the counted layers and what is to be run."""
        self.net, self.slots, self.layers = net, slots, layers
        self.batch, self.passes = batch, passes
        self.devices = random_devices(net.module)
        self.channels_last = channels_last
        self.retried = False
        self._has_run = False
        self._first: Tensor | None = None
        self._repeats = runs_no_foreign_code(net.modules, batch)
        self.mismatch: Failure | None = None

    def restart(self) -> None:
        """Put all but the stand-ins back to where the first pass began: nets keep caches, counts and running means."""
        self.net.restore()
        self.net.prepare()
        self.slots.reinstall()

    def recorded(self, inputs: Tensor, *, keep: bool, jacobian: bool) -> tuple[Tensor | None, Any, Recording]:
        """Run forward; once more with copies where the net overwrote, unannounced, an output to be kept.

        Returns:
            The point at which the input Jacobian is to be taken, the output, and what the counted layers put out.
        """
        clone = keep and has_inplace_modules(self.net.modules)
        point, output, recording = self._in_some_format(inputs, keep=keep, clone=clone, jacobian=jacobian)
        if recording.was_overwritten() and not clone:
            point, output, recording = self._in_some_format(inputs, keep=keep, clone=True, jacobian=jacobian)
        return point, output, recording

    def logits(self, inputs: Tensor) -> Tensor:
        """Run forward for the logits alone; after `restart`, which the caller's surroundings may not allow here."""
        with self._surroundings():
            logits = self.batch.found_logits(self.net.module(self._flowing(inputs)))
        if not self._repeats:
            with torch._C.DisableTorchFunction():  # a mode of the pass would take it for the net's
                self._compare(logits)
        return logits

    def note_first(self, logits: Tensor) -> None:
        """Keep the logits of the first pass, for comparison with those of later ones."""
        if not self._repeats:
            self._first = logits.detach().clone()

    def require_repetition(self, inputs: Tensor) -> None:
        """Run forward once more and compare, unless it is known already that the net computes the same logits.

        Raises:
            ProxyError: it computes others.
        """
        if not self._repeats and self._first is not None:
            self.restart()
            with torch.no_grad():
                self.logits(inputs)

    def _compare(self, logits: Tensor) -> None:
        first = self._first
        if first is None:
            return
        again = forward_ad.unpack_dual(logits).primal if has_tangent(logits) else logits  # type: ignore[no-untyped-call]
        if again.shape != first.shape or not equal_to_rounding(first, again.detach()):
            self.mismatch = UNREPEATABLE
            raise ProxyError(UNREPEATABLE.status, UNREPEATABLE.reason)
        self._repeats = True

    def _in_some_format(self, inputs: Tensor, **options: bool) -> tuple[Tensor | None, Any, Recording]:
        if self.channels_last:
            try:
                return self._once(inputs, **options)
            except Exception:  # view() of an image fails in most formats but the contiguous one
                self.channels_last = False
        return self._once(inputs, **options)

    def _once(self, inputs: Tensor, *, keep: bool, clone: bool, jacobian: bool) -> tuple[Tensor | None, Any, Recording]:
        point: Tensor | None = None
        tap: EmbeddingTap | None = None
        gradients = self.passes != Pass.FORWARD
        if self._has_run:
            self.restart()
            self.retried = True
        self._has_run = True
        with self._surroundings() as stack:
            stack.enter_context(torch.set_grad_enabled(gradients))
            recording = stack.enter_context(recorded(self.layers, keep=keep, clone=clone))
            flowing = inputs
            if jacobian:
                if inputs.is_floating_point():
                    flowing = point = inputs.detach().clone().requires_grad_()
                else:
                    tap = stack.enter_context(tapped_embedding(self.net.modules, inputs, Tensor.clone))
            output = self.net.module(self._flowing(flowing))
        return (tap.output if tap else point), output, recording

    @contextmanager
    def _surroundings(self) -> Iterator[ExitStack]:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(self.devices))
            if self.channels_last:
                stack.enter_context(ChannelsLast())
            yield stack

    def _flowing(self, inputs: Tensor) -> Tensor:
        """A copy for the net: it may write to its input, and a leaf that needs a gradient cannot be written to."""
        return inputs.clone(memory_format=torch.channels_last if self.channels_last else torch.preserve_format)


def runs_no_foreign_code(modules: Iterable[nn.Module], batch: Batch) -> bool:
    """Whether a forward pass runs no code of the user's: only that may keep what no snapshot sees."""
    hooks = torch.nn.modules.module
    foreign = batch.logits is not find_logits or hooks._global_forward_hooks or hooks._global_forward_pre_hooks
    return not foreign and all(map(_is_known, modules))


def _is_known(module: nn.Module) -> bool:
    if not type(module).__module__.startswith(("torch.nn.", "zcfast.")):
        return False
    if module._forward_hooks or module._forward_pre_hooks:
        return False
    # An activation function, for one.
    held = [value for value in vars(module).values() if callable(value)]
    return all(
        (getattr(value, "__module__", None) or "torch").partition(".")[0] in {"torch", "builtins"} for value in held
    )


def equal_to_rounding(a: Tensor, b: Tensor) -> bool:
    """Whether two results of one computation, in whatever memory format and order of sums, are the same."""
    finite = a.isfinite()
    if not torch.equal(finite, b.isfinite()) or not finite.any():
        return torch.equal(finite, b.isfinite())
    largest = a[finite].abs().max()
    # Far above what rounding does to deep nets, far below what another state does.
    tolerance = 10 * torch.finfo(a.dtype).eps ** 0.5
    return bool((a - b)[finite].abs().max() <= tolerance * largest)
