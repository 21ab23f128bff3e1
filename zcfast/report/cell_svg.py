"""A cell drawn as its graph, in SVG: vertices on a line, edges that skip vertices as arcs above and below."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from zcfast.spaces.capabilities import Drawing

STEP, HALF_WIDTH, HALF_HEIGHT, RISE = 66, 23, 12, 15  # pixels


class _Edge(NamedTuple):
    source: int
    target: int
    label: str = ""
    kind: str = "plain"


def draw(drawing: Drawing) -> str:
    """An architecture as an <svg> element.

    Its texts are the space's alone, whatever a file held. Its classes are the kinds of ``Mark``, coloured by the page.
    """
    vertices = [(mark.short, mark.kind) for mark in drawing.vertices]
    edges = [_Edge(x, y, mark.short, mark.kind) if mark else _Edge(x, y) for x, y, mark in drawing.edges]
    return _svg(vertices, edges, 2 * STEP if any(edge.label for edge in edges) else STEP)


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
        f'aria-label="{escape(_in_words(vertices, edges))}">{"".join(lines + boxes + pills)}</svg>'
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
    return f'<g class="vertex {kind}">{box}<text x="{x:g}" y="{y + 4:g}">{escape(label)}</text></g>'


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
