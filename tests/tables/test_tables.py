import numpy as np
import pyarrow
import pytest
import torch
from pyarrow import csv, parquet

import zcfast
from tests.shared import shared_data
from zcfast import tables
from zcfast.report import text
from zcfast.scores import Scores
from zcfast.search import Trajectory

SPACE101, SPACE201 = zcfast.space("nasbench101"), zcfast.space("nasbench201")


def arrays101() -> dict:
    """The release's arrays for the first 26 architectures, in reverse order."""
    cells = SPACE101.enumerate()[torch.arange(25, -1, -1)]
    return {
        "vertices": cells.vertices.numpy().astype(np.uint8),
        "adj_bits": cells.edges.numpy().astype(np.uint32),
        "ops": cells.operations.numpy(),
        "op_names": np.array(["conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"]),
        "test_correct_sum": np.arange(25, -1, -1, dtype=np.int32) * 1000,
    }


def arrays201() -> dict:
    size = len(SPACE201)
    return {
        "ops": SPACE201.enumerate().operations.numpy(),
        "op_names": np.array(["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]),
        "edge_order": np.array(["0->1", "0->2", "1->2", "0->3", "1->3", "2->3"]),
        **{f"test_{data}": np.arange(size, dtype=np.float32) for data in ("cifar10", "cifar100", "imagenet16")},
        "ep12_valid_cifar10": np.full(size, np.nan, dtype=np.float32),
        "seeds_test_cifar10": np.zeros((size, 3), dtype=np.float32),
        "params_cifar10": np.zeros(size, dtype=np.float32),
    }


def save(path, arrays):
    np.savez_compressed(path, **arrays)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "accuracies.npz"


def test_nasbench101_joins_by_architecture(path):
    table = tables.load("nasbench101", save(path, arrays101()))
    expected = torch.arange(len(SPACE101), dtype=torch.float64) * 1000 / (3 * 9984)
    expected[26:] = torch.nan
    assert (table.space, table.headline, table.metrics["test"].unit) == ("nasbench101", ("test",), "fraction")
    torch.testing.assert_close(table["test"], expected, rtol=0, atol=0, equal_nan=True)


def test_nasbench201_reads_every_metric(path):
    table = tables.load(SPACE201, save(path, arrays201()))
    assert list(table.metrics) == [
        "test_cifar10",
        "test_cifar100",
        "test_imagenet16",
        "ep12_valid_cifar10",
        "seeds_test_cifar10",
    ]
    assert table.headline == ("test_cifar10", "test_cifar100", "test_imagenet16")
    assert table["test_cifar10"].dtype == torch.float64
    assert table["test_cifar10"].tolist() == list(range(len(SPACE201)))
    assert table["ep12_valid_cifar10"].isnan().all()


def test_operations_and_edges_may_be_numbered_in_another_order(path):
    arrays = arrays201()
    edges, names = np.array([3, 0, 5, 1, 4, 2]), np.array([2, 4, 0, 1, 3])
    arrays["edge_order"], arrays["ops"] = arrays["edge_order"][edges], arrays["ops"][:, edges]
    arrays["op_names"], arrays["ops"] = arrays["op_names"][names], np.argsort(names)[arrays["ops"]]
    table = tables.load(SPACE201, save(path, arrays))
    assert table["test_cifar10"].tolist() == list(range(len(SPACE201)))


def table_error(space: str, path) -> str:
    with pytest.raises(ValueError, match="accuracies") as caught:
        tables.load(space, path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    return message


def _letters(codes: list[int]) -> np.ndarray:
    """A text of any numbers, of which numpy would make a text of Python that is none."""
    return np.array(codes, dtype=np.uint32).view(f"U{len(codes)}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertices": None}, "expected an array 'vertices', got only adj_bits"),
        ({"vertices": np.zeros(26)}, "array 'vertices': expected integers, got numbers"),
        ({"vertices": np.zeros((26, 1), dtype=int)}, r"array 'vertices': expected shape [*], got [26, 1]"),
        ({"adj_bits": np.zeros(3, dtype=int)}, "array 'adj_bits': expected shape [26], got [3]"),
        ({"ops": np.zeros((26, 6), dtype=int)}, "array 'ops': expected shape [*, 5], got [26, 6]"),
        ({"ops": np.zeros((20, 5), dtype=int)}, "array 'ops': expected 26 rows, got 20"),
        ({"ops": np.full((26, 5), 3)}, "array 'ops': expected integers from -1 to 2"),
        ({"op_names": np.array(["a", "b", "c"])}, "array 'op_names': expected conv3x3-bn-relu"),
        (
            {"op_names": np.array(["a", None], dtype=object)},
            "array 'op_names': expected plain data, got a broken or pickled",
        ),
        ({"op_names": _letters([0x110000])}, "array 'op_names': expected strings, got letters that no text has"),
        ({"vertices": np.full(26, 258)}, "array 'vertices': expected integers from 2 to 7, got 258 to 258"),
        ({"adj_bits": np.full(26, 2**32)}, "array 'adj_bits': expected integers from 0 to 2097151, got 4294967296"),
        ({"test_correct_sum": np.full(26, -1)}, "array 'test_correct_sum': expected integers from 0 to 29952, got -1"),
        ({"test_correct_sum": np.array(["1"] * 26)}, "array 'test_correct_sum': expected integers, got strings"),
        ({"adj_bits": np.ones(26, dtype=int)}, "row 0: expected an architecture of nasbench101, got one outside"),
        (
            {"vertices": np.full(26, 2), "adj_bits": np.ones(26, int), "ops": np.full((26, 5), -1)},
            "rows 0 and 1: the same architecture of nasbench101 twice",
        ),
    ],
)
def test_foreign_arrays_are_refused(path, change, message):
    arrays = {name: array for name, array in {**arrays101(), **change}.items() if array is not None}
    assert message in table_error("nasbench101", save(path, arrays))


