import dataclasses
import json

import pytest
import torch

from zcfast.report import text
from zcfast.scores import Scores
from zcfast.spaces import Graph
from zcfast.spaces import space as named_space
from zcfast.spaces.nasbench101 import NasBench101Cells
from zcfast.spaces.nasbench201 import NasBench201Cells


def edge_mask(*edges):
    return sum(1 << (source + target * (target - 1) // 2) for source, target in edges)


def draw(vertices, edges, operations):
    return [line.rstrip() for line in drawn("nasbench101", cell_of(vertices, edges, operations))]


def drawn(name, cell):
    return text.draw(named_space(name).capability(Graph).drawing(cell))


def cell_of(vertices, edges, operations):
    encoding = torch.tensor([vertices]).char(), torch.tensor([edge_mask(*edges)]).int(), torch.tensor([operations])
    return NasBench101Cells(*encoding[:2], encoding[2].char())


def test_the_smallest_cell():
    assert draw(2, [(0, 1)], [-1] * 5) == [
        "◆     0 input",
        "╰──◆  1 output     ← 0",
    ]


def test_rails_that_branch_join_end_and_are_passed():
    edges = [(0, 1), (0, 2), (1, 3), (0, 4), (3, 4), (1, 5), (2, 6), (4, 6), (5, 6)]
    assert draw(7, edges, [0, 1, 2, 0, 1]) == [
        "◆                    0 input",
        "├──◆                 1 conv3x3    ← 0",
        "├──│──◆              2 conv1x1    ← 0",
        "│  ├──│──◆           3 maxpool3x3 ← 1",
        "╰──│──│──┴──◆        4 conv3x3    ← 0, 3",
        "   ╰──│─────│──◆     5 conv1x1    ← 1",
        "      ╰─────┴──┴──◆  6 output     ← 2, 4, 5",
    ]


def test_a_rail_that_joins_and_goes_on():
    lines = draw(5, [(0, 1), (1, 2), (0, 3), (1, 3), (2, 4), (1, 4), (3, 4)], [2, 2, 2, -1, -1])
    assert lines[3] == "╰──┼──│──◆     3 maxpool3x3 ← 0, 1"


def test_lines_fit_a_narrow_terminal():
    every = [(source, target) for target in range(7) for source in range(target)]
    assert max(map(len, draw(7, every, [2] * 5))) <= 60


def test_nasbench201():
    assert drawn("nasbench201", NasBench201Cells(torch.tensor([[3, 1, 2, 0, 4, 3]]).char())) == [
        "0 → 1  nor_conv_3x3",
        "0 → 2  skip_connect  1 → 2  nor_conv_1x1",
        "0 → 3  none          1 → 3  avg_pool_3x3  2 → 3  nor_conv_3x3",
    ]


def test_best(scores, space):
    blocks = text.best(scores, "params", 2).split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == [
        "  1. expected_synflow -inf   params 10,000,000",
        "  2. expected_synflow 0.142857   params 9,999,999",
    ]
    first = [line.strip() for line in blocks[0].splitlines()[1:]]
    if space.name == "nasbench101":
        digest = space.keys(scores.cells[0])[0]
        assert first == [bytes(digest.tolist()).hex(), "◆     0 input", "╰──◆  1 output     ← 0"]
    else:
        assert first[:2] == [*space.format(scores.cells[0]), "0 → 1  avg_pool_3x3"]


def test_a_space_without_a_drawing(monkeypatch, scores, space):
    monkeypatch.setattr(type(space), "elsewhere", {})
    assert len(text.best(scores, "params", 1).splitlines()) == 2


def test_missing(scores):
    assert text.missing(scores) == []
    texts = ["failed: a", "undefined: b", "undefined: b", *[""] * (len(scores) - 3)]
    lacking = dataclasses.replace(scores, reasons={"params": texts})
    assert text.missing(lacking) == [f"params: no score for 3 of {len(scores)}; 2 of them undefined: b"]
    without = dataclasses.replace(lacking, reasons={"params": [""] * len(scores)})
    assert text.missing(without) == []


def test_numbers():
    assert [text.number(value) for value in (49979274, 114.23456789, float("-inf"), float("nan"))] == [
        "49,979,274",
        "114.235",
        "-inf",
        "nan",
    ]


def test_the_best_have_a_score():
    columns = {"snip": torch.tensor([1.0, torch.nan, torch.nan])}
    scores = Scores("nasbench201", named_space("nasbench201").enumerate()[:3], columns)
    assert text.best(scores, "snip", 3).startswith("  1. snip 1")
    assert "nan" not in text.best(scores, "snip", 3)


@pytest.mark.parametrize(
    "given",
    [
        {"a": "x " * 60, "b": [1, 2]},
        {"a": 'quotes \\" and, commas ' * 6, "b": 1, "c": {"d": ["e, f"] * 30}},
        {},
        "x, " * 60,
    ],
)
def test_json_over_several_lines_stays_json(given):
    written = json.dumps(given)
    lines = text.wrapped(written)
    assert json.loads("\n".join(lines)) == given
    assert " ".join(lines) == written


def test_lines_break_behind_commas():
    lines = text.wrapped(json.dumps({f"choice{i}": i for i in range(20)}))
    assert len(lines) > 3
    assert max(map(len, lines)) <= text.WIDTH - len(text.INDENT)
    assert text.wrapped('an odd " quote, and more') == ['an odd " quote, and more']
    assert text.wrapped("") == [""]
