"""A small directory of made-up accuracies and pictures, and made-up files of scores."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

import zcfast
from reproduction.benchmarks import NASBENCH101, NASBENCH201, SAMPLED
from reproduction.context import Context
from reproduction.store import Protocol
from zcfast import Scores
from zcfast.data.provenance import Meaning, Provenance
from zcfast.tables import Metric, Table

SPACE = zcfast.space("nasbench201")
CIFAR10 = NASBENCH201[0]


def accuracies(seed=0):
    """A made-up accuracy of every architecture, with ties."""
    return torch.randint(0, 5000, (len(SPACE),), generator=torch.Generator().manual_seed(seed)).double() / 100


def write_data(directory: Path) -> Path:
    """Accuracies under the names of the release and pictures of CIFAR-10's and CIFAR-100's kind."""
    for name in ("nasbench101", "nasbench201", "images"):
        (directory / name).mkdir(parents=True)
    metrics = {}
    for place, benchmark in enumerate(NASBENCH201):
        for name in (benchmark.accuracy, *benchmark.others):
            metrics[name] = Metric(accuracies(place)[None], "", "", None, "percent")
    single = torch.stack([accuracies(0) + seed for seed in range(3)])
    metrics["seeds_test_cifar10"] = Metric(single, "", "", None, "percent", (0, 1, 2))
    Table(SPACE.name, metrics, (CIFAR10.accuracy,), "drawn").save(directory / CIFAR10.table)
    values = torch.rand(1, 423_624, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    test = {"test": Metric(values, "", "", None, "fraction")}
    Table("nasbench101", test, ("test",), "drawn").save(directory / NASBENCH101.table)
    generator = np.random.default_rng(0)
    for benchmark in NASBENCH201[:2]:
        classes = benchmark.network["classes"]
        pictures = generator.integers(0, 256, (256, 32, 32, 3), dtype=np.uint8)
        labels = np.arange(256) % classes
        np.savez(directory / benchmark.images, images=pictures, labels=labels)
    return directory


def context(data: Path, scores: Path | None = None, **options) -> Context:
    return Context(data, scores=scores, **{"new_scores": data.parent / "new", **options})


def representatives(rows: torch.Tensor) -> torch.Tensor:
    """One row of each isomorphism class, in the order of their first occurrence."""
    return torch.tensor(list(dict.fromkeys(SPACE.index(SPACE.canonical(SPACE.enumerate()[rows])).tolist())))


def write_scores(path: Path, protocol: Protocol, rows: torch.Tensor, columns=None) -> dict[str, torch.Tensor]:
    """A file of made-up scores of these rows under a protocol."""
    generator = torch.Generator().manual_seed(len(rows))
    columns = columns or {name: torch.randn(len(rows), dtype=torch.float64, generator=generator) for name in SAMPLED}
    images = {
        "images": protocol.images,
        "seed": protocol.images_seed,
        "batch_size": protocol.batch_size,
        "sha256": protocol.sha256,
    }
    written = {
        "network": dict(protocol.network),
        "initialisation": protocol.initialisation,
        "batch_norm": protocol.batch_norm,
        "images": images,
    }
    meanings = {name: Meaning(name, "score", "this test") for name in columns}
    provenance = Provenance(seed=protocol.seed, columns=meanings, options=written)
    path.parent.mkdir(parents=True, exist_ok=True)
    Scores("nasbench201", SPACE.enumerate()[rows], columns, provenance).save(path)
    return columns


def with_seed(protocol: Protocol, seed: int) -> Protocol:
    return dataclasses.replace(protocol, seed=seed)
