"""Scores that were made before: Parquet files of `Scores.save`, found by the protocol in them."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reproduction.files import set_aside
from zcfast import Scores
from zcfast.spaces import CellSpace
from zcfast.spaces import space as named_space


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What scores of sampled networks depend on beside the architecture; files with equal ones belong together.

    Attributes:
        space, network, initialisation, batch_norm, seed: as `score_architectures` takes them; the network's options in
            the order of their names.
        sha256: of the minibatch's inputs and targets.
        batch_size: of the minibatch.
        images, images_seed: name of the file of pictures and seed of the draw; they only label what sha256 tells apart.
    """

    space: str
    network: tuple[tuple[str, int], ...]
    initialisation: str
    batch_norm: bool
    seed: int
    sha256: str
    batch_size: int
    images: str
    images_seed: int


@dataclasses.dataclass(frozen=True)
class Stored:
    """The columns of one protocol.

    Attributes:
        columns: proxy -> float64 [size of the space], NaN where there is no score.
        scored: proxy -> bool [size of the space]: in which rows a score was tried for, also where it is undefined.
    """

    columns: dict[str, Tensor]
    scored: dict[str, Tensor]


class ScoreStore:
    """All files of scores below a directory, or one file, by protocol.

    Errors: ValueError that names the file for one that is damaged or no file of scores, and for two files of one
    protocol that mean different scores by one name.
    """

    def __init__(self, path: Path | None, own: Path | None = None) -> None:
        """Read the files; a directory that is not there yet holds none.

        Args:
            own: a directory of scores that can be made again: a file of it that cannot be used is set aside.
        """
        self._found: dict[Protocol, Stored] = {}
        self._definitions: dict[tuple[Protocol, str], str] = {}
        files = [each.resolve() for place in (path, own) if place is not None for each in _files(place)]
        for file in dict.fromkeys(files):
            try:
                self.add(Scores.load(file), file)
            except ValueError as error:
                if own is None or not file.is_relative_to(own.resolve()):
                    raise
                set_aside(file, error)

    def add(self, scores: Scores, file: Path) -> None:
        """Take the scores of one more file; of rows that are there already the first values stay."""
        protocol = protocol_of(scores)
        if protocol is None:
            return
        space = named_space(scores.space.name)
        size = len(space)
        stored = self._found.setdefault(protocol, Stored({}, {}))
        index = space.index(scores.cells)
        for name, column in scores.columns.items():
            meanings = scores.provenance.columns
            definition = meanings[name].definition if name in meanings else ""
            if self._definitions.setdefault((protocol, name), definition) != definition:
                raise ValueError(f"{file}: {name}: expected the definition of the files before, got {definition!r}")
            values = stored.columns.setdefault(name, torch.full((size,), torch.nan, dtype=torch.float64))
            scored = stored.scored.setdefault(name, torch.zeros(size, dtype=torch.bool))
            new = ~scored[index]
            values[index[new]] = column.double()[new]
            scored[index[new]] = True

    def protocols(self) -> list[Protocol]:
        """Every protocol there is, in the order of the files."""
        return list(self._found)

    def column(self, protocol: Protocol, proxy: str) -> tuple[Tensor, Tensor]:
        """Values and whether they were tried for, [size of the space] each; all NaN and False where there is nothing.

        An architecture without a score of its own has that of its class's representative.
        """
        space = named_space(protocol.space)
        stored = self._found.get(protocol, Stored({}, {}))
        if proxy not in stored.columns:
            nothing = torch.full((len(space),), torch.nan, dtype=torch.float64)
            return nothing, torch.zeros(len(space), dtype=torch.bool)
        values, scored = stored.columns[proxy], stored.scored[proxy]
        chosen = torch.where(scored, torch.arange(len(space)), _representatives(protocol.space))
        return values[chosen], scored[chosen]


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.parquet"))


@lru_cache(maxsize=2)
def _representatives(space: str) -> Tensor:
    """Row of the representative of each architecture's class."""
    each: CellSpace[Any] = named_space(space)
    return each.index(each.canonical(each.enumerate()))


def protocol_of(scores: Scores) -> Protocol | None:
    """The protocol of a file; None for closed forms, which are computed afresh."""
    given, seed = scores.provenance.options, scores.provenance.seed
    images = given.get("images")
    if not isinstance(images, dict) or seed is None:
        return None
    return Protocol(
        scores.space.name,
        tuple(sorted(given.get("network", {}).items())),
        str(given.get("initialisation", "")),
        bool(given.get("batch_norm", True)),
        seed,
        str(images.get("sha256", "")),
        int(images.get("batch_size", 0)),
        str(images.get("images", "")),
        int(images.get("seed", 0)),
    )
