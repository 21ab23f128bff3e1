import re
from xml.etree import ElementTree

import pytest
import torch

import zcfast
from zcfast.report import cell_svg
from zcfast.spaces import Graph


def svg(name, cell):
    return cell_svg.draw(zcfast.space(name).capability(Graph).drawing(cell))


def drawing(name: str, text: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg(name, zcfast.space(name).parse(text)))


def texts(element: ElementTree.Element) -> list[str]:
    return [text.text for text in element.iter("text")]


def test_nasbench101_has_a_box_a_vertex_and_an_arrow_an_edge():
    drawn = drawing("nasbench101", "conv3x3:0|conv1x1:0,1|maxpool3x3:1,2|output:0,3")
    assert texts(drawn) == ["in", "3×3", "1×1", "pool", "out"]
    groups = [group.get("class") for group in drawn]
    assert groups.count("edge plain") == 7
    assert groups[7:] == ["vertex end", "vertex conv3", "vertex conv1", "vertex pool", "vertex end"]
    assert drawn.get("aria-label") == (
        "Cell: 0 in, 1 3×3, 2 1×1, 3 pool, 4 out; edges 0 to 1, 0 to 2, 1 to 2, 1 to 3, 2 to 3, 0 to 4, 3 to 4"
    )


def test_nasbench201_names_the_operation_of_every_edge():
    drawn = drawing("nasbench201", "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|")
    assert texts(drawn) == ["0", "1", "2", "3", "3×3", "pool", "skip", "1×1"]
    edges = [group.get("class") for group in drawn if group.get("class").startswith("edge")]
    assert edges == ["edge conv3", "edge none", "edge pool", "edge skip", "edge conv1", "edge none"]


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_nothing_is_drawn_outside_the_picture(name):
    space = zcfast.space(name)
    cells = space.sample(200, torch.Generator().manual_seed(0))
    for row in range(len(cells)):
        drawn = ElementTree.fromstring(svg(name, cells[row]))
        width, height = map(float, drawn.get("viewBox").split()[2:])
        for box in drawn.iter("rect"):
            x, y, w, h = (float(box.get(key)) for key in ("x", "y", "width", "height"))
            assert x >= 0
            assert y >= 0
            assert x + w <= width
            assert y + h <= height
        for arc in re.findall(r"M\S+ (\S+)C\S+ (\S+) \S+ \S+ \S+ (\S+)\"", ElementTree.tostring(drawn, "unicode")):
            start, control, end = map(float, arc)
            assert 0 <= (start + 6 * control + end) / 8 <= height  # the middle of the curve
