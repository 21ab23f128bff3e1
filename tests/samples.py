"""A small file of every kind that zcfast reads."""

import bz2
import csv
import gzip
import io
import json
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import torch
from pyarrow import parquet

import zcfast
from tests.tables.test_named_tables import MACRO, NLP
from tests.tables.test_natsbench import record
from tests.tables.test_tfrecord import numbers
from tests.tables.writers import run, tfrecord
from zcfast.data.provenance import Provenance
from zcfast.scores import Scores
from zcfast.scoring.store import Store
from zcfast.search import ALGORITHMS, Trajectory
from zcfast.search.state import save_state
from zcfast.tables import Metric, Table

OLD = Path(__file__).parent / "fixtures" / "0.1.0"
SPACE = zcfast.space("nasbench201")
CLAIMS, TEXTS = {"fuzz": 1}, SPACE.format(SPACE.enumerate()[:3])


@dataclass(frozen=True)
class Sample:
    """A file, or the files of a directory; `checked`: whatever damage loads has the sample's own values."""

    name: str
    kind: str  # who reads it: a space or a benchmark of accuracies, or show, images, listing, parts, state
    files: dict[str, bytes]
    checked: bool = False


def saved(save: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        save(Path(directory) / "file")
        return (Path(directory) / "file").read_bytes()


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def own_table(write: Callable[[pyarrow.Table, io.BytesIO], object], **columns) -> bytes:
    buffer = io.BytesIO()
    write(pyarrow.table(columns), buffer)
    return buffer.getvalue()


def as_csv(table: pyarrow.Table, buffer: io.BytesIO) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.column_names)
    writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    buffer.write(text.getvalue().encode())


def releases() -> list[Sample]:
    one, two = (pickle.dumps(record(row), protocol=4) for row in (3, 14_000))
    whole = {"arch2infos": {row: record(row) for row in (3, 14_000)}}
    runs = (run(row, 108, numbers(row, 108, k)) for row in (0, 5) for k in range(2))
    means = {f"test_{data}": np.array([90.5, 10.25]) for data in ("cifar10", "cifar100", "imagenet16")}
    ops = np.array([[0, 1, 2, 3, 4, 0], [4, 4, 4, 4, 4, 4]], dtype=np.int8)
    edges = [f"{source}->{target}" for target in range(1, 4) for source in range(target)]
    names = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    of_101 = {"vertices": np.array([2, 3]), "adj_bits": np.array([1, 7]), "test_correct_sum": np.array([9, 20_000])}
    of_101 |= {"ops": np.array([[-1] * 5, [0, *[-1] * 4]]), "op_names": np.array(["conv3x3-bn-relu"])}
    zipped = {}
    for legacy in (False, True):
        buffer = io.BytesIO()
        torch.save(whole, buffer, _use_new_zipfile_serialization=not legacy)
        zipped[legacy] = buffer.getvalue()
    lines = "dataset,model_name,top1_error,top5_error\nImageNet-1K,alexnet,38.50,16.64\nSVHN,nin,3.76,\n"
    packed = {
        f"micro_{task}.json.gz": gzip.compress(b'[["64-41414-0_00_000", 0.9], ["64-41414-0_00_001", 0.5]]')
        for task in ("jigsaw", "normal")
    }
    return [
        Sample("a record", "nasbench201", {"file": bz2.compress(one)}, checked=True),
        Sample("another record", "nasbench201", {"file": bz2.compress(two)}, checked=True),
        Sample("records", "nasbench201", {"3.pbz2": bz2.compress(one), "14.pbz2": bz2.compress(two)}),
        Sample("a bare pickle", "nasbench201", {"file": pickle.dumps(whole, protocol=2)}),
        Sample("torch.save", "nasbench201", {"file": zipped[False]}, checked=True),
        Sample("old torch.save", "nasbench201", {"file": zipped[True]}),
        Sample("TFRecord", "nasbench101", {"file": tfrecord(*runs)}),  # a cut between two records is another file
        Sample("npz 101", "nasbench101", {"file": npz(**of_101)}, checked=True),
        Sample("npz 201", "nasbench201", {"file": npz(edge_order=edges, op_names=names, ops=ops, **means)}, True),
        Sample("NLP", "nasbench_nlp", {"file": gzip.compress(json.dumps(NLP).encode())}, checked=True),
        Sample("Macro", "nasbench_macro", {"file": json.dumps(MACRO).encode()}),
        Sample("TransNAS", "transnas_micro", packed),
        Sample("pytorchcv", "pytorchcv", {"file": lines.encode()}),
    ]


