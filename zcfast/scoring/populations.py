"""Columns of scores that are made of other columns, of the whole set."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from zcfast.data.provenance import Meaning
from zcfast.order import spread
from zcfast.proxies.populations import Population, populations
from zcfast.scores import Scores


def with_populations(scores: Scores, proxies: Sequence[Any], sampled: Sequence[str]) -> Scores:
    """The scores with a column for each score of sets among the names asked for.

    Their columns come first where the first name is one of them, so that it ranks; else last.

    Args:
        scores: with the columns of all parts.
        proxies: the names asked for.
        sampled: those columns that networks gave.
    """
    known = populations()
    sets = [known[each] for each in proxies if isinstance(each, str) and each in known]
    if not sets:
        return scores
    columns = {each.name: set_score(each, scores.columns, sampled) for each in sets}
    reasons = {
        each.name: _reasons(each, columns[each.name], scores.reasons, sampled, absent(each, scores.columns, sampled))
        for each in sets
    }
    meanings = {each.name: set_meaning(each) for each in sets}
    parts = {**scores.provenance.columns}
    if proxies[0] in known:
        columns, meanings = columns | scores.columns, meanings | parts
    else:
        columns, meanings = scores.columns | columns, parts | meanings
    provenance = dataclasses.replace(scores.provenance, columns=meanings)
    reasons = {**scores.reasons, **{name: texts for name, texts in reasons.items() if any(texts)}}
    return dataclasses.replace(scores, columns=columns, provenance=provenance, reasons=reasons)


def set_meaning(population: Population) -> Meaning:
    """What the column of a score of sets is."""
    return Meaning(population.definition, "ln(share)", population.source)


def set_score(population: Population, columns: Mapping[str, Tensor], sampled: Sequence[str]) -> Tensor:
    """The score of sets of its parts' columns [N], among the rows of which a network gave some part; NaN for others.

    NaN for all where no network gave some part: what is left is another score.
    """
    parts = [columns[name].double() for name in population.of]
    if absent(population, columns, sampled):
        return torch.full_like(parts[0], torch.nan)
    given = [columns[name].double() for name in population.of if name in sampled]
    scored = ~torch.stack(given or parts).isnan().all(0)
    return spread(population.score([part[scored] for part in parts]), scored, len(scored))


def absent(population: Population, columns: Mapping[str, Tensor], sampled: Sequence[str]) -> list[str]:
    """The parts that no network gave."""
    return [name for name in population.of if name in sampled and len(columns[name]) and columns[name].isnan().all()]


def _reasons(
    population: Population,
    column: Tensor,
    reasons: Mapping[str, Sequence[str]],
    sampled: Sequence[str],
    missing: Sequence[str],
) -> list[str]:
    """Why rows have no score of sets: the first reason of a part that no network gave, or else of any."""
    wanted = missing or [name for name in population.of if name in sampled]
    texts = [reasons[name] for name in wanted if name in reasons]
    first = [next(filter(None, each), "") for each in zip(*texts, strict=True)] or [""] * len(column)
    return [text if without else "" for text, without in zip(first, column.isnan().tolist(), strict=True)]
