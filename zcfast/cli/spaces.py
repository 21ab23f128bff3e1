"""`zcfast score SPACE`: parsing and printing only."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zcfast.cli import arguments, summaries, terminal
from zcfast.cli.arguments import (
    ArchitecturesOption,
    BatchSizeOption,
    DeviceOption,
    ImagesOption,
    NetworkOption,
    OutOption,
    ProxiesOption,
    SampleOption,
    SeedOption,
    SpaceArgument,
    TableOption,
    TopOption,
    WorkersOption,
)

if TYPE_CHECKING:
    from zcfast.images import ImageBatch
    from zcfast.proxies import Proxy
    from zcfast.scores import Scores
    from zcfast.scoring.store import Store
    from zcfast.spaces import Cells, SearchSpace

Progress = Callable[[int, int], None]

# Only to say how long a run would be that nobody has asked for: multiply-adds a second of one core in such networks.
RATE = 1e10

SCORE_EXAMPLES = """Examples:

    zcfast score nasbench101 --proxies expected_synflow,params --out s.parquet

    zcfast score nasbench201 --proxies flops --out s.parquet --table known.npz

    zcfast score nasbench101 --proxies params --out s.parquet --option modules=1

    zcfast score nasbench201 --proxies all --sample 1000 --images cifar10.npz --workers 4 --out s.parquet

    zcfast score nasbench201 --proxies snip,params --architectures list.txt --images random --out s.parquet"""


def score(
    space: SpaceArgument,
    out: OutOption,
    proxies: ProxiesOption,
    sample: SampleOption = None,
    architectures: ArchitecturesOption = None,
    images: ImagesOption = None,
    batch_size: BatchSizeOption = None,
    seed: SeedOption = None,
    device: DeviceOption = "cpu",
    workers: WorkersOption = None,
    table: TableOption = None,
    option: NetworkOption = None,
    top: TopOption = None,
) -> None:
    """Score architectures of a search space and write a Parquet file."""
    names, options = arguments.proxy_names(proxies), arguments.options(option or [])

    import zcfast
    from zcfast import tables
    from zcfast.files import check_writable
    from zcfast.scoring.store import Store

    check_writable(out, table, architectures, images)
    search_space = zcfast.space(space)
    accuracies = None if table is None else tables.load(search_space, table)
    cells = chosen_cells(search_space, sample, architectures, seed or 0)
    given = {"--images": images, "--batch-size": batch_size, "--device": None if device == "cpu" else device}
    given["--workers"] = workers
    given["--seed"] = seed if sample is None else None  # the sample takes it in any case
    flags = [flag for flag, value in given.items() if value is not None]
    target = out.resolve() if out.is_symlink() else out  # one file by several names is one run's
    parts = target.with_name(target.name + ".parts")
    sampling = _Sampling(images, batch_size or 64, seed or 0, device, workers or _workers(cells, device), flags)
    compute = _computation(search_space, names, cells, options, sampling)
    started = time.perf_counter()
    with Store(parts) as store:
        scores = _computed(compute, search_space.title, store)
        seconds = time.perf_counter() - started
        scores.save(out)
        others = store.clear()
    if others:
        terminal.say(f"{others} files of other runs, or set aside, stay in {parts}")
    made = len(scores) - sampling.found
    rate = made / seconds
    terminal.say(f"{made:,} cells in {seconds:.2f} s: {rate:,.{0 if rate >= 10 else 2}f} cells/s")
    terminal.say(f"written to {out}")
    summaries.scores(scores, accuracies, top)


def _computed(compute: Callable[[Store, Progress], Scores], title: str, store: Store) -> Scores:
    """The scores, and what is kept of them where they are interrupted."""
    from zcfast.scoring.architectures import ScoringInterrupted

    try:
        with terminal.progress_bar(f"Scoring {title}") as progress:
            return compute(store, progress)
    except ScoringInterrupted as interrupted:
        kept = f"{len(interrupted.scores):,} architectures are kept in {store.given}"
        terminal.say(f"{kept}: the same command goes on from there")
        raise


@dataclass
class _Sampling:
    """The options that only sampled proxies take.

    Attributes:
        given: the flags of those that the user set.
        found: how many architectures an earlier run had scored.
    """

    images: str | None
    batch_size: int
    seed: int
    device: str
    workers: int
    given: list[str]
    found: int = 0

    def announcing(self, store: Store, progress: Progress) -> Progress:
        """The same progress, whose first call, of what was found in the store, is told in words too."""
        calls = itertools.count()

        def report(done: int, total: int) -> None:
            if next(calls) == 0 and done:
                self.found = done
                terminal.say(f"{done:,} of {total:,} architectures are in {store.given} from an earlier run")
            progress(done, total)

        return report


def _workers(cells: Cells | None, device: str) -> int:
    """As many as torch would have threads, if each has ten architectures or more: its imports take seconds."""
    import torch

    return 1 if cells is None or device != "cpu" else max(1, min(torch.get_num_threads(), len(cells) // 10))


def chosen_cells(space: SearchSpace[Any], sample: int | None, architectures: Path | None, seed: int) -> Cells | None:
    """The architectures asked for; None for all."""
    import torch

    from zcfast.spaces import Enumerated
    from zcfast.spaces.listing import read_architectures

    if sample is not None and architectures is not None:
        raise ValueError("--sample: expected it or --architectures, got both")
    if architectures is not None:
        return read_architectures(space, architectures)
    if sample is None:
        return None
    listed = space.offers(Enumerated)
    if listed is not None and sample > len(listed):
        raise ValueError(f"--sample: expected at most {len(listed)} architectures, the size of the space, got {sample}")
    cells: Cells = space.sample_distinct(sample, torch.Generator().manual_seed(seed))
    return cells


def _computation(
    space: SearchSpace[Any], names: list[str], cells: Cells | None, options: dict[str, Any], sampling: _Sampling
) -> Callable[[Store, Progress], Scores]:
    """What makes the scores, with all that can be wrong before the first of them found out."""
    import zcfast
    from zcfast.errors import unknown
    from zcfast.scoring.architectures import reads_images, resolve_columns, score_architectures
    from zcfast.scoring.space import own_options

    forms = own_options(space)
    known = dict.fromkeys([*space.options, "initialisation", *forms])
    for key in options:
        if key not in known:
            raise unknown("option", key, known)
    sampled = [proxy for proxy in resolve_columns(space, names).values() if proxy is not None]
    if not sampled:
        for flag in sampling.given:
            raise ValueError(f"{flag}: no effect on {', '.join(names)}")
        return lambda _, progress: zcfast.score_space(space, names, cells=cells, progress=progress, **options)
    network = {key: value for key, value in options.items() if key not in (*forms, "initialisation", "batch_norm")}
    if cells is None:
        took = _duration(space, network, sampling.batch_size, sampled)
        labels = ", ".join(proxy.label for proxy in sampled)
        expected = f"expected one of them for {labels}, which build every network"
        raise ValueError(f"--sample N or --architectures FILE: {expected}{took}")
    readers = reads_images(sampled)
    if readers and sampling.images is None and space.minibatch is None:
        raise ValueError(f"--images: expected a path, or 'random' for noise, for {', '.join(readers)}, got none")
    batch = None
    if sampling.images is not None:
        batch = minibatch(space, network, sampling.images, sampling.batch_size, sampling.seed)
    return lambda store, progress: score_architectures(
        space,
        names,
        cells,
        batch,
        seed=sampling.seed,
        device=sampling.device,
        workers=sampling.workers,
        parts=store,
        progress=sampling.announcing(store, progress),
        **options,
    )


def minibatch(space: SearchSpace[Any], network: dict[str, Any], images: str, batch_size: int, seed: int) -> ImageBatch:
    """What --images names: a file's pictures, or noise of the network's size."""
    from zcfast.images import load_images, random_images
    from zcfast.spaces import CellSpace

    if images != arguments.RANDOM:
        return load_images(images, batch_size, seed)
    if not isinstance(space, CellSpace):
        raise ValueError(f"--images: expected none, or a path, as {space.name} has an example of its own, got 'random'")
    full = space.network_with(network)
    shape = (full.image_channels, full.resolution, full.resolution)
    return random_images(batch_size, shape, full.classes, seed)


def _duration(space: SearchSpace[Any], network: dict[str, Any], batch_size: int, proxies: list[Proxy]) -> str:
    """A rough time for the whole space on one core, in words; nothing for a space that cannot tell."""
    from zcfast.passes.base import with_requirements
    from zcfast.spaces import Enumerated, Sizes

    if not isinstance(space, Enumerated) or not isinstance(space, Sizes):  # sizes by formulas alone: others take long
        return ""

    passes = batch_size * sum(each.cost for each in with_requirements(p for proxy in proxies for p in proxy.needs))
    flops = space.flops(space.enumerate(), **network).double().sum().item()
    hours = flops * max(passes, 10) / RATE / 3600  # synflow has one image, in float64
    took = f"{hours / 24:,.0f} days" if hours >= 48 else f"{max(hours, 0.1):.1f} hours"
    return f": all {len(space):,} would take about {took} of one core"