def test_a_table_of_the_other_space_is_refused(path):
    assert "expected an array 'vertices'" in table_error("nasbench101", save(path, arrays201()))
    assert "expected an array 'edge_order'" in table_error("nasbench201", save(path, arrays101()))


def test_missing_metrics_and_wrong_edges(path):
    arrays = arrays201()
    arrays["edge_order"] = arrays["edge_order"][[0, 0, 1, 2, 3, 4]]
    assert "array 'edge_order': expected 0->1" in table_error("nasbench201", save(path, arrays))
    arrays = arrays201()
    del arrays["test_cifar100"]
    assert "got none named test_cifar100" in table_error("nasbench201", save(path, arrays))


def test_files_of_no_use(path):
    assert "got none: No such file or directory" in table_error("nasbench101", path)
    path.mkdir()
    assert "got none: Is a directory" in table_error("nasbench101", path)
    path.rmdir()
    for garbage, message in (
        (b"", "got an empty one"),
        (b"PK\x03\x04" + bytes(50), "got a broken one"),
        (b"PAR1" + bytes(50), "expected a Parquet file, got a broken one"),
        (bytes(range(256)) * 9, "none of them"),
        (b"\x80\x04\x95\x0a\x00.", "got"),
        (b"\x01\x02\x03\n1\n", "got other bytes"),
        (b"one,two\n1,2\n", "expected a column index, hash or architecture, got one, two"),
    ):
        path.write_bytes(garbage)
        assert message in table_error("nasbench101", path)


def test_every_truncation_of_an_archive_is_noticed(path):
    whole = save(path, arrays101()).read_bytes()
    for length in range(0, len(whole), 61):
        path.write_bytes(whole[:length])
        table_error("nasbench101", path)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("key", ["index", "hash", "architecture"])
def test_a_users_file(tmp_path, kind, key):
    rows = torch.tensor([5, 0, 423_623])
    cells = SPACE101.enumerate()[rows]
    keys = {
        "index": rows.tolist(),
        "hash": [bytes(digest).hex() for digest in SPACE101.keys(cells).tolist()],
        "architecture": SPACE101.format(cells),
    }[key]
    path = tmp_path / "accuracies"
    columns = {key: keys, "accuracy": [0.5, None, 0.7], "epochs": [1, 2, 3]}
    if kind == "csv":
        csv.write_csv(pyarrow.table(columns), path)
    else:
        parquet.write_table(pyarrow.table(columns), path)
    table = tables.load("nasbench101", path)
    assert table.headline == ("accuracy", "epochs")
    expected = torch.full((len(SPACE101),), torch.nan, dtype=torch.float64)
    expected[5], expected[423_623] = 0.5, 0.7
    torch.testing.assert_close(table["accuracy"], expected, rtol=0, atol=0, equal_nan=True)
    assert table["epochs"][rows].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("index\n1\n", "expected a column of accuracies beside the key"),
        ("index,a,a\n1,2,3\n", "got two of one name"),
        ("index,a\n423624,1\n", "row 0: expected an architecture"),
        ("index,a\n0,1\n-3,1\n", "row 1: expected an architecture"),
        ("index,a\n3,1\n0,1\n3,2\n", "rows 0 and 2: the same architecture"),
        ("index,a\n0.5,1\n", "column 'index': expected integers, got double"),
        ("index,a\n", "expected a row for each architecture, got none"),
        ("index,a\n,1\n1,1\n", "column 'index': expected a key in every row, got 1 empty"),
        ("index,a\n0,93.1%\n", "column 'a': expected numbers, as in all but index, hash, architecture, got string"),
        ("index,a\n0,1\n1,inf\n", "column 'a': expected finite numbers, got inf in row 1"),
        ("index,test_acc\n0,100.5\n", "column 'test_acc': expected numbers from 0 to 100, got 100.5 in row 0"),
        ("index,valid accuracy\n0,nan\n1,-1\n", "expected numbers from 0 to 100, got -1 in row 1"),
        ("index,params\n0,-3\n", "column 'params': expected numbers from 0, got -3 in row 0"),
        ("index,a\n0,1\n1\n", "expected a release's file, .npz, Parquet or CSV, got none of them"),
        ("hash,a\n00,1\n", "row 0: expected an architecture"),
        ("architecture,a\nnone,1\n", "architecture: expected"),
    ],
)
def test_a_users_file_that_does_not_fit(tmp_path, content, message):
    path = tmp_path / "accuracies.csv"
    path.write_text(content)
    assert message in table_error("nasbench101", path)


