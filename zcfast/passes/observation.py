"""What passes ask to see of the shared forward pass."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.passes.failures import Failure, ProxyError, describe
from zcfast.passes.generators import GlobalState
from zcfast.passes.net import Net
from zcfast.passes.pulls import Pulls
from zcfast.passes.rectifiers import RectifierCall, SeeRectifiers
from zcfast.torch_internals import outside_modes, outside_transforms


@dataclass
class _Watcher:
    owner: type
    function: Callable[[Any], Any]
    kinds: tuple[type[nn.Module], ...]  # none: rectifiers are watched
    calls: bool = False  # of rectifiers, the calls themselves
    seen: list[Any] = field(default_factory=list)


class Observation:
    """The wishes of passes, which they tell in `observe` by calling this.

    Attributes:
        observer: the class of the pass whose wishes come.
        users: passes that take derivatives of the graph and have not run yet.
        takes_inputs: those of them that take derivatives by the inputs.
        keeps_outputs: whether outputs of the counted layers are kept.
        pulls: derivatives by the inputs of rectifiers, one for each time that a pass asked for them.
        failures: passes whose wishes could not be met.
        sees_rectifiers: passes that must not miss a rectifier.
    """

    def __init__(self) -> None:
        """Begin without wishes."""
        self.observer: type = object
        self.users: set[type] = set()
        self.takes_inputs: set[type] = set()
        self.sees_rectifiers: set[type] = set()
        self.keeps_outputs = False
        self.failures: dict[type, Failure] = {}
        self.pulls: list[Pulls] = []
        self._watchers: list[_Watcher] = []

    def need_gradients(self) -> None:
        """Derivatives of the output by the counted weights will be taken."""
        self.users.add(self.observer)

    def need_input_gradients(self) -> None:
        """Derivatives of the output by the inputs will be taken, of tokens by the output of their embedding."""
        self.users.add(self.observer)
        self.takes_inputs.add(self.observer)

    def keep_outputs(self) -> None:
        """Keep the outputs of the counted layers, at which derivatives of the loss will be taken."""
        self.keeps_outputs = True

    def watch(self, function: Callable[[Tensor], Any], *kinds: type[nn.Module]) -> list[Any]:
        """Call a function on the output of each module of some kinds whenever it runs.

        Args:
            function: of a copy of the output, in order in memory, without a graph. It cannot change what flows on;
                where it raises, the pass that asked for it fails.
            kinds: of modules, derived ones included.

        Returns:
            A list that holds, once the forward pass has run, what the function returned, in order of execution.
        """
        return self._begin(_Watcher(self.observer, function, kinds))

    def watch_rectifiers(self, function: Callable[[Tensor], Any]) -> list[Any]:
        """`watch` for the outputs of all activations that switch at zero, modules and functions (`SeeRectifiers`)."""
        self.sees_rectifiers.add(self.observer)
        return self._begin(_Watcher(self.observer, function, ()))

    def watch_calls(self, function: Callable[[RectifierCall], Any]) -> list[Any]:
        """`watch_rectifiers` for the calls, without a copy: the function must not write to their tensors."""
        self.sees_rectifiers.add(self.observer)
        return self._begin(_Watcher(self.observer, function, (), calls=True))

    def pull_rectified(self, function: Callable[[Tensor], Any]) -> Pulls:
        """Call a function on the derivative of the loss by what each rectifier gets, through that call alone.

        It holds, once `LossGradient` has run, what the function returned, in the order of `watch_calls`. A function
        of the user's gets a copy, in order in memory.
        """
        self.sees_rectifiers.add(self.observer)
        self.pulls.append(Pulls(function if is_own(self.observer) else partial(_on_copy, self.observer, function)))
        return self.pulls[-1]

    def _begin(self, watcher: _Watcher) -> list[Any]:
        self._watchers.append(watcher)
        return watcher.seen

    def give_up_inputs(self, failure: Failure) -> None:
        """Refuse derivatives by the inputs: the net takes none that need a gradient."""
        self.failures.update(dict.fromkeys(self.takes_inputs, failure))
        self.users -= self.takes_inputs
        self.takes_inputs = set()

    def give_up_watching(self, owners: set[type], failure: Failure) -> None:
        """Let some passes watch no more."""
        self.failures.update(dict.fromkeys(owners, failure))

    @property
    def watching(self) -> set[type]:
        """The passes that watch."""
        return {watcher.owner for watcher in self._watchers} - set(self.failures)

    @contextmanager
    def watched(self, net: Net) -> Iterator[None]:
        """Watch a forward pass from its beginning."""
        for pulls in self.pulls:
            pulls.clear()
        with ExitStack() as stack:
            for watcher in self._watchers:
                watcher.seen.clear()
                for module in net.modules if watcher.owner in self.watching else ():
                    if isinstance(module, watcher.kinds):
                        # Hooks of the caller's may change the output.
                        hook = partial(self._see_module, watcher, net)
                        stack.enter_context(module.register_forward_hook(hook, prepend=True))
            activations = [each for each in self._watchers if not each.kinds and each.owner in self.watching]
            if activations or self.pulls:
                stack.enter_context(SeeRectifiers(partial(self._see_rectifier, activations, net)))
            yield

    def _see_module(self, watcher: _Watcher, net: Net, module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            self._see(watcher, net, type(module).__name__, output)

    def _see_rectifier(self, watchers: list[_Watcher], net: Net, call: RectifierCall) -> None:
        for pulls in self.pulls:
            pulls.attach(call)
        for watcher in watchers:
            self._see(watcher, net, "activation", call.output, call)

    def _see(self, watcher: _Watcher, net: Net, what: str, output: Tensor, call: RectifierCall | None = None) -> None:
        if watcher.owner in self.failures:
            return
        try:
            if outside_transforms(output) is not output:
                raise ProxyError("refused", f"a {what} runs inside torch.func.vmap or the like")
            with outside_modes(), torch.no_grad(), _undisturbed(watcher.owner, net.random_devices):
                copy = None if watcher.calls else output.detach().clone(memory_format=torch.contiguous_format)
                watcher.seen.append(watcher.function(call if watcher.calls else copy))
        except Exception as error:  # the net and the other passes go on
            self.failures[watcher.owner] = describe(error)


def _on_copy(owner: type, function: Callable[[Tensor], Any], gradient: Tensor) -> Any:
    copy = gradient.detach().clone(memory_format=torch.contiguous_format)
    with _undisturbed(owner, [gradient.device] if gradient.is_cuda else []):
        return function(copy)


@contextmanager
def _undisturbed(owner: type, devices: Sequence[torch.device]) -> Iterator[None]:
    """Put random generators back behind a function of the user's: the net draws from them too."""
    if is_own(owner):
        yield
        return
    state = GlobalState()
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            state.restore()


def is_own(kind: type) -> bool:
    """Whether a class of passes or proxies is of this package, so that it changes nothing that it is given."""
    return kind.__module__.partition(".")[0] == "zcfast"
