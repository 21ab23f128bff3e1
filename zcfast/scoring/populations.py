"""Columns of scores that are made of other columns, of the whole set."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from zcfast.data.provenance import Meaning
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
    meanings = {each.name: Meaning(each.definition, "ln(share)", each.source) for each in sets}
    parts = {**scores.provenance.columns}
    if proxies[0] in known:
        columns, meanings = columns | scores.columns, meanings | parts
    else:
        columns, meanings = scores.columns | columns, parts | meanings
    provenance = dataclasses.replace(scores.provenance, columns=meanings)
    return dataclasses.replace(scores, columns=columns, provenance=provenance)
