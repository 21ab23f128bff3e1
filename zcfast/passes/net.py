"""The net that passes get: whatever is done to it, it comes back as it was."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode

from zcfast.nets.inputs import Inputs, call_net, first_two, mapped, sample_count, tensors_of
from zcfast.passes.batch import Batch, find_logits
from zcfast.passes.blame import is_nets_own
from zcfast.passes.cpu_backend.channels_last import ChannelsLast, has_tangent, suits
from zcfast.passes.failures import Failure, describe
from zcfast.passes.generators import random_devices
from zcfast.passes.hidden_scales import Scale, equal_scales, hidden_scales
from zcfast.passes.isolation import Isolated
from zcfast.passes.layers import Layer
from zcfast.passes.slots import Slot, Slots
from zcfast.passes.snapshot import Snapshot
from zcfast.passes.unseen import Watching, hidden_operations, missed
from zcfast.torch_internals import outside_modes

UNREPEATABLE = Failure(
    "refused", "the net computes other logits in a second pass: something that a pass changes does not come back"
)
_SAMPLES = 8  # from which on the rules of the other memory format pay
_ROUNDING = 10  # roots of a float's eps: far above what rounding does to deep nets, far below what another state does
_FUNCTIONS = (type, FunctionType, BuiltinFunctionType)


class FormatError(Exception):
    """A net takes no images with the channels innermost: the pass that gave it some has to begin again."""


Hook = Callable[[nn.Module, tuple[Any, ...], Any], Any]
CallHook = Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], Any]


class Net:
    """A net inside of `isolated`, with stand-ins for its parameters.

    Attributes:
        module: the net. What is done to it is undone by `restart` and when the call ends.
        modules: all its modules.
        layers: the counted layers.
        slots: the places of its parameters and what stands there.
        per_layer: whether the caller wants the share of each layer too.
        trainable: how many numbers its trainable parameters have, as the caller gave it.
        tensors: how many parameters it has, as the caller gave it.
        seed: of the random numbers that passes draw.
        channels_last: images flow with their channels innermost in the shared forward pass and those compared with it.
        random_devices: those whose generators the net may draw from, beside the CPU.
        copies: of all parameters, in their places, from `install` on.
        first_flow: what computes the first value of synflow again, and that value.
        has_run: whether the net was run, with success or without.
        mismatch: that a further pass computed other logits, if one did.
        is_plain: whether the net has raised for want of images in the contiguous format.
    """

    def __init__(
        self,
        isolated: Isolated,
        layers: Sequence[Layer],
        batch: Batch,
        *,
        channels_last: bool,
        per_layer: bool,
        trainable: int,
        seed: int,
        tensors: int,
    ) -> None:
        """Take the net as `isolated` gives it."""
        self.module, self.modules, self.layers = isolated.module, isolated.modules, layers
        self.slots = Slots(isolated.modules, layers)
        self.channels_last, self.per_layer, self.trainable, self.seed = channels_last, per_layer, trainable, seed
        self.tensors = tensors
        self.mismatch: Failure | None = None
        self._isolated, self._batch = isolated, batch
        self.random_devices = random_devices(isolated.module)
        self._is_known = not may_keep_state(isolated.modules, batch)
        self._repeats = self._is_known
        self._hidden: dict[object, Sequence[str] | Failure] = {}
        self._first: tuple[Tensor, list[Scale]] | None = None
        self._scales: list[Scale] = []
        self._first_channels_last = channels_last
        self.copies: list[Tensor] = []
        self.first_flow: tuple[Callable[[], float], float] | None = None
        self.has_run = self._succeeded = False
        self._is_untouched = True
        self._broken: Failure | None = None
        self.is_plain = False

    def restart(self) -> None:
        """Put the net back to where the first pass began, with copies of its parameters in their places."""
        if not self._is_untouched:
            with torch.random.fork_rng(self.random_devices):
                self._isolated.restore()
                self._isolated.prepare()
        self._is_untouched = False  # from here on
        if self.copies:
            self.slots.installed = self.copies
            self.slots.reinstall()

    def begin_again(self) -> None:
        """`restart` with copies that need gradients."""
        self.restart()
        if not all(copy.requires_grad for copy in self.copies) or not self.copies:
            self.install()

    def install(self, *, gradients: bool = True) -> list[Tensor]:
        """Put new copies in the places of all parameters, and give those of the counted layers' places."""
        # Not views: a net that writes to its weights writes to these.
        self.copies = self.slots.install(
            lambda slot, _: nn.Parameter(slot.parameter.detach().clone(), requires_grad=gradients)
        )
        return [self.copies[index] for index in self.slots.counted]

    @contextmanager
    def redrawn(self, stand_in: Callable[[Slot], Tensor]) -> Iterator[None]:
        """Inside, passes compute with other parameters.

        Args:
            stand_in: the parameter to put into a place, which needs a gradient and which the net may write to.
        """
        self.require_repetition()  # which compares logits of the net's own parameters
        before = self.copies
        self.restart()
        try:
            self.copies = self.slots.install(lambda slot, _: stand_in(slot))
            yield
        finally:
            self.copies = before
            if not before:
                self.install()

    def forward(
        self,
        inputs: Inputs,
        hooks: Sequence[tuple[nn.Module, Hook]] = (),
        before: Sequence[tuple[nn.Module, Callable[[nn.Module, tuple[Any, ...]], Any]]] = (),
        *,
        calls: Sequence[tuple[nn.Module, CallHook]] = (),
        modes: Sequence[TorchFunctionMode] = (),
        fast: bool = False,
    ) -> Any:
        """Run the net on any inputs, from the state and the random numbers that the first pass began with.

        Args:
            inputs: each [N, ...], as a batch has them; the net gets a copy.
            hooks: forward hooks with the modules that they are for, for this pass alone; what they return is obeyed.
            before: the same of hooks that are called before their module.
            calls: the same of hooks behind a module that get its keyword arguments too.
            modes: that see the functions that run, the last one first.
            fast: images flow with their channels innermost where that is faster; the net's first derivatives alone
                exist then. Where it takes no such images, the pass begins again without.

        Returns:
            What the net returns, with its graph, whose leaves are the copies in `parameters`.

        Raises:
            ProxyError: the net gave other logits when it was run again, or raises whatever it gets.
        """
        self.require_repetition()
        self.begin_again()
        enough = fast and not self.is_plain and sample_count(inputs) >= _SAMPLES
        innermost = enough and any(map(suits, tensors_of(inputs)))
        rules = ChannelsLast() if innermost else None
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(self.random_devices))
            for mode in (*([rules] if rules else []), *modes):
                stack.enter_context(mode)
            for module, hook in hooks:
                stack.enter_context(module.register_forward_hook(hook))
            for module, see in calls:
                stack.enter_context(module.register_forward_hook(see, with_kwargs=True))
            for module, early in before:
                stack.enter_context(module.register_forward_pre_hook(early))
            try:
                output = self.call(mapped(partial(_copied, innermost=innermost), inputs))
            except Exception as error:
                if rules is None or not rules.is_to_blame(error):
                    raise
                self.is_plain, self._broken = True, None
                raise FormatError from error
        for mode in modes:
            self.require_sight(getattr(mode, "matters", Watching.matters))
        return output

    @property
    def parameters(self) -> list[Tensor]:
        """L leaves: what `forward` computes with in place of the counted layers' weights."""
        return self.slots.of_layers([self.copies[index] for index in self.slots.counted])

    def call(self, inputs: Inputs) -> Any:
        """Run the net as it stands, once more only if it did not raise of its own accord before.

        Raises:
            ProxyError: it did.
        """
        if self._broken is not None:
            raise self._broken.as_error()
        self.has_run, self._is_untouched = True, False
        try:
            output = call_net(self.module, inputs)
        except Exception as error:
            if not self._succeeded and is_nets_own(error):
                self._broken = describe(error)
            raise
        self._succeeded = True
        return output

    def forgive(self) -> None:
        """Let a net run again that raised: it may do better in another form."""
        self._broken = None

    @property
    def is_broken(self) -> bool:
        """Whether the net raised of its own accord when it was first run."""
        return self._broken is not None

    @contextmanager
    def surroundings(self, mode: TorchFunctionMode | None = None) -> Iterator[ExitStack]:
        """The random numbers that every pass begins with, and the rules of the memory format or another mode."""
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(self.random_devices))
            if mode is None and self.channels_last:
                mode = ChannelsLast()
            if mode is not None:
                stack.enter_context(mode)
            if not self._repeats:
                self._scales = stack.enter_context(hidden_scales(self.modules))
            yield stack

    def flowing(self, inputs: Inputs) -> Inputs:
        """A copy for the net: it may write to its input, and a leaf that needs a gradient cannot be written to."""
        return mapped(partial(_copied, innermost=self.channels_last), inputs)

    def logits(self, inputs: Inputs, rules: TorchFunctionMode | None = None) -> Tensor:
        """The logits of the minibatch once more, compared with the first; after `restart`.

        Args:
            inputs: the minibatch.
            rules: a mode that sees what the net calls; that of the memory format sees what this one calls.
        """
        with self.surroundings(), rules or nullcontext():
            logits = self._batch.found_logits(self.call(self.flowing(inputs)), sample_count(inputs))
        if not self._repeats:
            with outside_modes():  # a mode of the pass would take it for the net's
                self._compare(logits)
        return logits

    def note_first(self, logits: Tensor) -> None:
        """Keep the logits of the first pass, for comparison with those of later ones."""
        if not self._repeats and logits.is_floating_point():
            self._first, self._first_channels_last = (logits.detach().clone(), self._scales), self.channels_last

    def require_sight(self, matters: Sequence[str], find: Callable[[], Sequence[str]] | None = None) -> None:
        """Run a few samples forward, if the net may hide operations, and look for some that matter.

        Once for each way in which passes run the net: it may hide others in evaluation mode, or in float64.

        Args:
            matters: parts of their names (`Watching`).
            find: gives what is hidden in a pass that runs the net otherwise.

        Raises:
            ProxyError: some ran where what watches functions does not see them, or the net does not run so watched.
        """
        if self._is_known:
            return
        way = find is not None, tuple(module.training for module in self.modules)
        if way not in self._hidden:
            self._hidden[way] = (find or self._find_hidden)()
        hidden = self._hidden[way]
        if isinstance(hidden, Failure):
            raise hidden.as_error()
        if found := missed(hidden, matters):
            reason = (
                f"{found[0]} runs where it cannot be watched: in torch.jit's code, an extension or a custom operator"
            )
            raise Failure("refused", reason).as_error()

    def _find_hidden(self) -> list[str] | Failure:
        """Behind a pass, whose graph may hold what the net holds: all of it is put back as it was."""
        snapshot, copies = Snapshot(self.modules), self.copies
        try:
            self.install()
            with torch.random.fork_rng(self.random_devices):
                return self._watched(self._batch.tensors()[0])
        finally:
            snapshot.restore()
            self.copies = self.slots.installed = copies

    def _watched(self, inputs: Inputs) -> list[str] | Failure:
        def call(x: Inputs) -> Any:
            return call_net(self.module, mapped(Tensor.clone, x))

        with suppress(Exception):  # a net may take minibatches of one size alone
            return hidden_operations(partial(call, first_two(inputs)))
        try:
            return hidden_operations(partial(call, inputs))
        except Exception as error:
            return Failure("refused", f"where its operations are watched, the net raises {describe(error).reason}")

    def require_repetition(self) -> None:
        """Run forward once more and compare, unless it is known already that the net computes the same logits.

        Raises:
            ProxyError: it computes others.
        """
        if self.mismatch is not None:
            raise self.mismatch.as_error()
        if not self._repeats and self._first is not None:
            self.restart()
            with torch.no_grad():
                self.logits(self._batch.tensors()[0])

    def require_same_flow(self) -> None:
        """Compute the first value of synflow once more and compare, where there are no logits to compare.

        Raises:
            ProxyError: it is another.
        """
        if self._repeats or self._first is not None or self.first_flow is None:
            return
        again, first = self.first_flow
        value = again()
        if value != first and not math.isclose(value, first, rel_tol=1e-6) and not math.isnan(value + first):
            raise UNREPEATABLE.as_error()

    def repeats_its_first(self) -> bool:
        """Whether the net computes its first logits again in the memory format of that pass."""
        if self._repeats or self._first is None:
            return self._repeats
        found, self.mismatch, self.channels_last = self.mismatch, None, self._first_channels_last
        with suppress(Exception):  # a foreign net's
            self.require_repetition()
        self.mismatch = found
        return self._repeats

    def _compare(self, logits: Tensor) -> None:
        if self._first is None:
            return
        first, scales = self._first
        again = forward_ad.unpack_dual(logits).primal if has_tangent(logits) else logits  # type: ignore[no-untyped-call]
        rounding = _ROUNDING * torch.finfo(first.dtype).eps ** 0.5
        same = again.shape == first.shape and equal_to_rounding(first, again.detach())
        if not same or not equal_scales(scales, self._scales, rounding):
            self.mismatch = UNREPEATABLE
            raise UNREPEATABLE.as_error()
        self._repeats = True


