"""Tables of accuracies: loading, looking up and importing NAS-Bench-101, beside a dictionary an architecture."""

import pickle

import pytest
import torch

import zcfast
from bench.timing import measured
from tests.tables.writers import run, tfrecord
from zcfast.tables import Metric, Table

SPACE = zcfast.space("nasbench101")
NAMES = ("seconds", "train", "valid", "test")
RECORDS = 3_000


@pytest.fixture(scope="module")
def table() -> Table:
    """As large as the release of 108 epochs: four metrics of three runs."""
    generator = torch.Generator().manual_seed(0)
    metrics = {}
    for name in NAMES:
        values = torch.rand(3, len(SPACE), generator=generator)
        metrics[name] = Metric(values, "cifar10", "test", 108, "fraction", (0, 1, 2))
    return Table("nasbench101", metrics, ("test",), "random numbers")


@pytest.fixture(scope="module")
def dictionaries(table) -> dict:
    """hash -> epochs -> run -> metric, as the release's own interface keeps it."""
    keys = [bytes(digest).hex() for digest in SPACE.keys(SPACE.enumerate()).tolist()]
    columns = torch.stack([table.metrics[name].values for name in NAMES], dim=-1).transpose(0, 1).tolist()
    return {
        key: {108: [dict(zip(NAMES, one, strict=True)) for one in runs]}
        for key, runs in zip(keys, columns, strict=True)
    }


@pytest.mark.benchmark(group="load accuracies of NAS-Bench-101")
def test_load(benchmark, table, tmp_path):
    table.save(tmp_path / "table.parquet")
    loaded = benchmark.pedantic(zcfast.table, ("nasbench101", tmp_path / "table.parquet"), rounds=10, warmup_rounds=1)
    assert torch.equal(loaded["test"], table["test"])


@pytest.mark.benchmark(group="load accuracies of NAS-Bench-101")
def test_load_a_pickle_of_dictionaries(benchmark, dictionaries):
    content = pickle.dumps(dictionaries)
    benchmark.pedantic(pickle.loads, (content,), rounds=1)


@pytest.mark.benchmark(group="mean test accuracy of all cells by their key")
def test_query(benchmark, table):
    keys = SPACE.keys(SPACE.enumerate())
    table.query(keys, "test")  # sorts the digests, once a process
    benchmark.pedantic(table.query, (keys, "test"), rounds=5)


@pytest.mark.benchmark(group="mean test accuracy of all cells by their key")
def test_query_of_dictionaries(benchmark, dictionaries):
    keys = list(dictionaries)
    benchmark.pedantic(lambda: [sum(each["test"] for each in dictionaries[key][108]) / 3 for key in keys], rounds=3)


@pytest.mark.benchmark(group="import of TFRecord")
def test_import(benchmark, tmp_path):
    path = tmp_path / "only108.tfrecord"
    path.write_bytes(tfrecord(*(run(row, 108, [1.0, 2.0, 3.0, 4.0]) for row in range(RECORDS))))
    benchmark.pedantic(zcfast.table, ("nasbench101", path), rounds=5, warmup_rounds=1)
    benchmark.extra_info["us_per_record"] = measured(benchmark).median / RECORDS * 1e6
