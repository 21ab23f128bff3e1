"""Forward passes of the minibatch through a net that holds stand-ins for its parameters."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from zcfast.tracing.batch import Batch
from zcfast.tracing.channels_last import ChannelsLast
from zcfast.tracing.embedding import EmbeddingTap, tapped_embedding
from zcfast.tracing.generators import random_devices
from zcfast.tracing.isolation import Isolated
from zcfast.tracing.layers import Layer
from zcfast.tracing.parameters import Slots
from zcfast.tracing.passes import Pass
from zcfast.tracing.recording import Recording, has_inplace_modules, recorded


class Forward:
    """Runs a net on minibatches, from the same random state each time, in the memory format that is fastest.

    Attributes:
        channels_last: the inputs have their channels innermost, and so has what the net makes of them; False leaves
            the format as the caller has it.
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
        self._has_run = False

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
            return self.batch.logits(self.net.module(self._flowing(inputs)))

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
