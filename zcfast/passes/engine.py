"""Runs the passes that proxies need, each once, and hands out their results."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError

from zcfast.nets.counted import trainable
from zcfast.nets.inputs import tensors_of
from zcfast.passes.base import Pass, Results, with_requirements
from zcfast.passes.batch import Batch
from zcfast.passes.cpu_backend.channels_last import suits
from zcfast.passes.failures import Failure, ProxyError, WrongArgumentError, describe
from zcfast.passes.forward import Forward, SharedForward
from zcfast.passes.isolation import isolated
from zcfast.passes.layers import Layer
from zcfast.passes.net import FormatError, Net
from zcfast.passes.observation import is_own
from zcfast.passes.snapshot import Snapshot
from zcfast.passes.weights import Weights, WeightsOfNet


class Consumer(Protocol):
    """What needs passes: a proxy."""

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """The passes whose results it reads."""


C = TypeVar("C", bound=Consumer)
T = TypeVar("T")
Finish = Callable[[C, Results | Failure, float], T]


def run_passes(
    module: nn.Module,
    layers: Sequence[Layer],
    batch: Batch,
    consumers: Sequence[C],
    finish: Finish[C, T],
    *,
    train: bool,
    per_layer: bool,
    seed: int,
) -> list[T]:
    """Run each pass once and leave the net as it was, also after an exception.

    A result is handed out as soon as it is there, and given up as soon as nothing needs it. What is not of this package
    comes last, so that what it does moves no value of the others.

    Args:
        module: the net.
        layers: the counted layers, of find_layers.
        batch: the minibatch.
        consumers: what is to be served.
        finish: from a consumer, the results of the passes that it needs, or why there are none, and the seconds that
            all of them took, to what is to be returned for it. It may be called again for the same consumer.
        train: put the net in training mode; False leaves every submodule in the mode it is in.
        per_layer: whether shares of layers will be asked for.
        seed: of the random numbers that passes draw.

    Raises:
        TypeError, ValueError: an argument that shows itself as wrong during the run.
    """
    passes = with_requirements(which for consumer in consumers for which in consumer.needs)
    numbers = trainable(module) if Weights in passes else 0
    tensors = sum(1 for _ in module.parameters()) if Weights in passes else 0

    if passes == [Weights] and all(isinstance(layer.module._parameters.get("weight"), Tensor) for layer in layers):
        given = Results({Weights: WeightsOfNet([layer.weight.detach() for layer in layers], numbers, tensors)})
        if all(is_own(type(consumer)) for consumer in consumers):  # nothing runs that could change the net
            return [finish(consumer, given, 0.0) for consumer in consumers]
    foreign = not all(map(is_own, [*passes, *map(type, consumers)]))

    def attempt(*, channels_last: bool, again: bool) -> _Run[C, T]:
        with isolated(module, train=train, parameters=foreign) as started:
            form = {"channels_last": channels_last, "per_layer": per_layer}
            net = Net(started, layers, batch, **form, trainable=numbers, tensors=tensors, seed=seed)
            run = _Run(net, batch, passes, consumers, finish)
            run.whole(again=again)
            # What another run begins with must not be what this one has left where nothing sees it.
            run.fails_by_format = (run.was_checkpointed or net.mismatch is not None) and net.repeats_its_first()
            return run

    suited = Forward in passes and any(map(suits, tensors_of(batch.inputs)))
    run = attempt(channels_last=suited, again=False)
    if suited and run.fails_by_format:
        # Backward passes run checkpointed parts again, without the rules of channels_last, and find other tensors. And
        # a net may draw random numbers in the order of memory, which second passes can have another of.
        other = attempt(channels_last=False, again=True)
        if run.was_checkpointed or other.net.mismatch is None:
            run = other
    return [run.outcomes[place] for place in range(len(consumers))]


class _Run(Generic[C, T]):
    """One run of the passes, in one memory format."""

    def __init__(
        self, net: Net, batch: Batch, passes: list[type[Pass]], consumers: Sequence[C], finish: Finish[C, T]
    ) -> None:
        self.net, self.batch, self.consumers, self.finish = net, batch, consumers, finish
        shared = any(Forward in which.requires for which in passes)  # else it is there for counts, not for numbers
        self.passes = sorted(passes, key=lambda which: _place_of(which, shared=shared))
        self.results = Results()
        self.failures: dict[type[Pass], Failure] = {}
        self.seconds: dict[type[Pass], float] = {}
        self.outcomes: dict[int, T] = {}
        self.was_checkpointed = self.fails_by_format = False
        self.forward = Forward()

    def whole(self, *, again: bool) -> None:
        """Run the passes and serve the consumers, those of the user's behind all others."""
        made = self.make()
        own = [which for which in self.passes if is_own(which)]
        for which in own:
            self.step(which, made)
        self.serve(own=True)
        for which in self.passes[len(own) :]:
            self.step(which, made)
        self.serve(own=False)
        self.check_repetition(again=again)

    def make(self) -> dict[type[Pass], Pass]:
        """The passes, once they have said what they need of the shared forward pass."""
        made: dict[type[Pass], Pass] = {Forward: self.forward}
        for which in self.passes:
            if which is Forward:
                continue
            with self.guard(which), self.kept_apart(which, Results()):
                made[which] = which()
                if Forward in which.requires:
                    self.forward.observation.observer = which
                    made[which].observe(self.forward.observation)
        return made

    def step(self, which: type[Pass], made: dict[type[Pass], Pass]) -> None:
        """Run a pass, and serve those of this package whose results are there then."""
        with self.guard(which):
            for required in which.requires:
                if required in self.failures:
                    raise self.failures[required].as_error()
            if which in self.failures:
                return
            done = Results({required: self.results[required] for required in which.requires})
            with self.kept_apart(which, done):
                try:
                    self.results[which] = made[which].run(self.net, self.batch, done)
                except FormatError:
                    made[which] = which()
                    self.results[which] = made[which].run(self.net, self.batch, done)
        if which is Forward:
            self.failures.update(self.forward.observation.failures)
        shared = self.results.get(Forward)
        if isinstance(shared, SharedForward):
            shared.users.discard(which)
            shared.users.difference_update(self.failures)
        self.serve(own=True)
        self.give_up()

    @contextmanager
    def guard(self, which: type[Pass]) -> Iterator[None]:
        """Time a pass, and record its exception in place of letting it end the others."""
        start = time.perf_counter()
        try:
            yield
        except WrongArgumentError:
            raise
        except Exception as error:  # whatever a foreign net raises is that net's result
            self.failures[which] = describe(error)
            self.was_checkpointed |= isinstance(error, CheckpointError)
        finally:
            self.seconds[which] = self.seconds.get(which, 0.0) + time.perf_counter() - start

    @contextmanager
    def kept_apart(self, kind: type, given: Results) -> Iterator[None]:
        """Undo what a pass or a proxy of the user's does to the net, to the results and to the process."""
        if is_own(kind):
            yield
            return
        self.net.begin_again()
        held = nn.Module()
        held.__dict__["all"] = [given, self.net.copies, self.batch.inputs, self.batch.targets]
        snapshot = Snapshot([held])
        with ExitStack() as stack:
            stack.callback(self.net.restart)
            stack.callback(snapshot.restore)
            stack.enter_context(torch.random.fork_rng(self.net.random_devices))
            stack.enter_context(torch.enable_grad())
            yield

    def serve(self, *, own: bool) -> None:
        """Hand out the results of those consumers that wait for no other pass."""
        ended = self.results.keys() | self.failures.keys()
        for place, consumer in enumerate(self.consumers):
            if place in self.outcomes or is_own(type(consumer)) is not own or not ended.issuperset(consumer.needs):
                continue
            self.outcomes[place] = self.outcome(consumer)

    def outcome(self, consumer: C) -> T:
        """What a consumer makes of its results, or of the failure of a pass that it builds on."""
        needs = with_requirements(consumer.needs)
        seconds = sum(self.seconds.get(which, 0.0) for which in needs)
        failure = next((self.failures[which] for which in needs if which in self.failures), None)
        if failure is not None:
            return self.finish(consumer, failure, seconds)
        given = Results({which: self.results[which] for which in consumer.needs})
        with self.kept_apart(type(consumer), given):
            return self.finish(consumer, given, seconds)

    def give_up(self) -> None:
        """Let go of results that nothing needs any more: those of forward passes hold the graph."""
        waiting = [which for which in self.passes if which not in self.results and which not in self.failures]
        needed = {required for which in waiting for required in which.requires}
        for place, consumer in enumerate(self.consumers):
            if place not in self.outcomes:
                needed.update(consumer.needs)
        for which in self.results:
            if which not in needed:
                self.results[which] = None

    def check_repetition(self, *, again: bool) -> None:
        """Where the net's first forward pass is not the one that counts, the net must compute the same in one more."""
        if Forward not in self.results or not (again or self.forward.retried):
            return
        with suppress(ProxyError):
            self.net.require_repetition()
        if self.net.mismatch is not None:
            self.failures[Forward] = self.net.mismatch
            for place, consumer in enumerate(self.consumers):
                if Forward in with_requirements(consumer.needs):
                    self.outcomes[place] = self.outcome(consumer)


def _place_of(which: type[Pass], *, shared: bool) -> tuple[bool, bool, int, float]:
    """Passes of the user's last; in front of others those of a shared forward pass, whose graph then goes."""
    requirements = with_requirements([which])
    return not is_own(which), not (shared and Forward in requirements), _depth(which), which.cost


def _depth(which: type[Pass]) -> int:
    return 1 + max(map(_depth, which.requires), default=0)
