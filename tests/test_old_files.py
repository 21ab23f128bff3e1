"""Files that 0.1.0 wrote still load."""

from pathlib import Path

import pytest
import torch
from pyarrow import parquet

import zcfast
from zcfast.scores import Scores
from zcfast.search import Trajectory

FILES = Path(__file__).parent / "fixtures" / "0.1.0"


@pytest.mark.parametrize(
    ("name", "space", "columns"),
    [
        ("scores.parquet", "nasbench201", ["params", "flops"]),
        ("scores101.parquet", "nasbench101", ["params", "expected_synflow"]),
    ],
)
def test_scores(name, space, columns):
    loaded, own = Scores.load(FILES / name), zcfast.space(space)
    assert (loaded.space.name, list(loaded.columns)) == (space, columns)
    assert own.index(loaded.cells).tolist() == [0, 1, 2]
    again = zcfast.score_space(own, columns, cells=loaded.cells)
    assert all(torch.equal(loaded[column], again[column]) for column in columns)


def test_trajectories():
    loaded = Trajectory.load(FILES / "trajectories.parquet")
    assert loaded.rows.tolist() == [[3, 5], [7, -1]]
    assert loaded.objective.nan_to_num(-1).tolist() == [[0.5, 0.25], [0.75, -1]]
    assert loaded.report.nan_to_num(-1).tolist() == [[0.5, 0.125], [1, -1]]
    assert loaded.protocol["algorithm"] == {"name": "random_search"}


def test_tables():
    loaded = zcfast.table("pytorchcv", FILES / "table.parquet")
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
