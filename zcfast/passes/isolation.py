"""Runs a net and gives it back as it was."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from zcfast.errors import first_line
from zcfast.passes.failures import describe
from zcfast.passes.generators import GlobalState, random_devices
from zcfast.passes.slots import expose_parametrized
from zcfast.passes.snapshot import Snapshot


class Isolated:
    """A net in the state from which passes start, which has the caller's state back on leaving `isolated`.

    Parameters are put back as objects, not copied: whoever runs a net that might write to them installs stand-ins.

    Attributes:
        module: the net.
        modules: all its modules: listing them takes as long as running a small net.
    """

    def __init__(self, module: nn.Module, *, train: bool, parameters: bool = False) -> None:
        """Note every attribute, hook, mode and buffer of all modules, and the random state; see `isolated`."""
        self.module, self.train = module, train
        self.modules: Sequence[nn.Module] = list(module.modules())
        written = parameters or (train and any(map(_has_own_train, self.modules)))
        self._snapshot = Snapshot(self.modules, parameters=written)
        self._globals = GlobalState()

    def prepare(self) -> None:
        """Put the net in the mode that is asked for, and what its parametrizations give in their place.

        Raises:
            ValueError: the net's own train() or a parametrization raised.
        """
        if self.train:
            try:
                self.module.train()  # always: nets that keep parts in evaluation mode do so in theirs
            except Exception as error:  # a foreign method: what it raises is the answer
                raise ValueError(f"module: train() raised {describe(error).reason}") from error
        self._copy_inference_buffers()
        expose_parametrized(self.modules)

    def _copy_inference_buffers(self) -> None:
        """Put copies in place of buffers made in inference mode, which nothing outside of it may write to."""
        copies: dict[int, Tensor] = {}
        for child in self.modules:
            for name, buffer in child._buffers.items():
                if buffer is not None and buffer.is_inference():
                    child._buffers[name] = copies.setdefault(id(buffer), buffer.clone())

    def restore(self) -> None:
        """Put the caller's state back. What refuses to be put back is told by a warning, and all else comes back."""
        try:
            raised = self._snapshot.restore()
        except BaseException:  # an interrupt may have come in the middle of it
            self._snapshot.restore()
            raise
        finally:
            self._globals.restore()
        for error in raised:
            told = f"{type(error).__name__}: {first_line(error)}"
            warnings.warn(f"module: a part of its state could not be put back: {told}", RuntimeWarning, stacklevel=2)


def _has_own_train(module: nn.Module) -> bool:
    """Whether train() may write to parameters, as that of layers does which merge two into one for evaluation."""
    return "train" in vars(module) or type(module).train is not nn.Module.train


@contextmanager
def isolated(module: nn.Module, *, train: bool, parameters: bool = False) -> Iterator[Isolated]:
    """Run a net from the caller's state - mode, buffers, random generators - and leave that state untouched.

    Gradients are enabled inside even where the caller has disabled them.

    Args:
        module: the net.
        train: put it in training mode.
        parameters: copy its parameters' numbers too, for code that may write to them.
    """
    net = Isolated(module, train=train, parameters=parameters)
    with ExitStack() as stack:
        stack.callback(net.restore)
        stack.enter_context(torch.random.fork_rng(random_devices(module)))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and the import takes seconds
            # A compiled net would be compiled again for each kind of stand-in, and most have no second derivative.
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        net.prepare()
        yield net