def own() -> list[Sample]:
    columns = {"architecture": TEXTS, "accuracy": [90.5, None, 3.25], "seconds": [1.0, 2.0, 3.0]}
    hashes = {"hash": ["02e5a0247bbdcf2860b7e96f74961594"], "test": [0.94]}
    zstd = lambda table, buffer: parquet.write_table(table, buffer, compression="zstd")  # noqa: E731
    return [
        Sample("CSV", "nasbench201", {"file": own_table(as_csv, **columns)}),
        Sample("CSV of hashes", "nasbench101", {"file": own_table(as_csv, **hashes)}),
        Sample("Parquet", "nasbench201", {"file": own_table(parquet.write_table, **columns)}),
        Sample("Parquet by zstd", "nasbench201", {"file": own_table(zstd, index=[1, 2], accuracy=[1.0, 2.5])}),
        Sample("listing", "listing", {"file": "\n".join(["# three", *TEXTS]).encode()}),
    ]


def kept() -> list[Sample]:
    metric = Metric(torch.tensor([[1.5, torch.nan, 3.0]]), "svhn", "test", None, "percent")
    table = Table("pytorchcv", {"error": metric}, ("error",), "é", ("b", "a", "ü"))
    runs = torch.rand(2, 15_625, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tested = Table("nasbench201", {"test": Metric(runs, "", "", 200, "", (0, 1))}, ("test",), "two runs")
    scores = zcfast.score_space("nasbench201", ["params", "expected_synflow"], cells=SPACE.enumerate()[:5])
    reasons = {"snip": ["", "refused: why", ""]}
    column = torch.tensor([1.0, torch.nan, 3.0], dtype=torch.float64)
    sampled = Scores("nasbench201", SPACE.enumerate()[:3], {"snip": column}, Provenance(seed=0), reasons)
    of_101 = zcfast.score_space("nasbench101", ["params"], cells=zcfast.space("nasbench101").enumerate()[:4])
    rows, values = torch.tensor([[3, 5], [7, -1]]), torch.tensor([[0.5, 0.25], [0.75, torch.nan]]).double()
    searched = Trajectory(
        "nasbench201", rows, values, values, Provenance(seed=0, options={"algorithm": {"name": "random_search"}})
    )
    algorithm = ALGORITHMS["ageing_evolution"]()
    state = algorithm.init(SPACE, runs=2)
    samples = [
        Sample("a named table", "pytorchcv", {"file": saved(table.save)}, checked=True),
        Sample("a table", "nasbench201", {"file": saved(tested.save)}, checked=True),
        Sample("scores", "show", {"file": saved(scores.save)}, checked=True),
        Sample("sampled scores", "show", {"file": saved(sampled.save)}, checked=True),
        Sample("scores of 101", "show", {"file": saved(of_101.save)}, checked=True),
        Sample("a trajectory", "show", {"file": saved(searched.save)}, checked=True),
        Sample("a state", "state", {"file": saved(lambda path: save_state(state, path))}, checked=True),
        Sample("old scores", "show", {"file": (OLD / "scores.parquet").read_bytes()}),
        Sample("old scores of 101", "show", {"file": (OLD / "scores101.parquet").read_bytes()}),
        Sample("an old trajectory", "show", {"file": (OLD / "trajectories.parquet").read_bytes()}),
        Sample("an old table", "pytorchcv", {"file": (OLD / "table.parquet").read_bytes()}),
    ]
    with tempfile.TemporaryDirectory() as directory:
        with Store(directory) as store:
            store.begin(CLAIMS, TEXTS)
            for number, text in enumerate(TEXTS):
                store.keep(text, {"snip": (float(number), "")})
                store.flush()
        parts = {path.name: path.read_bytes() for path in Path(directory).iterdir()}
    return [*samples, Sample("parts", "parts", parts, checked=True)]


def pictures() -> list[Sample]:
    generator = np.random.default_rng(0)
    pixels, labels = generator.integers(0, 256, (12, 4, 4, 3), dtype=np.uint8), np.arange(12) % 10
    rows = {size: generator.integers(0, 256, (3, 3 * size * size), dtype=np.uint8) for size in (16, 32)}
    cifar = {f"data_batch_{k}": pickle.dumps({b"data": rows[32], b"labels": [1, 2, 3]}, k + 1) for k in (1, 4)}
    net16 = {"train_data_batch_1": pickle.dumps({"data": rows[16], "labels": [1, 120, 121]}, 5)}
    return [
        Sample("npz of pictures", "images", {"file": npz(images=pixels, labels=labels)}, checked=True),
        Sample("CIFAR-10", "images", cifar),
        Sample("CIFAR-100", "images", {"train": pickle.dumps({b"data": rows[32], b"fine_labels": [1, 2, 99]}, 2)}),
        Sample("ImageNet16", "images", net16),
    ]


def samples() -> list[Sample]:
    return [*releases(), *own(), *kept(), *pictures()]
