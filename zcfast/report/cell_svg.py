"""A cell drawn as its graph, in SVG: vertices on a line, edges that skip vertices as arcs above and below."""

from __future__ import annotations

from typing import NamedTuple

from zcfast.spaces import Cells, NasBench101Cells, NasBench201Cells, nasbench201

STEP, HALF_WIDTH, HALF_HEIGHT, RISE = 66, 23, 12, 15  # pixels
LABELS_101 = ("3×3", "1×1", "pool")
KINDS_101 = ("conv3", "conv1", "pool")
LABELS_201 = ("none", "skip", "1×1", "3×3", "pool")
KINDS_201 = ("none", "skip", "conv1", "conv3", "pool")


class _Edge(NamedTuple):
    source: int
    target: int
    label: str = ""
    kind: str = "plain"


def draw(cell: Cells) -> str:
    """A batch of one cell as an <svg> element; "" for a space without a drawing.

    Its texts are ours alone, whatever the file held. Its classes (`conv3`, `conv1`, `pool`, `skip`, `none`, `end`) are
    coloured by the page.
    """
    if isinstance(cell, NasBench101Cells):
        codes = cell.operations[0].tolist()[: int(cell.vertices) - 2]
        vertices = [("in", "end"), *((LABELS_101[code], KINDS_101[code]) for code in codes), ("out", "end")]
        mask = int(cell.edges)
        edges = [_Edge(x, y) for y in range(len(vertices)) for x in range(y) if mask >> (x + y * (y - 1) // 2) & 1]
        return _svg(vertices, edges, STEP)
    if isinstance(cell, NasBench201Cells):
        vertices = [("0", "end"), ("1", "end"), ("2", "end"), ("3", "end")]
        pairs = zip(nasbench201.EDGES, cell.operations[0].tolist(), strict=True)
        return _svg(vertices, [_Edge(*edge, LABELS_201[code], KINDS_201[code]) for edge, code in pairs], 2 * STEP)
    return ""


def _svg(vertices: list[tuple[str, str]], edges: list[_Edge], step: int) -> str:
    sides = _sides(edges)
    rises = [sides[edge] * (RISE + RISE * (edge.target - edge.source)) if sides[edge] else 0 for edge in edges]
    # A cubic curve reaches three quarters of its control points' distance.
    top, bottom = ([rise * 0.75 for rise in rises if rise * sign > 0] for sign in (1, -1))
    above = HALF_HEIGHT + 4 + max(0, *top, 0)
    below = HALF_HEIGHT + 4 - min(0, *bottom, 0)
    width, height = 2 * HALF_WIDTH + 4 + step * (len(vertices) - 1), above + below
    lines = [_path(edge, rise, step, above) for edge, rise in zip(edges, rises, strict=True)]
    boxes = [_vertex(x * step + HALF_WIDTH + 2, above, *vertex) for x, vertex in enumerate(vertices)]
    pills = [_pill(edge, rise, step, above) for edge, rise in zip(edges, rises, strict=True) if edge.label]
    return (
        f'<svg class="cell" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{_in_words(vertices, edges)}">{"".join(lines + boxes + pills)}</svg>'
    )


def _sides(edges: list[_Edge]) -> dict[_Edge, int]:
    """1 for an arc above the line, -1 for one below, 0 for an edge between neighbours; short arcs choose first."""
    sides: dict[_Edge, int] = {}
    for edge in sorted(edges, key=lambda edge: (edge.target - edge.source, edge.source)):
        if edge.target - edge.source == 1:
            sides[edge] = 0
            continue
        crossings = {side: sum(_cross(edge, other) for other in sides if sides[other] == side) for side in (1, -1)}
        load = {side: sum(placed == side for placed in sides.values()) for side in (1, -1)}
        sides[edge] = min((1, -1), key=lambda side: (crossings[side], load[side]))
    return sides


def _cross(first: _Edge, second: _Edge) -> bool:
    first, second = sorted((first, second))
    return first.source < second.source < first.target < second.target


def _path(edge: _Edge, rise: float, step: int, middle: float) -> str:
    """A line with an arrow's head; an arc leaves and enters the box at its upper or lower side."""
    start, end = (vertex * step + HALF_WIDTH + 2 for vertex in (edge.source, edge.target))
    if not rise:
        start, end = start + HALF_WIDTH, end - HALF_WIDTH
        head = f"M{end - 6} {middle - 3.5:g}L{end} {middle:g}L{end - 6} {middle + 3.5:g}z"
        shape = f"M{start} {middle:g}H{end - 5}"
    else:
        start, end = start + 9, end - 9
        edge_y = middle - HALF_HEIGHT if rise > 0 else middle + HALF_HEIGHT
        away = 6 if rise > 0 else -6
        control = middle - rise - (HALF_HEIGHT if rise > 0 else -HALF_HEIGHT) / 3
        head = f"M{end - 3.5} {edge_y - away:g}L{end} {edge_y:g}L{end + 3.5} {edge_y - away:g}z"
        shape = f"M{start} {edge_y:g}C{start} {control:g} {end} {control:g} {end} {edge_y - away:g}"
    return f'<g class="edge {edge.kind}"><path d="{shape}"/><path class="head" d="{head}"/></g>'


def _vertex(x: float, y: float, label: str, kind: str) -> str:
    box = (
        f'<rect x="{x - HALF_WIDTH:g}" y="{y - HALF_HEIGHT:g}" width="{2 * HALF_WIDTH}" height="{2 * HALF_HEIGHT}" '
        'rx="7"/>'
    )
    return f'<g class="vertex {kind}">{box}<text x="{x:g}" y="{y + 4:g}">{label}</text></g>'


def _pill(edge: _Edge, rise: float, step: int, middle: float) -> str:
    """The operation of an edge, on its middle."""
    if edge.kind == "none":
        return ""
    x = (edge.source + edge.target) * step / 2 + HALF_WIDTH + 2
    return f'<g class="pill">{_vertex(x, middle - rise * 0.75, edge.label, edge.kind)}</g>'


def _in_words(vertices: list[tuple[str, str]], edges: list[_Edge]) -> str:
    if any(edge.label for edge in edges):
        return "Cell: " + ", ".join(f"{edge.source} to {edge.target} {edge.label}" for edge in edges)
    names = ", ".join(f"{number} {label}" for number, (label, _) in enumerate(vertices))
    return f"Cell: {names}; edges {', '.join(f'{edge.source} to {edge.target}' for edge in edges)}"