def test_a_long_error_is_cut(tmp_path):
    path = tmp_path / "accuracies.csv"
    path.write_text(f"architecture,a\n{'x' * 100_000},1\n")
    assert len(table_error("nasbench201", path)) < 2000


def test_numbers_that_are_no_accuracies_may_be_negative(tmp_path):
    path = tmp_path / "accuracies.csv"
    path.write_text("index,loss,accelerator\n0,-1e30,-5\n")
    assert zcfast.table("nasbench201", path)["accelerator"][0] == -5


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_pandas_row_labels_are_no_metric(tmp_path, kind):
    path = tmp_path / "accuracies"
    if kind == "csv":
        path.write_text(",index,accuracy\n7,3,90.0\n8,5,91.0\n")
    else:
        parquet.write_table(pyarrow.table({"index": [3, 5], "accuracy": [9.0, 9.1], "__index_level_0__": [7, 8]}), path)
    table = tables.load("nasbench201", path)
    assert table.headline == tuple(table.metrics) == ("accuracy",)


def test_rows_and_digests_of_other_libraries(path):
    table = tables.load("nasbench101", save(path, arrays101()))
    rows = torch.tensor([9, 4, 17])
    expected = table.query(rows, "test")
    digests = SPACE101.keys(SPACE101.enumerate()[rows])
    texts = [bytes(digest).hex().upper() for digest in digests.tolist()]
    numbers = rows.numpy()
    for keys in ([9, 4, 17], (9, 4, 17), list(numbers), numbers, numbers.astype(np.uint8), numbers[::-1][::-1]):
        assert torch.equal(table.query(keys, "test"), expected)
    for keys in (digests.numpy(), texts, np.array(texts)):
        assert torch.equal(table.query(keys, "test"), expected)
    assert torch.equal(table.query(range(3), "test"), table.query(torch.arange(3), "test"))
    with pytest.raises(ValueError, match=r"keys: expected row numbers .*, got torch\.bool"):
        table.query(rows > 5, "test")
    with pytest.raises(ValueError, match="cells: expected NasBench101Cells, got NasBench201Cells"):
        table.query(SPACE201.enumerate()[:3], "test")
    for keys in (5, None):
        with pytest.raises(ValueError, match=f"keys: expected architectures, rows, digests or strings, got {keys}"):
            table.query(keys, "test")
    with pytest.raises(ValueError, match="unknown metric 0: expected one of"):
        table[0]


def test_tables_compare_and_show_in_one_line(path):
    table, other = (tables.load("nasbench101", save(path, arrays101())) for _ in range(2))
    assert table == table
    assert table != other
    assert repr(table).startswith("Table(nasbench101: 423624 rows, 1 metrics; ")
    assert "\n" not in repr(table)


def test_another_file_of_zcfast_is_no_table(tmp_path):
    rows = torch.tensor([3, 5])
    Scores("nasbench101", SPACE101.enumerate()[rows], {"params": rows}).save(tmp_path / "scores")
    assert "expected a Parquet file of accuracies saved by zcfast, got one of scores" in table_error(
        "nasbench101", tmp_path / "scores"
    )
    values = torch.ones(1, 2, dtype=torch.float64)
    Trajectory("nasbench101", rows[None], values, values).save(tmp_path / "runs")
    assert "expected a Parquet file of accuracies saved by zcfast, got one of trajectories" in table_error(
        "nasbench101", tmp_path / "runs"
    )


def test_hashes_of_a_space_without_any(tmp_path):
    path = tmp_path / "accuracies.csv"
    path.write_text("hash,a\n00,1\n")
    assert "nasbench201 has no hashes; use index or architecture" in table_error("nasbench201", path)


def test_the_ranking_of_part_of_a_space_joins_by_architecture(path):
    rows = torch.tensor([9, 4, 17, 25])
    part = Scores("nasbench101", SPACE101.enumerate()[rows], {"params": rows})
    printed = text.ranking(part, tables.load("nasbench101", save(path, arrays101())))
    assert [list(column.cells) for column in printed.columns] == [["test"], ["params"], ["1.000"], ["nan"], ["1"]]


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_the_releases(name):
    table = tables.load(name, shared_data(f"{name}/accuracies.npz"))
    best = {metric: float(table[metric].max()) for metric in table.headline}
    assert not any(table[metric].isnan().any() for metric in table.headline)
    if name == "nasbench101":
        assert best["test"] == pytest.approx(0.94318, abs=5e-6)
        assert (table["test"] >= 0.9422).sum() == 3
    else:
        expected = {"test_cifar10": 94.37, "test_cifar100": 73.51, "test_imagenet16": 47.31}
        assert best == pytest.approx(expected, abs=0.01)
