"""The global random generators, torch's, Python's and numpy's, from any of which a net may draw."""

import random
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


def random_devices(module: nn.Module) -> Sequence[torch.device]:
    """CUDA devices of a net, whose random generators a forward pass may advance."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return []
    tensors = [*module.parameters(), *module.buffers()]
    return sorted({tensor.device for tensor in tensors if tensor.device.type == "cuda"}, key=str)


class PythonGenerators:
    """The states of Python's and numpy's generators, to be put back: torch.random.fork_rng leaves them alone."""

    def __init__(self) -> None:
        """Note the states."""
        self._python = random.getstate()
        self._numpy_random: Any = sys.modules.get("numpy.random")  # nothing draws from what is not imported
        self._numpy = self._numpy_random.get_state() if self._numpy_random else None

    def restore(self) -> None:
        """Put the states back."""
        random.setstate(self._python)
        if self._numpy_random:
            self._numpy_random.set_state(self._numpy)
