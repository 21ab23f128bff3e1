"""What a design has found: every architecture that was considered, the best first."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zcfast import notebook
from zcfast.errors import integer
from zcfast.scores import Scores
from zcfast.spaces import Enumerated, SearchSpace, Space
from zcfast.spaces.cells import Texts

if TYPE_CHECKING:
    import optuna
    import pyarrow

RANK = "design"  # the column that every design has


@dataclass(frozen=True, eq=False)
class Pick:
    """One architecture that a design has found.

    Attributes:
        space: its space.
        cell: the architecture, a batch of one.
        values: its scores and costs by name.
        network: options of the network.
        seed: of the weights that ``build`` draws.
    """

    space: SearchSpace[Any]
    cell: Any
    values: dict[str, float]
    network: dict[str, Any]
    seed: int

    @property
    def architecture(self) -> str:
        """Its text."""
        return self.space.format(self.cell)[0]

    @property
    def choices(self) -> dict[str, Any]:
        """Its choices by name, for a space of a function from choices; its text alone for any other."""
        return choices(self.architecture, self.cell)

    def build(self, **options: Any) -> nn.Module:
        """Its network, with weights drawn by the seed; options are those of ``space.build``."""
        given = {"generator": torch.Generator().manual_seed(self.seed), **self.network, **options}
        return self.space.build(self.cell, **given)

    def export(self, path: str | os.PathLike[str], module: nn.Module | None = None) -> nn.Module:
        """Write the network as an ONNX file for any number of samples, and compare it with onnxruntime.

        Args:
            path: the file; replaced in one step or not at all.
            module: the network with the weights that it has by now; by default ``build()``.

        Returns:
            The network of the file, which stays as it was.

        Raises:
            ImportError: onnx, onnxscript or onnxruntime is missing: ``pip install 'zcfast[onnx]'``.
            zcfast.designing.ExportError: torch cannot write the network, or the file computes something else; the
                reason, and as ``module`` the network.
        """
        from zcfast.designing.export import export

        example = self.space.example_with(self.network)
        return export(self.build() if module is None else module, example.inputs, path)

    def __repr__(self) -> str:
        """The architecture and its numbers."""
        numbers = ", ".join(f"{name} {notebook.number(value)}" for name, value in self.values.items())
        return f"{self.architecture}: {numbers}"


@dataclass(frozen=True, eq=False)
class Design:
    """The architectures that a design has considered, the best first; those over a limit or without a score last.

    Attributes:
        tried: all of them with their scores and costs, but for those over a limit of a benchmark with formulas that has
            more than 20,000 architectures. The column ``design`` is the share of the ranked architectures that come no
            earlier, from 1 for the best; NaN where one is over a limit or has no score, and why.
        study: the Optuna study that proposed the architectures; None where all of a space were considered.
    """

    tried: Scores
    study: optuna.Study | None = None

    def __repr__(self) -> str:
        """What was considered, and the best."""
        return f"Design({summary(self)}{f'; best: {self.best}' if len(self) else ''})"

    @property
    def space(self) -> SearchSpace[Any]:
        """The search space."""
        return self.tried.space

    @property
    def protocol(self) -> dict[str, Any]:
        """How the design was made, as JSON values."""
        made: dict[str, Any] = self.tried.provenance.options["design"]
        return made

    def __len__(self) -> int:
        """How many architectures are ranked."""
        return int((~self.tried[RANK].isnan()).sum())

    def enqueue(self, study: optuna.Study, n: int) -> None:
        """Put the n best first in line in a study of the user's own, which runs the same function of choices.

        Raises:
            ValueError: the space is not one of a function from choices.
        """
        if not isinstance(self.space, Space):
            raise ValueError(f"{self.space.name}: expected a zcfast.Space, whose choices are those of a study's trials")
        for each in self.top(n):
            study.enqueue_trial(self.space.answers(each.architecture), skip_if_exists=True)

    @cached_property
    def scores(self) -> Scores:
        """The ranked architectures with their scores and costs, best first."""
        count = len(self)
        return Scores(
            self.space,
            self.tried.cells[:count],
            {name: column[:count] for name, column in self.tried.columns.items()},
            self.tried.provenance,
            {name: texts[:count] for name, texts in self.tried.reasons.items() if any(texts[:count])},
        )

    @property
    def rows(self) -> Any:
        """The ranked architectures, best first: rows of an enumerated space, int64 [N], or cells of any other."""
        listed = self.space.offers(Enumerated)
        return self.scores.cells if listed is None else listed.index(self.scores.cells).cpu()

    @property
    def best(self) -> Pick:
        """The best architecture. A design that Ctrl-C ended may have none, which is a ValueError."""
        if not len(self):
            raise ValueError(f"{self.space.name}: expected a design with a ranked architecture, got one without")
        return self.top(1)[0]

    def top(self, n: int) -> list[Pick]:
        """The n best architectures, best first; all where there are fewer."""
        if integer("n", n) < 0:
            raise ValueError(f"n: expected a number of architectures >= 0, got {n}")
        return [self._pick(row) for row in range(min(n, len(self)))]

    def pareto(self, cost: str) -> list[Pick]:
        """The architectures of which no better one costs as little, the best first and the cheapest last.

        Args:
            cost: "flops", "params", or another column of the table.

        Raises:
            ValueError: there is no such column.
        """
        return [self._pick(row) for row in front(self.scores[cost])]

    def table(self) -> pyarrow.Table:
        """Everything that was tried, one row an architecture: the columns of ``Scores.to_arrow``."""
        return self.tried.to_arrow()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table as a Parquet file, which ``Design.load`` and ``Scores.load`` read. Errors: OSError."""
        self.tried.save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], space: str | SearchSpace[Any] | None = None) -> Design:
        """Read a file that ``save`` wrote.

        Raises:
            ValueError: as ``Scores.load``; scores that are no design.
        """
        scores = Scores.load(path, space)
        if not is_design(scores):
            raise ValueError(f"{path}: expected a design that zcfast.design or zcfast design made, got scores")
        return cls(scores)

    def _pick(self, row: int) -> Pick:
        values = {name: column[row].item() for name, column in self.scores.columns.items()}
        values = {name: value for name, value in values.items() if value == value}  # without NaN
        made = self.protocol
        return Pick(self.space, self.scores.cells[row], values, made["network"], made["seed"])

    def _repr_html_(self) -> str:
        """The best ones as a table for a notebook."""
        picks, names = self.top(notebook.ROWS), list(self.tried.columns)[: notebook.COLUMNS]
        rows = [
            [each.architecture, *(notebook.number(each.values.get(n, float("nan"))) for n in names)] for each in picks
        ]
        return notebook.table(summary(self), ["architecture", *names], rows, ((len(self) - len(rows), "row"),))


