import contextlib
import dataclasses
import json

import pyarrow
import pytest
import torch
from pyarrow import parquet

import zcfast
from tests.spaces.own import TwoLayers
from zcfast.data.provenance import Provenance
from zcfast.order import best_first
from zcfast.scores import Scores
from zcfast.spaces import registry
from zcfast.spaces import space as named_space


def test_a_saved_file_loads_as_it_was(scores, tmp_path):
    path = tmp_path / "scores.parquet"
    scores.save(path)
    loaded = Scores.load(path)
    assert loaded.space == scores.space
    assert loaded.provenance == scores.provenance
    assert list(loaded.columns) == list(scores.columns)
    for name, column in scores.columns.items():
        assert loaded[name].dtype == column.dtype
        assert torch.equal(loaded[name], column)
    for field in dataclasses.fields(scores.cells):
        assert torch.equal(getattr(loaded.cells, field.name), getattr(scores.cells, field.name))
    assert [file.name for file in tmp_path.iterdir()] == ["scores.parquet"]


def test_printed_as_one_line(scores):
    assert repr(scores) == f"Scores({scores.space.name}: {len(scores):,} architectures; {', '.join(scores.columns)})"


def test_a_part_of_the_space_keeps_its_rows(scores, space, tmp_path):
    rows = torch.tensor([15_000, 3, 11])
    part = Scores(space.name, space.enumerate()[rows], {"snip": torch.tensor([1.0, torch.nan, -torch.inf])})
    part.save(tmp_path / "part.parquet")
    loaded = Scores.load(tmp_path / "part.parquet")
    assert torch.equal(space.index(loaded.cells), rows)
    assert loaded["snip"].dtype == torch.float32
    assert torch.equal(loaded["snip"].nan_to_num(5.0), part["snip"].nan_to_num(5.0))


def test_no_rows(scores, tmp_path):
    none = Scores(scores.space, scores.cells[:0], {"snip": torch.zeros(0)})
    none.save(tmp_path / "none.parquet")
    loaded = Scores.load(tmp_path / "none.parquet")
    assert len(loaded) == 0
    assert len(loaded.top(5, "snip")) == 0


def test_scores_compare_by_identity_and_cells_by_content(scores):
    other = dataclasses.replace(scores)
    assert scores == scores
    assert scores != other
    assert scores.cells == other.cells


def test_arrow_columns(scores, space):
    table = scores.to_arrow()
    key = "hash" if space.name == "nasbench101" else "architecture"
    encoding = [field.name for field in dataclasses.fields(scores.cells)]
    assert table.column_names == ["index", key, *encoding, "expected_synflow", "params"]
    assert table["index"].to_pylist() == list(range(len(scores)))
    keys = space.keys(scores.cells)
    names = [bytes(row).hex() for row in keys.tolist()] if key == "hash" else space.format(scores.cells)
    assert table[key].to_pylist() == names
    assert table["operations"].to_pylist() == scores.cells.operations.tolist()
    header = json.loads(table.schema.metadata[b"zcfast"])
    assert header == {
        "format": 3,
        "kind": "scores",
        "space": space.name,
        "columns": ["expected_synflow", "params"],
        "provenance": scores.provenance.as_json(),
    }


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_best_first_puts_nan_last_and_keeps_rows_of_ties(dtype):
    column = torch.tensor([1.0, torch.nan, 3.0, -torch.inf, 3.0, torch.inf, 1.0], dtype=dtype)
    assert best_first(column).tolist() == [5, 2, 4, 0, 6, 3, 1]


def test_best_first_of_integers_is_exact():
    lowest, highest = torch.iinfo(torch.int64).min, torch.iinfo(torch.int64).max
    column = torch.tensor([lowest, 2**53, highest, 2**53 + 1, 2**53])
    assert best_first(column).tolist() == [2, 3, 1, 4, 0]


