"""Scores of sets of networks, which are made of the scores that proxies give each network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zcfast.order import log_rank_sum


@dataclass(frozen=True)
class Population:
    """A sum over several columns of ln(rank / N), average ranks and N the best: the score of each of N networks.

    A network without a score in some column ranks last there; one that gives none has no score of the set, and is
    none of the N. A column whose values are all equal moves no rank.

    Attributes:
        name: the column's.
        of: names of the proxies whose columns it ranks.
        definition, source: as of a proxy.
    """

    name: str
    of: tuple[str, ...]
    definition: str
    source: str

    def score(self, columns: Sequence[Tensor]) -> Tensor:
        """[N] float64 of columns [N] in the order of `of`, higher is better."""
        return log_rank_sum([column.double().nan_to_num(-torch.inf, torch.inf, -torch.inf) for column in columns])


AZ_NAS = Population(
    "az_nas",
    ("az_expressivity", "az_progressivity", "az_trainability", "flops"),
    "Sum over az_expressivity, az_progressivity, az_trainability and flops of ln(rank / N) among the scored.",
    "Lee and Ham 2024 (AZ-NAS: assembling zero-cost proxies for network architecture search)",
)

VKDNW_AGG = Population(
    "vkdnw_agg",
    ("vkdnw_entropy", *AZ_NAS.of),
    "Sum over vkdnw_entropy and the columns of az_nas of ln(rank / N) among the scored.",
    "Tybl and Neumann 2025 (VKDNW: variance of knowledge of deep network weights)",
)

_POPULATIONS = {each.name: each for each in (AZ_NAS, VKDNW_AGG)}


def populations() -> Mapping[str, Population]:
    """All scores of sets by name."""
    return dict(_POPULATIONS)


def with_parts(names: Sequence[Any]) -> list[Any]:
    """The names asked for without those of populations, with the parts of these that are not asked for themselves."""
    wanted = {each for each in names if isinstance(each, str)}
    listed: list[Any] = []
    for each in names:
        parts = _POPULATIONS[each].of if isinstance(each, str) and each in _POPULATIONS else (each,)
        listed += [part for part in parts if part is each or (part not in wanted and part not in listed)]
    return listed
