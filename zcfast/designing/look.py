"""A look at one architecture that has to be built: what it costs, and its scores if it keeps to the limits."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from zcfast.designing.limits import Cost
from zcfast.errors import first_line
from zcfast.nets.seeding import seeded
from zcfast.scoring.store import Row
from zcfast.scoring.task import Task
from zcfast.spaces import Cells, Decisions, SearchSpace, Space, Texts
from zcfast.spaces.own.choices import Categorical, Choice
from zcfast.spaces.own.sizes import counted, work_of

TEXT = "architecture"  # the entry of a row whose reason is the architecture's text
BUILT = "network"  # the entry whose reason says why there is no network


@dataclass(frozen=True, eq=False)
class Look:
    """Called with a proposal, it gives the row of the architecture.

    Attributes:
        questions: what a proposal of answers, as JSON, answers; without any a proposal is an architecture's text.
        costs: what an architecture costs, and the limits.
        task: scores it; None where nothing is sampled in the first stage.
        network: options of the network.
    """

    space: SearchSpace[Any]
    questions: Mapping[str, Choice]
    costs: Sequence[Cost]
    task: Task | None
    network: dict[str, Any]

    def __call__(self, proposal: str) -> Row:
        """Costs and scores, each with the reason why there is none."""
        text, sizes, reason = proposed(self.space, self.questions, proposal)
        row: Row = {TEXT: (0.0, text), BUILT: (0.0, reason)}
        if reason:
            return row
        try:
            cell = Texts((text,)) if isinstance(self.space, Space) else self.space.parse(text)
            row |= {cost.name: (self._cost(cost, cell, sizes), "") for cost in self.costs}
        except Exception as error:  # a foreign net, or a function of the caller's
            return {**row, BUILT: (0.0, first_line(error))}
        kept = all(row[cost.name][0] <= cost.most for cost in self.costs if cost.most < math.inf)
        if kept and self.task is not None:
            row |= dataclasses.replace(self.task, cells=cell)(0)
        return row

    def _cost(self, cost: Cost, cell: Cells, sizes: dict[str, int] | None) -> float:
        if cost.source is None and sizes is not None and cost.name in sizes:
            return float(sizes[cost.name])
        return float(cost.of(self.space, cell, **self.network)[0])


def proposed(
    space: SearchSpace[Any], questions: Mapping[str, Choice], proposal: str
) -> tuple[str, dict[str, int] | None, str]:
    """The text of a proposed architecture, its sizes where the answers had to be built, and why it is none."""
    if not questions:
        return proposal, None, ""
    answers = json.loads(proposal)
    if isinstance(space, Space):
        return _built(space, questions, answers, proposal)
    choices = torch.tensor([[answers[name] for name in questions]])
    cells = space.capability(Decisions).encode(choices)
    (reason,) = space.reasons(cells)
    return (str(answers), None, reason) if reason else (space.format(cells)[0], None, "")


def _built(
    space: Space, questions: Mapping[str, Choice], answers: Mapping[str, Any], proposal: str
) -> tuple[str, dict[str, int] | None, str]:
    """As ``proposed``, for a function from choices, which is run once for its text and its sizes."""
    names = {choice: name for name, choice in questions.items()}
    # What the questions do not know is drawn.
    generator = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(proposal.encode()).digest()[:8], "big"))

    def answer(choice: Choice) -> Any:
        return answered(choice, answers[names[choice]]) if choice in names else choice.draw(generator)

    text, made = space.respond(answer)
    if isinstance(made, str):
        return text, None, made
    try:
        with seeded(0), torch.no_grad():
            params, kinds = counted(made, lambda: space.outline(text), space.example.inputs)
        return text, {"params": params, **dict.fromkeys(("flops", "multiply_adds"), work_of(kinds))}, ""
    except Exception as error:  # a foreign net
        return text, None, first_line(error)


def answered(choice: Choice, given: Any) -> Any:
    """The option that a sampler's answer stands for: the place of an option, or a number of a range without steps."""
    return given if choice.size is None else choice.option(given)


def questions(space: SearchSpace[Any]) -> dict[str, Choice]:
    """What a sampler may choose for the space, by names of which no two are equal; nothing where it has no choices."""
    if isinstance(space, Space):
        known: Sequence[Choice] = space.questions
    else:
        decisions = space.offers(Decisions)
        sizes = () if decisions is None else decisions.sizes
        known = [Categorical(f"choice{place}", tuple(range(size))) for place, size in enumerate(sizes)]
    times = [choice.name for choice in known]
    return {choice.name if times.count(choice.name) == 1 else f"{choice.name}: {choice}": choice for choice in known}
