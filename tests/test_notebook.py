import re

import torch

import zcfast
from tests.report.pages import HOSTILE, scores, table
from zcfast.scores import Scores


def cells(html: str) -> list[list[str]]:
    return [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)[1:]]


def test_scores_show_their_first_rows():
    made = scores(30)
    html = made._repr_html_()
    assert "nasbench201: 30 architectures, 3 scores" in html
    rows = cells(html)
    assert [row[0] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row[1] for row in rows] == [str(value) for value in made["ties"][:5].tolist()]
    assert [row[2] for row in rows] == ["-inf"] * 5
    assert "and 25 rows more" in html


def test_text_of_files_is_escaped():
    for html in (scores(3)._repr_html_(), table()._repr_html_()):
        assert "<script" not in html
        assert "<img" not in html
        assert "&lt;/script&gt;" in html
    assert "more" not in scores(3)._repr_html_()


def test_many_columns_and_no_rows():
    space = zcfast.space("nasbench101")
    columns = {f"p{number}": torch.zeros(0) for number in range(12)}
    html = Scores("nasbench101", space.enumerate()[:0], columns)._repr_html_()
    assert "nasbench101: 0 architectures, 12 scores" in html
    assert "<th>p7</th>" in html
    assert "p8" not in html
    assert "and 4 columns more" in html


def test_tables_show_their_metrics():
    html = table(missing=25)._repr_html_()
    assert "nasbench201: 15,625 architectures, 2 metrics" in html
    assert cells(html)[0] == ["test", "cifar10", "test", "200", "percent", "", "15,600"]
    assert HOSTILE not in html
