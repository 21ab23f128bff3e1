"""The GPU's clocks, and what stands in for a GPU in a rehearsal."""

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch


class Card:
    """A GPU.

    Attributes:
        device: its name in PyTorch.
        repeats: of what is timed.
        flushed: bytes written before each, more than any second-level cache.
        copied: bytes that the copy moves to where they are read from nowhere else.
    """

    device = "cuda"
    repeats = 50
    flushed = 1 << 28
    copied = 1 << 30

    def synchronize(self) -> None:
        torch.cuda.synchronize()

    def is_lost(self) -> bool:
        """Whether an error of a kernel has ended the context: every later call would report the same."""
        try:
            self.synchronize()
        except RuntimeError:
            return True
        return False

    def microseconds(self, compute: Callable[[], Any]) -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        compute()
        end.record()
        end.synchronize()
        return 1e3 * begin.elapsed_time(end)

    def median_microseconds(self, compute: Callable[[], Any]) -> float:
        """Behind a write of more than the cache each time."""
        flush = torch.empty(self.flushed, dtype=torch.uint8, device=self.device)
        compute()
        times = []
        for _ in range(self.repeats):
            flush.zero_()
            times.append(self.microseconds(compute))
        return statistics.median(times)

    def graph_microseconds(self, compute: Callable[[], Any]) -> float:
        """Captured as a CUDA graph; an error if it synchronises or allocates behind the allocator's back."""
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            compute()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            compute()
        return self.median_microseconds(graph.replay)

    @functools.cached_property
    def copy_bandwidth(self) -> float:
        """Bytes a second, read and written, of the device's own copy."""
        source = torch.empty(self.copied, dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)
        return 2e6 * self.copied / self.median_microseconds(lambda: target.copy_(source))

    def seconds(self, compute: Callable[[], Any]) -> float:
        """Of the wall clock, until the device has done all of it."""
        self.synchronize()
        started = time.perf_counter()
        compute()
        self.synchronize()
        return time.perf_counter() - started


class StandIn(Card):
    """The pretended device of tests/devices, which the CPU computes: its times say nothing."""

    repeats = 1
    flushed = copied = 1 << 10

    def __init__(self) -> None:
        from tests.devices import pretend

        pretend.stand_in()
        self.device = pretend.NAME

    def synchronize(self) -> None:
        pass

    def microseconds(self, compute: Callable[[], Any]) -> float:
        return 1e6 * self.seconds(compute)

    def graph_microseconds(self, compute: Callable[[], Any]) -> float:
        return self.median_microseconds(compute)