def test_top(scores):
    assert scores.top(2, "expected_synflow").tolist() == [len(scores) - 1, len(scores) - 2]
    assert scores.top(2, "params").tolist() == [0, 1]
    assert scores.top(10**6, "expected_synflow")[-1] == 0
    with pytest.raises(ValueError, match="k: expected a number of rows >= 0, got -1"):
        scores.top(-1, "params")
    with pytest.raises(ValueError, match="unknown column 'expected_synflw': did you mean expected_synflow"):
        scores.top(1, "expected_synflw")


def test_the_constructor_checks_its_columns(scores):
    cells = scores.cells
    with pytest.raises(ValueError, match=rf"column 'snip': expected shape \[{len(cells)}\], got \[3\]"):
        Scores(scores.space, cells, {"snip": torch.zeros(3)})
    with pytest.raises(ValueError, match=r"got \[\]"):
        Scores(scores.space, cells, {"snip": torch.tensor(1.0)})
    for name in ("operations", "index", "hash"):
        with pytest.raises(ValueError, match="the name belongs to the encoding"):
            Scores(scores.space, cells, {name: torch.zeros(len(cells))})


def test_the_constructor_checks_its_reasons(scores):
    columns, none = {"snip": torch.zeros(len(scores))}, [""] * len(scores)
    assert Scores(scores.space, scores.cells, columns, reasons={"snip": none}).reasons["snip"] == none
    with pytest.raises(ValueError, match=f"reasons of 'snip': expected one for each of {len(scores)} cells, got 1"):
        Scores(scores.space, scores.cells, columns, reasons={"snip": [""]})
    with pytest.raises(ValueError, match="expected the names of columns, got 'grasp'"):
        Scores(scores.space, scores.cells, columns, reasons={"grasp": none})
    both = {**columns, "reason_snip": columns["snip"]}
    with pytest.raises(ValueError, match="expected the names of columns, got 'snip'"):
        Scores(scores.space, scores.cells, both, reasons={"snip": none})


