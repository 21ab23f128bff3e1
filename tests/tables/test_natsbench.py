import bz2
import copy
import pickle
import shutil
from collections import OrderedDict

import numpy as np
import pytest
import torch

import zcfast
from tests.shared import shared_data

SPACE = zcfast.space("nasbench201")
KINDS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")
SPLITS = ("x-valid", "x-test", "ori-test")


def result(row: int, dataset: str, seed: int, epochs: int) -> dict:
    """One training run: accuracies that tell the row, the data, the split, the epoch and the seed."""
    base = row + 100 * KINDS.index(dataset) + seed / 1e4
    accuracies = {}
    for split_number, split in enumerate(SPLITS):
        accuracies |= {f"{split}@{epochs - 2}": -1.0, f"{split}@{epochs - 1}": base + split_number / 10}
    return {"epochs": epochs, "eval_acc1es": accuracies, "params": np.float64(0.8), "net_state_dict": None}


def record(row: int, schedules=("12", "200")) -> OrderedDict:
    content = OrderedDict()
    for schedule, epochs, seeds in zip(schedules, (12, 200), ((777,), (777, 999)), strict=True):
        results = {(dataset, seed): result(row, dataset, seed, epochs) for dataset in KINDS for seed in seeds}
        text = SPACE.format(SPACE.enumerate()[row])[0]
        content[schedule] = {"arch_index": row, "arch_str": text, "all_results": results}
    return content


def check(table, rows):
    assert list(table.headline) == ["test_cifar10", "test_cifar100", "test_imagenet16"]
    assert len(table.metrics) == 12
    metric = table.metrics["test_cifar100"]
    assert (metric.dataset, metric.split, metric.epochs) == ("cifar100", "test", 200)
    assert (metric.unit, metric.seeds) == ("percent", (777, 999))
    assert table.metrics["ep12_valid_cifar10"].seeds == (777,)
    expected = torch.tensor(rows, dtype=torch.float64)
    for name, offset in (
        ("valid_cifar10", 0),
        ("test_cifar10", 100.2),
        ("test_cifar100", 200.1),
        ("valid_imagenet16", 300),
    ):
        came = table.query(torch.tensor(rows), name, 999)
        torch.testing.assert_close(came, expected + offset + 0.0999, rtol=0, atol=1e-9)
        both = table.query(torch.tensor(rows), name)
        torch.testing.assert_close(both, expected + offset + 0.0888, rtol=0, atol=1e-9)
    assert int(table["test_cifar10"].isnan().sum()) == len(SPACE) - len(rows)


def test_a_directory(tmp_path):
    for row in (3, 14_000):
        (tmp_path / f"{row:06d}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(record(row), protocol=4)))
    (tmp_path / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps({"meta_archs": []})))
    check(zcfast.table("nasbench201", tmp_path), [3, 14_000])


@pytest.mark.parametrize("schedules", [("12", "200"), ("less", "full")])
@pytest.mark.parametrize("kind", ["pickle", "bzip2", "zip of torch", "torch before 1.6"])
def test_the_single_file(tmp_path, schedules, kind):
    rows = [15_624, 0]
    content = {"meta_archs": [], "arch2infos": {row: record(row, schedules) for row in rows}, "evaluated_indexes": {0}}
    path = tmp_path / "renamed"
    if kind in ("pickle", "bzip2"):
        raw = pickle.dumps(content, protocol=4)
        path.write_bytes(raw if kind == "pickle" else bz2.compress(raw))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind.startswith("zip"))
    check(zcfast.table("nasbench201", path), rows)


def error(path) -> str:
    with pytest.raises(ValueError, match="results") as caught:
        zcfast.table("nasbench201", path)
    assert str(caught.value).isprintable()
    return str(caught.value)


def replaced(path: list, value) -> OrderedDict:
    content = copy.deepcopy(record(5))
    at = content
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "expected a dict of results, got list"),
        ({}, "expected a record of NAS-Bench-201, got 0 architectures"),
        ({"arch2infos": 3}, "expected a dict arch2infos"),
        ({"arch2infos": {}}, "expected records of NAS-Bench-201, got none"),
        ({"arch2infos": {1: record(5), 2: record(5)}}, "architecture 2: the architecture 5 twice"),
        (replaced(["200", "arch_index"], 6), "2 architectures"),
        (replaced(["200", "arch_str"], "|a~0|"), "2 architectures"),
        ({"200": {"arch_index": 1, "arch_str": "|a~0|"}}, "architecture: expected"),
        ({"200": {"arch_index": 1, "arch_str": record(5)["12"]["arch_str"]}}, "the index 1 with the architecture of 5"),
        (replaced(["200", "all_results"], None), "no attribute 'items'"),
        (replaced(["200", "all_results", ("cifar10", 777)], {}), "one without 'epochs'"),
        (replaced(["200", "all_results", ("cifar10", 777), "epochs"], 1 << 70), "epochs with the seed 777"),
        (replaced(["12", "all_results", ("cifar10", 5)], result(5, "cifar10", 5, 12)), "12 epochs with the seed 5"),
        (replaced(["200", "all_results", ("cifar10", 777), "eval_acc1es", "ori-test@199"], "a"), "could not convert"),
        (replaced(["200", "all_results", "a"], {}), "unpack"),
    ],
)
def test_other_content(tmp_path, content, message):
    path = tmp_path / "results"
    path.write_bytes(pickle.dumps(content, protocol=4))
    assert message in error(path)


def test_a_directory_says_which_file_is_wrong(tmp_path):
    directory = tmp_path / "results"
    directory.mkdir()
    assert "expected a directory of .pbz2 files, got none" in error(directory)
    (directory / "000000.pickle.pbz2").write_bytes(bz2.compress(b"\x80\x04cos\nsystem\n."))
    assert "000000.pickle.pbz2: expected a pickle of results, got one that names os.system" in error(directory)
    (directory / "000000.pickle.pbz2").write_bytes(b"BZh9" + bytes(40))
    assert "000000.pickle.pbz2: expected a pickle" in error(directory)
    (directory / "000000.pickle.pbz2").write_bytes(b"")
    assert "000000.pickle.pbz2: expected a pickle" in error(directory)


def test_the_records_of_the_release(tmp_path):
    rows = [0, 11, 284]
    for row in rows:
        shutil.copy(shared_data(f"nasbench201/nats_{row:06d}.pbz2"), tmp_path)
    table = zcfast.table("nasbench201", tmp_path)
    published = zcfast.table("nasbench201", shared_data("nasbench201/accuracies.npz"))
    assert table.metrics["test_cifar10"].seeds == (777, 888, 999)
    assert table.query(torch.tensor([11]), "test_cifar10", 888).item() == 91.76
    shared = [name for name in table.metrics if name in published.metrics]
    assert len(shared) == 12
    for name in shared:
        came, expected = table[name][rows], published[name][rows]
        torch.testing.assert_close(came, expected, rtol=0, atol=1e-4)
