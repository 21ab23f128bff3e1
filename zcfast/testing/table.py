"""What every table of accuracies keeps to."""

from pathlib import Path

import pytest
import torch

from zcfast.spaces import as_space
from zcfast.tables import Table, load


def check_table(table: Table, directory: Path) -> None:
    """Metrics are found by row, name and seed, and come back from a file as they are.

    Args:
        table: of a space or a benchmark that has a name here.
        directory: an empty one, for a file.
    """
    assert set(table.headline) <= set(table.metrics)
    assert len(table.description.splitlines()) == 1
    rows = torch.arange(0, len(table), max(1, len(table) // 50))
    for name, metric in table.metrics.items():
        column = table[name]
        assert (column.dtype, column.shape) == (torch.float64, (len(table),))
        assert _equal(table.query(rows, name), column[rows])
        for seed in metric.seeds:
            assert _equal(table.query(rows, name, seed), metric.at(rows, seed))
        with pytest.raises(ValueError, match="seed: expected one of the table's"):
            table.query(rows, name, -1)
    for name in table.headline[:1]:
        if table.names:
            keys = [table.names[row] for row in rows.tolist()]
        else:
            space = as_space(table.space)
            keys = space.format(space.enumerate()[rows])
        assert _equal(table.query(keys, name), table[name][rows])
    with pytest.raises(ValueError, match="unknown metric 'no metric'"):
        table.query(rows, "no metric")
    table.save(directory / "table")
    again = load(table.space, directory / "table")
    assert (again.space, again.headline, again.names) == (table.space, table.headline, table.names)
    assert again.description == table.description
    for name, metric in table.metrics.items():
        assert _equal(again.metrics[name].values.double(), metric.values.double())
        assert again.metrics[name].seeds == metric.seeds


def _equal(first: torch.Tensor, second: torch.Tensor) -> bool:
    return torch.equal(first.isnan(), second.isnan()) and torch.equal(first.nan_to_num(), second.nan_to_num())