def test_reasons_are_saved(scores, tmp_path):
    path = tmp_path / "scores.parquet"
    reasons = {"snip": ["", "failed: a | b\u2028"] * (len(scores) // 2)}
    columns = {"snip": torch.tensor([1.0, torch.nan] * (len(scores) // 2)), "reason_of_it": torch.ones(len(scores))}
    Scores(scores.space, scores.cells, columns, reasons=reasons).save(path)
    assert Scores.load(path).reasons == reasons
    table = Scores.load(path).to_arrow()
    foreign = table.set_column(table.column_names.index("reason_snip"), "reason_snip", table["index"])
    parquet.write_table(foreign, path)
    assert "expected a column of reasons, got int64" in load_error(path)


def test_an_interrupted_save_leaves_the_old_file(scores, tmp_path, monkeypatch):
    path = tmp_path / "scores.parquet"
    scores.save(path)
    before = path.read_bytes()

    def half(table, where, **_):
        where.write(before[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(parquet, "write_table", half)
    with pytest.raises(KeyboardInterrupt):
        scores.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["scores.parquet"]


def load_error(path) -> str:
    with pytest.raises(ValueError, match=r"scores\.parquet: expected") as caught:
        Scores.load(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_load_says_what_is_wrong_with_a_file(tmp_path):
    path = tmp_path / "scores.parquet"
    assert "got no file" in load_error(path)
    path.mkdir()
    assert "got a directory" in load_error(path)
    path.rmdir()
    for garbage in (b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"a,b\n1,2\n" * 50):
        path.write_bytes(garbage)
        assert "does not read as Parquet" in load_error(path)
    parquet.write_table(pyarrow.table({"a": [1]}), path)
    assert "without its metadata" in load_error(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("not json", "broken metadata"),
        ("[]", "broken metadata"),
        ('{"format": 4}', "in format 3, got format '4'"),
        ('{"format": "3"}', "in format 3, got format '3'"),
        ('{"format": 3}', "checksum of its header is missing"),
        ('{"format": 2}', "checksum of its header is missing"),
        ('{"format": 1}', "broken metadata: no space"),
        ('{"format": 1, "space": "nasbench201", "columns": ["a"], "protocol": []}', "no provenance"),
        ('{"format": 1, "space": "nasbench201", "columns": ["b"], "protocol": {}}', "got a file without them"),
        ('{"format": 1, "space": "nasbench201", "columns": ["a"], "protocol": {}}', "got a file without them"),
    ],
)
def test_load_refuses_foreign_metadata(tmp_path, metadata, message):
    path = tmp_path / "scores.parquet"
    table = pyarrow.table({"a": [1]}).replace_schema_metadata({b"zcfast": metadata})
    parquet.write_table(table, path)
    assert message in load_error(path)


def test_load_refuses_columns_of_another_type(scores, tmp_path):
    path = tmp_path / "scores.parquet"
    table = scores.to_arrow()
    place = table.column_names.index("operations")
    for foreign in (table["index"], pyarrow.nulls(len(table)), pyarrow.array(["x"] * len(table))):
        parquet.write_table(table.set_column(place, "operations", foreign), path)
        assert "got a file without them" in load_error(path)


def test_every_truncation_and_damaged_page_is_noticed(scores, tmp_path):
    path = tmp_path / "scores.parquet"
    scores.save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        load_error(path)
    for place in range(4, len(whole), 41):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with contextlib.suppress(ValueError):
            loaded = Scores.load(path)
            # Not noticed: a byte that nothing reads, or one of a page's header that changes nothing.
            assert all(torch.equal(loaded[name], column) for name, column in scores.columns.items())


@pytest.fixture
def own_scores():
    own = TwoLayers()
    return Scores(own, own.parse(["8 tanh", "4 relu"]), {"snip": torch.tensor([2.0, torch.nan])}, Provenance(seed=0))


def test_an_own_space_is_given_again(own_scores, tmp_path):
    path = tmp_path / "own.parquet"
    own_scores.save(path)
    assert parquet.read_table(path).column_names == ["architecture", "snip"]
    loaded = Scores.load(path, own_scores.space)
    assert loaded.space is own_scores.space
    assert loaded.cells.texts == ("8 tanh", "4 relu")
    assert loaded["snip"][0] == 2
    assert loaded.keys() == ["8 tanh", "4 relu"]
    with pytest.raises(ValueError, match=r"own.parquet: unknown search space 'two_layers'"):
        Scores.load(path)
    with pytest.raises(ValueError, match=r"own.parquet: expected scores of nasbench201, got those of two_layers"):
        Scores.load(path, "nasbench201")


def test_a_file_imports_nothing(own_scores, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_found", {})
    path = tmp_path / "own.parquet"
    found = named_space("tests.spaces.own:TwoLayers")
    Scores(found, own_scores.cells, own_scores.columns).save(path)
    assert Scores.load(path).space is found
    registry._found.clear()
    expected = r"own.parquet: expected a known space, got one at an import path, tests.spaces.own:TwoLayers: call"
    with pytest.raises(ValueError, match=expected):
        Scores.load(path)
    assert Scores.load(path, "tests.spaces.own:TwoLayers")["snip"][0] == 2


def test_a_table_of_an_own_space(own_scores, tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("architecture,accuracy\n16 relu,0.9\n8 tanh,0.5\n")
    table = zcfast.table(own_scores.space, path)
    assert (table.names, len(table)) == (("16 relu", "8 tanh"), 2)
    assert table.query(own_scores.keys(), "accuracy").tolist()[0] == 0.5
    assert table.query(own_scores.cells, "accuracy").isnan().tolist() == [False, True]
    table.save(tmp_path / "own_table.parquet")
    assert zcfast.table(own_scores.space, tmp_path / "own_table.parquet").names == table.names
    path.write_text("architecture,accuracy\n16 relu,0.9\n16 relu,0.5\n")
    with pytest.raises(ValueError, match=r"rows 0 and 1: the same architecture of two_layers twice"):
        zcfast.table(own_scores.space, path)
    path.write_text("index,accuracy\n1,0.9\n")
    with pytest.raises(ValueError, match=r"column 'index': expected texts of two_layers"):
        zcfast.table(own_scores.space, path)