def _copied(x: Tensor, *, innermost: bool) -> Tensor:
    """A copy, of images with the channels innermost if that is asked for."""
    return x.clone(memory_format=torch.channels_last if innermost and suits(x) else torch.preserve_format)


def evaluate(module: nn.Module, *_: Any) -> None:
    """A hook before a net: it runs in evaluation mode, until the next `restart`."""
    module.eval()


def may_keep_state(modules: Sequence[nn.Module], batch: Batch) -> bool:
    """Whether a forward pass runs code of the user's: only that may keep what no snapshot sees."""
    hooks = torch.nn.modules.module
    foreign = batch.logits is not find_logits or hooks._global_forward_hooks or hooks._global_forward_pre_hooks
    return bool(foreign) or not all(map(_is_known, modules))


def _is_known(module: nn.Module) -> bool:
    if not type(module).__module__.startswith(("torch.nn.", "zcfast.")):
        return False
    if module._forward_hooks or module._forward_pre_hooks:
        return False
    # An activation function, for one; objects that are called may hold anything.
    held = [value for value in vars(module).values() if callable(value)]
    return all(
        isinstance(value, _FUNCTIONS)
        and (getattr(value, "__module__", None) or "torch").partition(".")[0] in {"torch", "builtins"}
        for value in held
    )


def equal_to_rounding(a: Tensor, b: Tensor) -> bool:
    """Whether two results of one computation, in whatever memory format and order of sums, are the same."""
    finite = a.isfinite()
    if not torch.equal(finite, b.isfinite()) or not finite.any():
        return torch.equal(finite, b.isfinite())
    largest, eps = a[finite].abs().max(), torch.finfo(a.dtype).eps
    # What samples have in common, such as the classifier's bias, hides what another state does to the rest.
    spread = (a - a.mean(0))[finite].abs().max() if a.dim() and len(a) > 1 else largest
    return bool((a - b)[finite].abs().max() <= _ROUNDING * eps**0.5 * spread + 100 * eps * largest)
