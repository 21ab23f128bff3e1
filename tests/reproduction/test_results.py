import dataclasses
import math

import pytest

from reproduction.output import markdown
from reproduction.paper import Reference
from reproduction.results import Result, Row

ROW = Row("space", "test", "snip", "Spearman", 20, 0.7, 0.65, 0.75, Reference(0.64, 0.641, "paper: p; authors: a"))


@pytest.mark.parametrize(
    ("reference", "outside"),
    [
        (Reference(0.64), True),
        (Reference(0.645), False),  # two digits: it may have been 0.65
        (Reference(None, 0.645), True),
        (Reference(None, 0.6496), False),
        (Reference(0.76), True),
        (Reference(0.7, 0.1), False),  # the paper's own number counts first
        (Reference(), False),
    ],
)
def test_a_number_outside_the_interval(reference, outside):
    row = dataclasses.replace(ROW, reference=reference)
    assert row.outside is outside


def test_no_number_of_ours_is_never_outside():
    row = Row("space", "test", "snip", "Spearman", reference=Reference(0.6))
    assert not row.outside
    assert math.isnan(row.difference)


def test_markdown_has_stars_sources_and_each_note_once():
    rows = [
        dataclasses.replace(ROW, note="few"),
        dataclasses.replace(ROW, proxy="grasp", reference=Reference(), note="few"),
        dataclasses.replace(ROW, proxy="fisher", ours=math.nan, low=math.nan, high=math.nan, note="none"),
    ]
    lines = markdown(Result("table1", "Title", rows, ("All.",))).splitlines()
    assert lines[0] == "# Table 1: Title"
    assert "| space | test | snip | 20 | 0.640 | 0.641 | 0.700 | 0.650 to 0.750 | +0.060 * | 1 |" in lines
    assert "| space | test | grasp | 20 | n/a | n/a | 0.700 | 0.650 to 0.750 | n/a | 1 |" in lines
    assert "| space | test | fisher | 20 | 0.640 | 0.641 | n/a | n/a | n/a | 2 |" in lines
    assert [line for line in lines if line.startswith(("1.", "2."))] == ["1. few", "2. none"]
    assert lines.count("- paper: p") == lines.count("- authors: a") == lines.count("- All.") == 1
    assert "- n/a: this number was in no source of the paper that could be read." in lines
