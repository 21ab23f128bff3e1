import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import zcfast
from zcfast.scores import Scores
from zcfast.tables import Metric, Table

SIZE = 15_625
NAN = math.nan


def example() -> Table:
    generator = torch.Generator().manual_seed(0)
    runs = torch.rand(2, SIZE, generator=generator, dtype=torch.float64)
    runs[0, 3], runs[:, 5] = NAN, NAN
    metrics = {
        "test": Metric(runs, "cifar10", "test", 200, "percent", (777, 888)),
        "loss": Metric(torch.rand(1, SIZE, generator=generator), "", "", None, "nats"),
    }
    return Table("nasbench201", metrics, ("test",), "an example")


def named() -> Table:
    values = torch.tensor([[1.5, NAN, 3.0]])
    return Table(
        "pytorchcv", {"error": Metric(values, "svhn", "test", None, "percent")}, ("error",), "é", ("b", "a", "ü")
    )


def assert_equal(came: Table, expected: Table) -> None:
    assert (came.space, came.headline, came.names) == (expected.space, expected.headline, expected.names)
    assert came.description == expected.description
    assert list(came.metrics) == list(expected.metrics)
    for name, metric in expected.metrics.items():
        other = came.metrics[name]
        fields = ("dataset", "split", "epochs", "unit", "seeds")
        assert [getattr(other, field) for field in fields] == [getattr(metric, field) for field in fields]
        torch.testing.assert_close(other.values.double(), metric.values.double(), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("make", [example, named])
def test_a_table_comes_back_as_it_was(tmp_path, make):
    table = make()
    table.save(tmp_path / "table.parquet")
    path = (tmp_path / "table.parquet").rename(tmp_path / "table.csv")  # told apart by content, not by name
    assert_equal(zcfast.table(table.space, path), table)


def test_other_tools_read_the_columns(tmp_path):
    example().save(tmp_path / "table")
    arrow = parquet.read_table(tmp_path / "table")
    assert arrow.column_names == ["index", "test.777", "test.888", "loss"]
    assert arrow.column("loss").type == "float"
    named().save(tmp_path / "table")
    assert parquet.read_table(tmp_path / "table").column("key").to_pylist() == ["b", "a", "ü"]


def test_means_over_the_runs_that_there_are():
    table, rows = example(), torch.tensor([0, 3, 5])
    first, second = (table.query(rows, "test", seed) for seed in (777, 888))
    assert first.isnan().tolist() == [False, True, True]
    expected = torch.stack([(first + second)[0] / 2, second[1], torch.tensor(NAN, dtype=torch.float64)])
    torch.testing.assert_close(table.query(rows, "test"), expected, equal_nan=True)
    torch.testing.assert_close(table["test"][rows], expected, equal_nan=True)


def test_keys_of_a_space():
    table, space = example(), zcfast.space("nasbench201")
    rows = torch.tensor([7, 1, 15_624])
    cells = space.enumerate()[rows]
    expected = table["loss"][rows]
    for keys in (rows, rows.int(), cells, space.keys(cells), space.format(cells)):
        assert table.query(keys, "loss").tolist() == expected.tolist()
    assert table.query(torch.tensor([-1, 15_625]), "loss").isnan().all()
    assert table.query(space.format(cells)[0], "loss").shape == (1,)


@pytest.mark.slow
def test_hashes():
    space = zcfast.space("nasbench101")
    values = torch.arange(len(space), dtype=torch.float64)[None]
    table = Table("nasbench101", {"test": Metric(values, "", "", None, "")}, (), "")
    rows = torch.tensor([9, 423_623, 0])
    digests = space.keys(space.enumerate()[rows])
    assert table.query(digests, "test").tolist() == rows.tolist()
    texts = [bytes(digest).hex() for digest in digests.tolist()]
    assert table.query(texts, "test").tolist() == rows.tolist()
    assert table.query(["0" * 32], "test").isnan().all()
    assert table.query(space.format(space.enumerate()[rows]), "test").tolist() == rows.tolist()


def test_names():
    table = named()
    torch.testing.assert_close(
        table.query(["ü", "z", "b"], "error"), torch.tensor([3.0, NAN, 1.5], dtype=torch.float64), equal_nan=True
    )
    assert table.query(torch.tensor([2, 3]), "error").isnan().tolist() == [False, True]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: example().query([], "tset"), "unknown metric 'tset': did you mean test?"),
        (
            lambda: example().query(torch.tensor([0]), "test", 5),
            "seed: expected one of the table's, got 5; it has 777, 888",
        ),
        (lambda: example().query(torch.tensor([0]), "loss", 5), "it has no single runs"),
        (lambda: example().query(torch.zeros(3), "loss"), "nasbench201 has no hashes"),
        (lambda: example().query(["|a~0|"], "loss"), "architecture: expected"),
        (lambda: named().query(torch.zeros(1), "error"), "keys: expected names or row numbers of pytorchcv"),
        (lambda: named().query("b", "error"), "keys: expected names"),
        (lambda: Metric(torch.zeros(2, 3), "", "", None, ""), r"values: expected floats \[1, N\]"),
        (lambda: Metric(torch.zeros(3), "", "", None, ""), r"got torch.float32 \[3\]"),
        (
            lambda: Table("nasbench201", {"a": Metric(torch.zeros(1, 3), "", "", None, "")}, (), ""),
            "expected 15625 values",
        ),
        (lambda: zcfast.table("nasbench11", "x"), "did you mean nasbench101"),
    ],
)
def test_errors(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()


def test_files_of_others(tmp_path):
    path = tmp_path / "table"
    example().save(path)
    with pytest.raises(ValueError, match="expected a table of nasbench101, got one of nasbench201"):
        zcfast.table("nasbench101", path)
    with pytest.raises(ValueError, match="expected a Parquet file of scores saved by zcfast"):
        Scores.load(path)
    parquet.write_table(parquet.read_table(path).replace_schema_metadata(None), path)
    with pytest.raises(ValueError, match="expected the published files of pytorchcv or a table saved by zcfast"):
        zcfast.table("pytorchcv", path)
    whole = zcfast.table("nasbench201", path)  # a user's file now
    assert whole.metrics["loss"].unit == "as in the file"


def test_every_truncation_is_noticed(tmp_path):
    path = tmp_path / "table"
    named().save(path)
    content = path.read_bytes()
    for length in range(0, len(content), 13):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="table: expected"):
            zcfast.table("pytorchcv", path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(data=st.data())
def test_a_flipped_byte_is_noticed_or_changes_nothing(tmp_path, data):
    path = tmp_path / "table"
    table = named()
    table.save(path)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        came = zcfast.table("pytorchcv", path)
    except ValueError:
        return
    assert_equal(came, table)


def test_a_footer_that_contradicts_itself(tmp_path):
    """pyarrow ends the process that asks it for the sizes of such columns."""
    path = tmp_path / "table"
    named().save(path)
    text, number = b"\x15\x0c", b"\x15\x04"  # the type of the column of names
    path.write_bytes(path.read_bytes().replace(text, number, 1))
    with pytest.raises(ValueError, match="expected a Parquet file of accuracies saved by zcfast, got a damaged one"):
        zcfast.table("pytorchcv", path)
