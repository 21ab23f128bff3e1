"""What every table needs: accuracies, closed forms of a whole space, and scores of a sample."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

import zcfast
from reproduction.benchmarks import CLOSED, SAMPLED, Benchmark
from reproduction.store import Protocol, ScoreStore
from zcfast.scoring import Store
from zcfast.spaces import CellSpace, Neighbours
from zcfast.spaces import space as named_space
from zcfast.tables import Table, load

BATCH_SIZE = 64
Made = TypeVar("Made")


@dataclasses.dataclass(frozen=True)
class Sample:
    """Scores of architectures drawn uniformly, as far as there are any.

    Attributes:
        rows: int64 [n] in the space; the first n of the draw, so again a uniform draw.
        columns: proxy -> float64 [n].
        reason: why n is less than was asked for; "" where it is not.
    """

    rows: Tensor
    columns: dict[str, Tensor]
    reason: str


class Context:
    """The options of one run, and what tables share.

    Args:
        data: directory of accuracies and pictures.
        scores: file or directory of scores that were made before, or None.
        new_scores: directory for scores and searches that are made now; its files are read, too.
        sample, seed: how many architectures of sampled proxies, and the seed of their draw, of the weights, of the
            minibatch and of searches.
        workers: processes that score what is missing; 0 scores nothing. Searches run in this process.
        progress: called with the number of architectures scored, or of searches, done and of all.

    Errors: ValueError for a directory of data that is not there and for a damaged file.
    """

    def __init__(
        self,
        data: Path,
        *,
        scores: Path | None = None,
        new_scores: Path,
        sample: int = 1500,
        seed: int = 0,
        workers: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Check the directories and read the scores."""
        if not data.is_dir():
            raise ValueError(f"{data}: expected a directory of accuracies and pictures, got none")
        if scores is not None and not scores.exists():
            raise ValueError(f"{scores}: expected a file or a directory of scores, got none")
        self.data, self.sample, self.seed, self.workers, self.progress = data, sample, seed, workers, progress
        self.store = ScoreStore(scores, own=new_scores)
        self.new_scores = new_scores
        self._made: dict[tuple[str, ...], Any] = {}

    def once(self, key: tuple[str, ...], make: Callable[[], Made]) -> Made:
        """What `make` gives, made at the first call with this key: tables share their numbers."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]  # type: ignore[no-any-return]

    def space(self, benchmark: Benchmark) -> CellSpace[Any]:
        """The benchmark's search space."""
        space: CellSpace[Any] = named_space(benchmark.space)
        return space

    def table(self, benchmark: Benchmark) -> Table:
        """Its accuracies."""
        return self.once(("table", benchmark.space), lambda: load(benchmark.space, self.data / benchmark.table))

    def closed_forms(self, benchmark: Benchmark) -> dict[str, Tensor]:
        """Closed forms of every architecture of the space, by name."""
        options = dict(benchmark.network)
        return self.once(
            ("closed", benchmark.name), lambda: zcfast.score_space(benchmark.space, CLOSED, **options).columns
        )

    def neighbours_both_ways(self, benchmark: Benchmark) -> Neighbours:
        """The graph of its space with every edge in both directions."""
        space = self.space(benchmark)
        return self.once(("graph", benchmark.space), lambda: space.neighbour_graph(symmetric=True))

    def protocol(
        self, benchmark: Benchmark, *, batch_size: int = BATCH_SIZE, initialisation: str | None = None
    ) -> Protocol | str:
        """The protocol of the paper's scores; text that says what is missing where pictures are not there."""
        path = self.data / benchmark.images
        if not path.exists():
            return f"no pictures: {benchmark.images} is not in the data directory"
        batch = zcfast.load_images(path, batch_size, self.seed).protocol()
        space = self.space(benchmark)
        network = dataclasses.asdict(space.network_with(dict(benchmark.network)))
        return Protocol(
            benchmark.space,
            tuple(sorted(network.items())),
            initialisation or space.initialisation,
            True,
            self.seed,
            batch["sha256"],
            batch_size,
            batch["images"],
            self.seed,
        )

    def drawn(self, benchmark: Benchmark, size: int) -> Tensor:
        """Rows of architectures drawn uniformly, none twice, int64 [size]."""
        space = self.space(benchmark)
        generator = torch.Generator().manual_seed(self.seed)
        return space.index(space.sample_distinct(min(size, len(space)), generator))

    def score(self, benchmark: Benchmark, protocols: Sequence[Protocol], rows: Tensor) -> None:
        """Score what the store lacks of these architectures, one of each isomorphism class, if there are workers."""
        if not self.workers:
            return
        space = self.space(benchmark)
        representatives = list(dict.fromkeys(space.index(space.canonical(space.enumerate()[rows])).tolist()))
        missing = {}
        for protocol in protocols:
            scored = self._scored(protocol)
            missing[protocol] = [row for row in representatives if not scored[row]]
        total, before = sum(map(len, missing.values())), 0
        for protocol, wanted in missing.items():
            if wanted:
                self._score(benchmark, protocol, wanted, before, total)
            before += len(wanted)

    def _score(self, benchmark: Benchmark, protocol: Protocol, rows: list[int], before: int, total: int) -> None:
        """Score architectures and keep the scores, where other rows were scored before, of all in this call."""

        def progress(done: int, _: int) -> None:
            if self.progress:
                self.progress(before + done, total)

        digest = hashlib.sha256(repr((protocol, rows)).encode()).hexdigest()
        options: dict[str, Any] = {**dict(protocol.network), "initialisation": protocol.initialisation}
        file = self.new_scores / f"scores_{digest[:16]}.parquet"
        with Store(self.new_scores / "parts") as store:
            scores = zcfast.score_architectures(
                benchmark.space,
                SAMPLED,
                self.space(benchmark).enumerate()[rows],
                zcfast.load_images(self.data / benchmark.images, protocol.batch_size, protocol.images_seed),
                seed=protocol.seed,
                workers=self.workers,
                parts=store,
                progress=progress,
                **options,
            )
            scores.save(file)
            store.clear()
        self.store.add(scores, file)

    def read(self, protocol: Protocol, rows: Tensor) -> Sample:
        """The scores of the first of these architectures that all have them."""
        scored = self._scored(protocol)[rows]
        length = len(rows) if bool(scored.all()) else int((~scored).nonzero()[0])
        missing = len(rows) - length
        reason = f"{missing:,} of {len(rows):,} drawn architectures have no scores; --workers scores them"
        columns = {proxy: self.store.column(protocol, proxy)[0][rows[:length]] for proxy in SAMPLED}
        return Sample(rows[:length], columns, reason if missing else "")

    def sampled(self, benchmark: Benchmark) -> Sample:
        """Scores of the six proxies under the paper's protocol, on a uniform sample."""
        return self.once(("sampled", benchmark.name), lambda: self._sampled(benchmark))

    def _sampled(self, benchmark: Benchmark) -> Sample:
        rows = self.drawn(benchmark, self.sample)
        protocol = self.protocol(benchmark)
        if isinstance(protocol, str):
            return Sample(rows[:0], {proxy: torch.zeros(0, dtype=torch.float64) for proxy in SAMPLED}, protocol)
        self.score(benchmark, [protocol], rows)
        return self.read(protocol, rows)

    def _scored(self, protocol: Protocol) -> Tensor:
        """In which rows of the space all six proxies were tried for, bool [size of the space]."""
        return torch.stack([self.store.column(protocol, proxy)[1] for proxy in SAMPLED]).all(0)
