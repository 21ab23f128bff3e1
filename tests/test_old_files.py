"""Files that 0.1.0 and versions after it wrote still load."""

import json
from pathlib import Path

import pyarrow
import pytest
import torch
from pyarrow import parquet

import zcfast
from zcfast.scores import Scores
from zcfast.search import Trajectory

FIXTURES = Path(__file__).parent / "fixtures"
FILES = FIXTURES / "0.1.0"  # and format_2, where each kind had a key of its own and tables alone checksums of columns


@pytest.mark.parametrize(
    ("name", "space", "columns"),
    [
        ("0.1.0/scores.parquet", "nasbench201", ["params", "flops"]),
        ("format_2/scores.parquet", "nasbench201", ["params", "flops"]),
        ("0.1.0/scores101.parquet", "nasbench101", ["params", "expected_synflow"]),
    ],
)
def test_scores(name, space, columns):
    loaded, own = Scores.load(FIXTURES / name), zcfast.space(space)
    assert (loaded.space.name, list(loaded.columns)) == (space, columns)
    assert own.index(loaded.cells).tolist() == [0, 1, 2]
    again = zcfast.score_space(own, columns, cells=loaded.cells)
    assert all(torch.equal(loaded[column], again[column]) for column in columns)


@pytest.mark.parametrize("version", ["0.1.0", "format_2"])
def test_trajectories(version):
    loaded = Trajectory.load(FIXTURES / version / "trajectories.parquet")
    assert loaded.rows.tolist() == [[3, 5], [7, -1]]
    assert loaded.objective.nan_to_num(-1).tolist() == [[0.5, 0.25], [0.75, -1]]
    assert loaded.report.nan_to_num(-1).tolist() == [[0.5, 0.125], [1, -1]]
    assert loaded.provenance.options["algorithm"] == {"name": "random_search"}


@pytest.mark.parametrize("version", ["0.1.0", "format_2"])
def test_tables(version):
    loaded = zcfast.table("pytorchcv", FIXTURES / version / "table.parquet")
    assert (loaded.names, loaded["top1"].tolist()) == (("a", "b", "c"), [1, 2, 3])


@pytest.mark.parametrize("name", ["scores.parquet", "trajectories.parquet"])
def test_only_files_of_0_1_0_lack_a_checksum(tmp_path, name):
    """As others do where a flipped bit has changed the name of its key."""
    load = Scores.load if name == "scores.parquet" else Trajectory.load
    load(FILES / name).save(tmp_path / "again")
    table = parquet.read_table(tmp_path / "again")
    metadata = {key.replace(b"_crc32c", b"_crc32b"): value for key, value in table.schema.metadata.items()}
    parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "damaged")
    with pytest.raises(ValueError, match="the checksum of its header is missing"):
        load(tmp_path / "damaged")


@pytest.mark.parametrize("version", ["0.1.0", "format_2"])
def test_a_table_of_before_has_checksums_of_columns(tmp_path, version):
    table = parquet.read_table(FIXTURES / version / "table.parquet")
    place = table.column_names.index("key")
    other = table.set_column(place, "key", pyarrow.array(["a", "b", "d"]))
    parquet.write_table(other, tmp_path / "table")
    with pytest.raises(ValueError, match="got a damaged one: the checksum of column 'key' does not match"):
        zcfast.table("pytorchcv", tmp_path / "table")


@pytest.mark.parametrize("kind", ["scores", "trajectories", "table"])
def test_every_column_has_a_checksum(tmp_path, kind):
    """Those of scores and trajectories too, since Parquet's footer says which column is which, without any."""
    load = {
        "scores": Scores.load,
        "trajectories": Trajectory.load,
        "table": lambda path: zcfast.table("pytorchcv", path),
    }[kind]
    load(FILES / f"{kind}.parquet").save(tmp_path / "again")
    table = parquet.read_table(tmp_path / "again")
    for place, name in enumerate(table.column_names):
        column = table.column(place).combine_chunks()
        moved = pyarrow.concat_arrays([column.slice(1), column.slice(0, 1)])
        if moved == column:
            continue
        parquet.write_table(table.set_column(place, name, moved), tmp_path / "moved")
        with pytest.raises(ValueError, match=f"got a damaged one: the checksum of column '{name}' does not match"):
            load(tmp_path / "moved")
    # All kinds have one key and one form of header.
    header = json.loads(table.schema.metadata[b"zcfast"])
    assert (header["format"], header["kind"]) == (3, "accuracies" if kind == "table" else kind)
    assert set(table.schema.metadata) == {b"zcfast", b"zcfast_crc32c"}
