import pytest
import torch

from zcfast import tables
from zcfast.tables import Metric, Table
from zcfast.testing import check_table

GENERATOR = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("space", ["nasbench201", "tests.search.test_own_spaces:Listed"])
def test_contract(space, tmp_path):
    import zcfast

    values = torch.rand(2, len(zcfast.space(space)), generator=GENERATOR)
    values[0, ::7] = torch.nan
    metrics = {
        "test": Metric(values, "images", "test", 200, "percent", (0, 1)),
        "mean": Metric(values[:1], "", "", None, ""),
    }
    check_table(Table(space, metrics, ("test",), "drawn"), tmp_path)


def test_contract_of_named_architectures(tmp_path):
    metrics = {"error": Metric(torch.tensor([[40.0, 30.0]]), "imagenet", "test", None, "percent")}
    table = Table("pytorchcv", metrics, ("error",), "two networks", ("alexnet", "vgg11"))
    check_table(table, tmp_path)
    assert tables.load("pytorchcv", tmp_path / "table").names == table.names
