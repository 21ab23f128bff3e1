"""A layer that counts the passes through it and can raise in each of them."""

from types import SimpleNamespace
from weakref import WeakKeyDictionary

import torch
import torch.nn as nn


class Trip(torch.autograd.Function):
    """The identity; raises where its trap is set."""

    @staticmethod
    def forward(ctx, x, trap):
        ctx.trap = trap
        trap.reach("forward", x)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        ctx.trap.reach("backward", gradient)
        return TripBackward.apply(gradient, ctx.trap), None


class TripBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gradient, trap):
        ctx.trap = trap
        return gradient.clone()

    @staticmethod
    def backward(ctx, gradient):
        ctx.trap.reach("double backward", gradient)
        return gradient.clone(), None


_MEMORIES = WeakKeyDictionary()  # what a module holds is put back


class Trap(nn.Module):
    """Springs at one stage, after `skip` times, `times` times."""

    def __init__(self, stage=None, error=RuntimeError, skip=0, times=10, dtype=None):
        super().__init__()
        self.plan = {"stage": stage, "error": error, "skip": skip, "times": times, "dtype": dtype}
        _MEMORIES[self] = SimpleNamespace(calls=0, stages=[])

    @property
    def memory(self):
        return _MEMORIES[self]

    def reach(self, stage, x):
        self.memory.stages.append(stage)
        if stage == self.plan["stage"] and self.plan["dtype"] in (None, x.dtype):
            self.memory.calls += 1
            if 0 < self.memory.calls - self.plan["skip"] <= self.plan["times"]:
                raise self.plan["error"]("sprung")

    def forward(self, x):
        return Trip.apply(x, self)
