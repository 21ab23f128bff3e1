"""The global random generators, torch's, Python's and numpy's, from any of which a net may draw."""

import contextvars
import pickle
import random
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import nn


def random_devices(module: nn.Module) -> Sequence[torch.device]:
    """CUDA devices of a net, whose random generators a forward pass may advance."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return []
    tensors = [*module.parameters(), *module.buffers()]
    return sorted({tensor.device for tensor in tensors if tensor.device.type == "cuda"}, key=str)


class Generators:
    """The states of the global generators, to see whether something draws."""

    def __init__(self) -> None:
        """Note them."""
        self._states = _states()

    def have_moved(self) -> bool:
        """Whether one has another state."""
        return _states() != self._states


def _states() -> list[Any]:
    tensors = [torch.get_rng_state()]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        tensors += torch.cuda.get_rng_state_all()
    numpy_random: Any = sys.modules.get("numpy.random")  # nothing draws from what is not imported
    numpy_state = pickle.dumps(numpy_random.get_state()) if numpy_random else None
    return [*(each.tolist() for each in tensors), random.getstate(), numpy_state]


class GlobalState:
    """What nets change in the whole process, to be put back: random generators, of which torch.random.fork_rng forks
    only its own, the default data type, whether algorithms are deterministic, and context variables.
    """

    def __init__(self) -> None:
        """Note the states."""
        self._python = random.getstate()
        self._numpy_random: Any = sys.modules.get("numpy.random")  # nothing draws from what is not imported
        self._numpy = self._numpy_random.get_state() if self._numpy_random else None
        self._dtype = torch.get_default_dtype()
        self._deterministic = torch.get_deterministic_debug_mode()
        self._context = contextvars.copy_context()

    def restore(self) -> None:
        """Put the states back."""
        random.setstate(self._python)
        if self._numpy_random:
            self._numpy_random.set_state(self._numpy)
        if torch.get_default_dtype() is not self._dtype:
            torch.set_default_dtype(self._dtype)
        if torch.get_deterministic_debug_mode() != self._deterministic:
            torch.set_deterministic_debug_mode(self._deterministic)
        for variable, value in contextvars.copy_context().items():
            with suppress(LookupError):  # it had no value, and nothing takes one away
                before = self._context.run(variable.get)
                if before is not value:
                    variable.set(before)
