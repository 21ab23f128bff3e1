"""Scores and accuracies to make pages of, with everything in them that can go wrong."""

import json
import re

import pytest
import torch

import zcfast
from zcfast.data.provenance import Meaning, Provenance
from zcfast.scores import Scores
from zcfast.tables import Metric, Table

HOSTILE = "</script><script>document.title='run'</script><img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}"
SPACE = zcfast.space("nasbench201")


def needs_extra() -> None:
    pytest.importorskip("vl_convert", reason="needs the extra zcfast[report]")
    pytest.importorskip("jinja2", reason="needs the extra zcfast[report]")


def table(missing: int = 0, space=SPACE) -> Table:
    """Two metrics, one of them hostile; the first `missing` architectures have no accuracy."""
    generator = torch.Generator().manual_seed(1)
    accuracies = 50 + 40 * torch.rand(2, 1, len(space), generator=generator, dtype=torch.float64)
    accuracies[:, :, :missing] = torch.nan
    metrics = {
        "test": Metric(accuracies[0], "cifar10", "test", 200, "percent"),
        HOSTILE: Metric(accuracies[1], HOSTILE, HOSTILE, None, HOSTILE),
    }
    return Table(space.name, metrics, tuple(metrics), HOSTILE)


def scores(rows: int, space=SPACE) -> Scores:
    """Integers with ties, -inf, NaN with reasons and a hostile column, in the order of the space."""
    generator = torch.Generator().manual_seed(2)
    drawn = torch.randn(rows, generator=generator, dtype=torch.float64)
    zeros, holes = drawn.clone(), -drawn
    zeros[: rows // 5] = -torch.inf
    holes[rows // 2 :: 3] = torch.nan
    reasons = ["failed: " + HOSTILE if value.isnan() else "" for value in holes]
    columns = {"ties": (3 * drawn).round().long(), "zeros": zeros, HOSTILE: holes}
    meanings = {"ties": Meaning(HOSTILE, HOSTILE, HOSTILE)}
    provenance = Provenance("0.1.0", columns=meanings, options={HOSTILE: [HOSTILE]})
    given = {HOSTILE: reasons} if any(reasons) else {}
    return Scores(space.name, space.enumerate()[:rows], columns, provenance, given)


def data_of(page: str) -> dict:
    """The numbers that the page draws."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])
