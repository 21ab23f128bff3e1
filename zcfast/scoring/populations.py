"""Columns of scores that are made of other columns, of the whole set."""

from collections.abc import Sequence
from typing import Any

from zcfast.proxies.populations import populations
from zcfast.scores import Scores


def with_populations(scores: Scores, proxies: Sequence[Any]) -> Scores:
    """The scores with a column for each score of sets among the names asked for.

    Their columns come first where the first name is one of them, so that it ranks; else last.
    """
    known = populations()
    sets = [known[each] for each in proxies if isinstance(each, str) and each in known]
    if not sets:
        return scores
    columns = {each.name: each.score([scores.columns[part] for part in each.of]) for each in sets}
    meanings: dict[str, Any] = {
        each.name: {"definition": each.definition, "unit": "ln(share)", "source": each.source} for each in sets
    }
    parts = scores.protocol["columns"]
    if proxies[0] in known:
        columns, meanings = columns | scores.columns, meanings | parts
    else:
        columns, meanings = scores.columns | columns, parts | meanings
    return Scores(scores.space, scores.cells, columns, {**scores.protocol, "columns": meanings}, scores.reasons)
