"""One architecture of a space as a sampled network: what a worker does for each."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.nets.counted import COUNTABLE
from zcfast.nets.inputs import Inputs, mapped
from zcfast.passes.failures import describe
from zcfast.passes.layers import find_layers
from zcfast.proxies import Proxy
from zcfast.scoring.net import Score, no_layer, score
from zcfast.scoring.store import Row
from zcfast.spaces import Cells, SearchSpace


@dataclass(frozen=True, eq=False)
class Task:
    """Architectures and all that their scores depend on. Called with a row, it scores that one.

    Attributes:
        groups: proxies by whether their network has BatchNorm, None where the space does not ask.
        batch: inputs and targets, on the CPU.
        seed: of the weights, and of what proxies draw.
        device: where the networks run.
        build: options of ``space.build``.
        options: of ``score``.
        one_thread: whether to score on one thread of torch, as the number of threads moves the last digits.
    """

    space: SearchSpace[Any]
    cells: Cells
    groups: dict[bool | None, list[Proxy]]
    batch: tuple[Inputs, Tensor]
    seed: int
    device: torch.device
    build: dict[str, Any]
    options: dict[str, Any]
    one_thread: bool

    def __call__(self, row: int) -> Row:
        """Score and reason of each proxy."""
        cell = self.cells[row]
        scored: Row = {}
        seed = _seed_of(self.seed, self.space.seeds(cell)[0])
        inputs, targets = mapped(lambda x: x.to(self.device), self.batch[0]), self.batch[1].to(self.device)
        with _one_thread() if self.one_thread else nullcontext():
            for batch_norm, proxies in self.groups.items():
                generator = torch.Generator().manual_seed(seed)
                norm: dict[str, Any] = {} if batch_norm is None else {"batch_norm": batch_norm}
                try:
                    module = self.space.build(cell, generator=generator, **norm, **self.build).to(self.device)
                    able, unable = self._able(module, proxies)
                    scored |= unable
                    scores = score(module, (inputs, targets), able, seed=self.seed, **self.options) if able else {}
                except Exception as error:  # one architecture's failure is not another's
                    failed = f"failed: {describe(error).reason}"
                    scored |= {proxy.label: (math.nan, failed) for proxy in proxies}
                    continue
                scored |= {name: (_number(each), _reason(each)) for name, each in scores.items()}
        return scored

    def _able(self, module: nn.Module, proxies: list[Proxy]) -> tuple[list[Proxy], Row]:
        """The proxies that apply to a network, and why others do not: without layers there is none to sum over."""
        layers = self.options.get("layers", COUNTABLE)
        counts = any(isinstance(child, layers) for child in module.modules())
        counts = counts or bool(find_layers(module, layers))  # which says why a net cannot be read
        able = [proxy for proxy in proxies if counts or not proxy.sums_layers]
        return able, {each.label: (math.nan, f"failed: {no_layer(layers)}") for each in proxies if each not in able}


def groups(proxies: list[Proxy], batch_norm: bool | None) -> dict[bool | None, list[Proxy]]:
    """Proxies by whether their network has BatchNorm; None of a space that has networks of one kind."""
    if batch_norm is None:
        return {None: proxies} if proxies else {}
    without = [proxy for proxy in proxies if not batch_norm or proxy.network == "without BatchNorm"]
    groups = {True: [proxy for proxy in proxies if proxy not in without], False: without}
    return {has: group for has, group in groups.items() if group}


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seed_of(seed: int, key: str) -> int:
    """A seed of its own for each architecture; neighbouring seeds and keys have nothing in common."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8], "big")


def _number(each: Score) -> float:
    number = each.value if each.log_value is None else each.log_value
    return math.nan if math.isnan(number) else number  # one NaN of all, so that files are equal byte for byte


def _reason(each: Score) -> str:
    return "" if each.status == "ok" else f"{each.status}: {each.reason}"
