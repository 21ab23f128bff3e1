"""Scores architectures of a search space as sampled networks: real weights, a real minibatch."""

import hashlib
import inspect
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zcfast.devices import find_device
from zcfast.errors import integer, unknown
from zcfast.images import ImageBatch
from zcfast.nets.initialisation import initialisation as named_initialisation
from zcfast.proxies import Proxy, registered, resolve
from zcfast.scores import Scores
from zcfast.scoring import sharded
from zcfast.scoring.net import Score, score
from zcfast.scoring.sharded import Task
from zcfast.scoring.space import score_space
from zcfast.spaces import Cells, CellSpace, ClosedForm, as_space
from zcfast.spaces import space as named_space
from zcfast.spaces.forms import closed_forms
from zcfast.tracing.passes import FLOWS, Pass, describe


class ScoringInterrupted(KeyboardInterrupt):
    """Ctrl-C, with the scores of the architectures that were done, in the order in which they were asked for."""

    def __init__(self, scores: Scores) -> None:
        """Take the scores."""
        super().__init__(f"{len(scores)} architectures were scored")
        self.scores = scores


Images = ImageBatch | tuple[Tensor, Tensor]


def score_architectures(
    space: str | CellSpace[Any],
    proxies: Sequence[str | Proxy],
    cells: Cells,
    images: Images | None,
    *,
    seed: int = 0,
    device: str = "cpu",
    workers: int | None = None,
    parts: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Scores:
    """One row an architecture, each scored as it stands on a network with freshly drawn weights.

    The weights depend on the seed and the architecture's index in the space alone, so neither on the order nor on the
    other architectures. ``synflow`` is that of the network built without BatchNorm, whose mean over the weights is
    ``expected_synflow``; on NAS-Bench-201 its cells have biases. All other proxies take the network with BatchNorm.

    Args:
        space: the search space or its name.
        proxies: names of sampled proxies (zcfast.proxies), configured ones, and names of closed forms
            (as ``score_space`` takes them), which are computed without building a network.
        cells: the N valid architectures.
        images: the minibatch: inputs float [B, channels, H, W] with H = W, and targets int64 [B]. It sets the
            network's resolution and image_channels, and its classes if it says how many there are. None if no proxy
            reads images (``reads_images``).
        seed: of the weights.
        device: "cpu" or "cuda", where the networks run.
        workers: score in so many processes of one thread each, whose number changes no digit; 1 is this process, and a
            script with more needs ``if __name__ == "__main__"``. By default this process scores with torch's threads.
        parts: with workers, a directory that keeps what was scored: the same call goes on where a killed one ended.
        progress: called with the number of rows done and of all rows.
        options: of the network, ``initialisation`` and ``batch_norm`` as for ``space.build``.

    Returns:
        Scores with the columns of each proxy, float64, NaN where there is no score; ``reasons`` says why. The columns
        ``synflow`` and ``synflow_bn`` are natural logarithms, as ``expected_synflow`` is: -inf for a score of zero.

    Raises:
        ValueError: a wrong argument; a network that cannot be scored has a reason instead and the others go on.
        ScoringInterrupted: Ctrl-C after the first architecture; it has the scores so far.
    """
    space = space if isinstance(space, CellSpace) else named_space(space)
    if integer("seed", seed) < 0:
        raise ValueError(f"seed: expected a number >= 0, got {seed}")
    if workers is not None and integer("workers", workers) < 1:
        raise ValueError(f"workers: expected a number >= 1, got {workers}")
    if parts is not None and workers is None:
        raise ValueError("parts: no effect without workers")
    chosen = resolve_columns(space, proxies)
    sampled = {name: proxy for name, proxy in chosen.items() if proxy is not None}
    closed = [name for name in chosen if name not in sampled]
    initialisation = options.pop("initialisation", space.initialisation)
    batch_norm = options.pop("batch_norm", True)
    named_initialisation(initialisation)
    _check_batch_norm(batch_norm, closed)
    batch = _batch(images, reads_images(list(sampled.values())))
    network = _network_for(space, batch, options)
    own = {"initialisation": initialisation} if "expected_synflow" in closed else {}
    in_closed_form = score_space(space, closed, cells=cells, **network, **own)
    build = {"initialisation": initialisation, **network}
    groups = _groups(list(sampled.values()), batch_norm)
    run = _Run(space, groups, _tensors(space, batch, network, find_device(device)), seed, build)
    if workers is None or not sampled:
        scored = run.score(cells, progress)
    else:
        own_options = {"initialisation": initialisation, "batch_norm": batch_norm, **network}
        task = Task(space.name, tuple(sampled.values()), cells, batch, seed, device, own_options)
        scored = _in_shards(task, parts, workers, progress)
    order = [column for name, proxy in chosen.items() for column in _columns_of(closed_forms(space), name, proxy)]
    described = {name: _describe(proxy) for name, proxy in sampled.items()}
    protocol = {
        **in_closed_form.protocol,
        "initialisation": initialisation,
        "batch_norm": batch_norm,
        "seed": seed,
        "device": device,
        "images": None if batch is None else batch.protocol(),
        "columns": {name: described.get(name) or in_closed_form.protocol["columns"][name] for name in order},
    }
    found = {**{name: in_closed_form[name][scored.rows] for name in in_closed_form.columns}, **scored.columns}
    columns = {name: found[name] for name in order}
    scores = Scores(as_space(space), cells[scored.rows], columns, protocol, scored.reasons)
    if len(scores) < len(cells):
        raise ScoringInterrupted(scores)
    return scores


def resolve_columns(space: CellSpace[Any], proxies: Sequence[str | Proxy]) -> dict[str, Proxy | None]:
    """The labels of the proxies asked for and the sampled proxy of each, None for a closed form.

    Raises:
        ValueError: an unknown name, a column twice, or none.
    """
    if isinstance(proxies, str) or not isinstance(proxies, Iterable):
        raise ValueError(f"proxies: expected a list of names, got {proxies!r}")
    forms = closed_forms(space)
    names = list(dict.fromkeys([*forms, *registered()]))
    chosen: dict[str, Proxy | None] = {}
    taken: set[str] = set()
    for each in proxies:
        if isinstance(each, str) and each not in names:
            raise unknown("proxy", each, names)
        proxy = None if each in forms else resolve(each)
        name = str(each) if proxy is None else proxy.label
        for column in _columns_of(forms, name, proxy):
            if column in taken:
                raise ValueError(f"proxies: expected each once, got {column} twice")
            taken.add(column)
        chosen[name] = proxy
    if not chosen:
        raise ValueError("proxies: expected at least one, got none")
    return chosen


def _columns_of(forms: Mapping[str, ClosedForm], name: str, proxy: Proxy | None) -> list[str]:
    """The columns of a proxy that ``resolve_columns`` has found."""
    return [name] if proxy is not None else list(forms[name].columns)


def reads_images(proxies: Sequence[Proxy]) -> list[str]:
    """The labels of those sampled proxies that need a minibatch of images."""
    return [proxy.label for proxy in proxies if proxy.needs not in (Pass.NONE, *FLOWS)]


@dataclass(frozen=True)
class _Scored:
    """Sampled columns of those rows that are done: all but for Ctrl-C. Reasons of the columns that lack a score."""

    rows: Tensor
    columns: dict[str, Tensor]
    reasons: dict[str, list[str]]


def _in_shards(
    task: Task, parts: str | os.PathLike[str] | None, workers: int, progress: Callable[[int, int], None] | None
) -> _Scored:
    """Score by worker processes, through files of the directory, or of one for this call alone."""
    if parts is None:
        with tempfile.TemporaryDirectory(prefix="zcfast_") as temporary:
            return _in_shards(task, temporary, workers, progress)
    shards, directory = task.shards(), Path(parts)
    try:
        sharded.run(shards, directory, workers, progress)
    except KeyboardInterrupt:
        shards = sharded.finished(shards, directory)
        if not shards:
            raise
    loaded = [Scores.load(directory / shard.file_name) for shard in shards]
    rows = torch.cat([torch.arange(shard.start, shard.stop) for shard in shards])
    labels = [proxy.label for proxy in task.proxies]
    columns = {name: torch.cat([scores[name] for scores in loaded]) for name in labels}
    reasons = {
        name: [text for scores in loaded for text in scores.reasons.get(name, [""] * len(scores))] for name in labels
    }
    return _Scored(rows, columns, _missing(reasons))


def _missing(reasons: dict[str, list[str]]) -> dict[str, list[str]]:
    """The reasons of columns in which a score is missing."""
    return {name: texts for name, texts in reasons.items() if any(texts)}


@dataclass(frozen=True)
class _Run:
    """What every architecture is scored with: proxies by whether the network has BatchNorm, a minibatch, options."""

    space: CellSpace[Any]
    groups: dict[bool, list[Proxy]]
    batch: tuple[Tensor, Tensor]
    seed: int
    build: dict[str, Any]

    def score(self, cells: Cells, progress: Callable[[int, int], None] | None) -> "_Scored":
        """Score in this process; all rows but for Ctrl-C."""
        proxies = [proxy for group in self.groups.values() for proxy in group]
        columns = {proxy.label: torch.full((len(cells),), torch.nan, dtype=torch.float64) for proxy in proxies}
        reasons = {proxy.label: [""] * len(cells) for proxy in proxies}
        done = 0
        try:
            for row, index in enumerate(self.space.index(cells).tolist()):
                if progress:
                    progress(row, len(cells))
                for batch_norm, group in self.groups.items():
                    for name, (value, reason) in self.score_one(cells[row], index, batch_norm, group).items():
                        columns[name][row], reasons[name][row] = value, reason
                done = row + 1
        except KeyboardInterrupt:
            if done == 0:
                raise
        if progress and done == len(cells):
            progress(done, len(cells))
        columns = {name: column[:done] for name, column in columns.items()}
        return _Scored(torch.arange(done), columns, _missing({name: texts[:done] for name, texts in reasons.items()}))

    def score_one(
        self, cell: Cells, index: int, batch_norm: bool, proxies: list[Proxy]
    ) -> dict[str, tuple[float, str]]:
        """Score and reason of each proxy."""
        generator = torch.Generator().manual_seed(_seed_of(self.seed, index))
        try:
            module = self.space.build(cell, batch_norm=batch_norm, generator=generator, **self.build)
            scores = score(module.to(self.batch[0].device), self.batch, proxies)
        except Exception as error:  # one architecture's failure is not another's
            return {proxy.label: (float("nan"), f"failed: {describe(error).reason}") for proxy in proxies}
        return {name: (_number(each), _reason(each)) for name, each in scores.items()}


def _groups(proxies: list[Proxy], batch_norm: bool) -> dict[bool, list[Proxy]]:
    """Proxies by whether their network has BatchNorm."""
    without = [
        proxy for proxy in proxies if not batch_norm or proxy.needs in (Pass.LINEAR_FLOW, Pass.LINEAR_FLOW_SIGNED)
    ]
    groups = {True: [proxy for proxy in proxies if proxy not in without], False: without}
    return {has: group for has, group in groups.items() if group}


def _check_batch_norm(batch_norm: Any, closed: list[str]) -> None:
    if not isinstance(batch_norm, bool):
        raise ValueError(f"batch_norm: expected true or false, got {batch_norm!r}")
    for name in ("params", "path_statistics", "path_rank"):
        if not batch_norm and name in closed:
            raise ValueError(f"batch_norm: expected true, as {name} describes the network with BatchNorm, got false")


def _batch(images: Images | None, readers: list[str]) -> ImageBatch | None:
    """The minibatch, checked on its own."""
    if images is None:
        if readers:
            raise ValueError(f"images: expected a minibatch, which {', '.join(readers)} need, got none")
        return None
    batch = images if isinstance(images, ImageBatch) else ImageBatch(*_pair(images), None, {"images": "tensors"})
    inputs, targets = batch
    if inputs.dim() != 4 or inputs.shape[2] != inputs.shape[3] or not inputs.is_floating_point() or not len(inputs):
        raise ValueError(f"images: expected floats [B, channels, H, H], got {inputs.dtype} {list(inputs.shape)}")
    if targets.shape != inputs.shape[:1] or targets.dtype != torch.int64:
        raise ValueError(f"targets: expected int64 [{len(inputs)}], got {targets.dtype} {list(targets.shape)}")
    if not inputs.isfinite().all():
        raise ValueError("images: expected finite numbers, got NaN or infinity")
    return batch


def _pair(images: Any) -> tuple[Tensor, Tensor]:
    parts = images if isinstance(images, tuple | list) else (images,)
    if len(parts) != 2 or not all(isinstance(part, Tensor) for part in parts):
        came = ", ".join(type(part).__name__ for part in parts)
        raise ValueError(f"images: expected an ImageBatch or tensors (inputs, targets), got {came}")
    return parts[0], parts[1]


def _network_for(space: CellSpace[Any], batch: ImageBatch | None, options: dict[str, Any]) -> dict[str, Any]:
    """Options of the network that fits the images."""
    space.network_with(options)
    if batch is None:
        return options
    fitting = {"resolution": batch.inputs.shape[2], "image_channels": batch.inputs.shape[1]}
    if batch.classes is not None:
        fitting["classes"] = batch.classes
    for name, value in fitting.items():
        if options.get(name, value) != value:
            raise ValueError(f"{name}: expected {value}, that of the images, got {options[name]}")
    network = space.network_with({**options, **fitting})
    low, high = int(batch.targets.min()), int(batch.targets.max())
    if low < 0 or high >= network.classes:
        expected = f"targets below the number of classes, {network.classes}"
        raise ValueError(f"classes: expected {expected}, got targets from {low} to {high}")
    return {**options, **fitting}


def _tensors(
    space: CellSpace[Any], batch: ImageBatch | None, network: dict[str, Any], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Inputs and targets on the device; one sample of ones for proxies that take no more than its shape."""
    if batch is None:
        full = space.network_with(network)
        inputs = torch.ones(1, full.image_channels, full.resolution, full.resolution)
        return inputs.to(device), torch.zeros(1, dtype=torch.int64, device=device)
    return batch.inputs.to(device, torch.float32), batch.targets.to(device)


def _seed_of(seed: int, index: int) -> int:
    """A seed of its own for each architecture; neighbouring seeds and indices have nothing in common."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:8], "big")


def _number(each: Score) -> float:
    return each.value if each.log_value is None else each.log_value


def _reason(each: Score) -> str:
    return "" if each.status == "ok" else f"{each.status}: {each.reason}"


def _describe(proxy: Proxy) -> dict[str, str]:
    """Definition, unit and source of a column."""
    has_logarithm = type(proxy).log_value is not Proxy.log_value
    return {
        "definition": (inspect.getdoc(type(proxy)) or proxy.label).partition("\n")[0],
        "unit": "ln(score)" if has_logarithm else "score",
        "source": proxy.source,
    }