def is_design(scores: Scores) -> bool:
    """Whether scores are those of a design."""
    return RANK in scores.columns and isinstance(scores.provenance.options.get("design"), dict)


def front(costs: Tensor) -> list[int]:
    """Rows, of costs [N] best first, that cost less than every better one."""
    rows, least = [], float("inf")
    for row, cost in enumerate(costs.tolist()):
        if cost < least:
            rows.append(row)
            least = cost
    return rows


def choices(text: str, cell: Any) -> dict[str, Any]:
    """The choices that an architecture's text holds as JSON; the text alone where it holds none."""
    try:
        found = json.loads(text) if isinstance(cell, Texts) else None
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"architecture": text}


def summary(found: Design) -> str:
    """One line: what was considered and how it ended."""
    made = found.protocol
    limits = " and ".join(f"{name} <= {notebook.number(most)}" for name, most in made["limits"].items())
    parts = [f"{made['considered']:,} architectures of {found.space.title} considered"]
    if limits:
        parts.append(f"{made['within']:,} with {limits}")
    if made["failed"]:
        parts.append(f"{made['failed']:,} without a network or a score")
    stages = [" + ".join(each) for each in made["stages"]]
    stages[0] = made.get("trained", stages[0])
    then = f", then the best {made['second']:,} by {stages[1]}" if made["second"] else ""
    cut = "interrupted: " if made.get("interrupted") else ""
    return f"{cut}{', '.join(parts)}; ranked by {stages[0]}{then}"
