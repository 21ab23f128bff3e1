"""A design as one HTML page that opens without a network: trade-off, best networks, all that was tried."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from zcfast.designing import Design, Pick, summary
from zcfast.designing.considered import OVER
from zcfast.designing.found import RANK, choices, front
from zcfast.designing.limits import COUNTED
from zcfast.errors import check_kind, integer
from zcfast.notebook import number
from zcfast.report import cell_svg, provenance
from zcfast.report.document import rendered
from zcfast.report.page import legend
from zcfast.spaces import Cells, Graph
from zcfast.spaces.absent import AbsentSpace

ROWS = 20_000  # of the table on the page; the file has all
REASONS = 10  # different ones that are listed


def design(found: Design, *, top: int = 10) -> str:
    """What a design has found, as a page for a browser that asks for nothing from a network.

    It has the trade-off between place, or any score, and each cost, with the front marked; the best networks with
    their choices and sizes; a table of what was tried that is sorted by any column; limits, ranking, seed and versions.
    Of more than 20,000 architectures it has the better half of so many, every so manieth of the others, and all on a
    front.

    Args:
        found: the design.
        top: how many of the best networks are shown one by one.

    Returns:
        The HTML. What comes from the design is escaped.

    Raises:
        ValueError: no design, a negative `top`.
        ImportError: vl-convert-python or Jinja2 is missing; the message names the extra.
    """
    check_kind("found", found, Design)
    if integer("top", top) < 0:
        raise ValueError(f"top: expected a number of networks >= 0, got {top}")
    best = [_best(found, pick) for pick in found.top(top)]
    data, rows = _data(found)
    return rendered(
        "design.html",
        ("charts.js", "trade_off.js", "common.js", "design.js"),
        data,
        title=found.space.title,
        summary=summary(found),
        counts=_counts(found),
        limits=_limits(found),
        best=best,
        legend=legend(found.tried),
        known=not isinstance(found.space, AbsentSpace),
        left_out=f"{len(found.tried) - rows:,}" if rows < len(found.tried) else "",
        failures=_failures(found),
        ranking=_ranking(found),
        columns=provenance.of_columns(found.tried),
        run=provenance.of_run(found.tried),
    )


def costs(found: Design) -> list[str]:
    """The columns that say what an architecture costs: what is limited first."""
    known = dict.fromkeys([*found.protocol["limits"], *found.protocol["minimise"], *COUNTED])
    return [name for name in known if name in found.tried.columns]


def _data(found: Design) -> tuple[dict[str, Any], int]:
    """What the programs draw, as JSON values, and how many rows of the design that has."""
    fronts = {name: front(found.scores[name]) for name in costs(found)}
    ranked = len(found)
    rows = _rows(ranked, len(found.tried), {row for each in fronts.values() for row in each})
    place = {row: at for at, row in enumerate(rows)}
    cells = found.tried.cells[rows]
    states = _states(found, rows)
    known = sorted(set(states))
    meanings = found.tried.provenance.columns
    return {
        "ranked": ranked,
        "places": [row + 1 if row < ranked else None for row in rows],
        "columns": [
            {
                "name": name,
                "unit": meanings[name].unit if name in meanings else "",
                "values": [_plain(value) for value in column[rows].tolist()],
            }
            for name, column in found.tried.columns.items()
            if name != RANK
        ],
        "costs": list(fronts),
        "fronts": {name: [place[row] for row in each] for name, each in fronts.items()},
        "limits": found.protocol["limits"],
        "states": known,
        "state": [known.index(each) for each in states],
        "choices": _choices(found.space.format(cells), cells),
    }, len(rows)


def _rows(ranked: int, total: int, always: set[int]) -> list[int]:
    """Which rows the page has: all, or the best half of so many, and of the others every so manieth."""
    if total <= ROWS:
        return list(range(total))
    best = min(ranked, ROWS // 2)
    step = math.ceil((total - best) / (ROWS - best))
    return sorted({*range(best), *range(best, total, step), *always})


def _states(found: Design, rows: Sequence[int]) -> list[str]:
    """Why a row is not ranked; "" where it is."""
    reasons, ranked = found.tried.reasons.get(RANK, []), len(found)
    return [reasons[row] if reasons and row >= ranked else "" for row in rows]


def _plain(value: float) -> float | str | None:
    """A number as JSON has it: infinity as its name, none for NaN, seven digits of a fraction."""
    if isinstance(value, int):
        return value
    if math.isnan(value):
        return None
    return float(f"{value:.7g}") if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _choices(texts: Sequence[str], cells: Cells) -> list[dict[str, Any]]:
    """Each choice by name, its options in order, and by row the place of its option; -1 where a row has none."""
    chosen = [choices(text, cells) for text in texts]
    found = []
    for name in dict.fromkeys(name for each in chosen for name in each):
        written = [_written(each[name]) if name in each else None for each in chosen]
        options = sorted({each for each in written if each is not None}, key=_order)
        places = {option: place for place, option in enumerate(options)}
        found.append({"name": name, "options": options, "of": [-1 if x is None else places[x] for x in written]})
    return found


def _written(option: Any) -> str:
    return option if isinstance(option, str) else json.dumps(option, ensure_ascii=False)


def _order(option: str) -> tuple[bool, float, str]:
    """Numbers by size, before texts."""
    try:
        return False, float(option), option
    except ValueError:
        return True, 0.0, option


def _counts(found: Design) -> list[tuple[str, str]]:
    """Numbers for the head of the page."""
    made = found.protocol
    left_out = made["considered"] - len(found.tried)  # all of them over a limit
    over = found.tried.reasons.get(RANK, []).count(OVER) + left_out
    counted = {"considered": made["considered"], "within the limits": made["within"], "over a limit": over}
    counted |= {"without a network or a score": made["failed"], "ranked again": made["second"]}
    return [(words, f"{count:,}") for words, count in counted.items() if count]


def _limits(found: Design) -> list[tuple[str, str, str, str]]:
    """Each limit with what the best one and the cheapest and the dearest that were tried have."""
    table = []
    for name, most in found.protocol["limits"].items():
        column = found.tried[name]
        known = column[~column.isnan()]
        between = f"{number(known.min().item())} to {number(known.max().item())}" if len(known) else ""
        table.append((name, number(most), number(column[0].item()) if len(found) else "", between))
    return table


def _best(found: Design, pick: Pick) -> dict[str, Any]:
    """One network as texts and a drawing."""
    graph = found.space.offers(Graph)
    return {
        "svg": "" if graph is None else cell_svg.draw(graph.drawing(pick.cell)),
        "values": [(name, number(value)) for name, value in pick.values.items() if name != RANK],
        "choices": [(name, _written(option)) for name, option in pick.choices.items() if name != "architecture"],
        "text": pick.architecture,
    }


def _failures(found: Design) -> list[tuple[str, str]]:
    """How many have no network or no score, by reason, the most frequent first."""
    reasons = Counter(each for each in found.tried.reasons.get(RANK, []) if each and each != OVER)
    listed = [(f"{times:,}", text) for text, times in reasons.most_common(REASONS)]
    others = reasons.total() - sum(times for _, times in reasons.most_common(REASONS))
    return [*listed, (f"{others:,}", "other reasons; the table and the file have each")] if others else listed


def _ranking(found: Design) -> list[tuple[str, str]]:
    """How it ranked, in words; a predictor of the caller's accuracies by its own name."""
    made, described = found.protocol, []
    names = ("First stage", "Second stage")
    stages = [[made["trained"]], *made["stages"][1:]] if "trained" in made else made["stages"]
    for name, stage, many in zip(names, stages, (made["within"], made["second"]), strict=False):
        combined = " by the sum of the logarithms of their ranks" if len(stage) > 1 else ""
        small = ", of which small numbers rank first where a minus is" if any(x.startswith("-") for x in stage) else ""
        described.append((name, f"{', '.join(stage)}{combined}{small}: {many:,} architectures"))
    traded = [("Traded off", ", ".join(made["minimise"]))] if made["minimise"] else []
    return [*described, *traded, ("Seed", str(made["seed"]))]
