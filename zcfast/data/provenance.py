"""How numbers were made: what a reader needs to make them again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What a column of scores means."""

    definition: str
    unit: str
    source: str


@dataclasses.dataclass(frozen=True)
class Provenance:
    """How the numbers of a file were made.

    Attributes:
        zcfast, torch: the versions that made them; empty where that is not known.
        seed: of weights or runs; None where nothing was drawn.
        columns: what each column means, where they are scores.
        options: what else it takes to make them again, by name, as JSON values: of scores the space, its network, how
            weights were drawn, the device and the images; of a search the algorithm and the metrics.
    """

    zcfast: str = ""
    torch: str = ""
    seed: int | None = None
    columns: Mapping[str, Meaning] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, values: Any) -> Provenance:
        """What `as_json` gave. Errors: ValueError for anything else."""
        try:
            options = {**values}
            columns = {name: Meaning(**each) for name, each in {**options.pop("columns", {})}.items()}
            made = cls(options.pop("zcfast", ""), options.pop("torch", ""), options.pop("seed", None), columns, options)
        except (TypeError, ValueError) as error:
            raise ValueError("got one with broken metadata: no provenance") from error
        texts = [made.zcfast, made.torch, *(text for each in columns.values() for text in dataclasses.astuple(each))]
        if not all(isinstance(text, str) for text in texts) or not isinstance(made.seed, int | None):
            raise ValueError("got one with broken metadata: another provenance")
        return made

    def as_json(self) -> dict[str, Any]:
        """Everything that is known, by name."""
        return {**self.run(), **({"columns": dataclasses.asdict(self)["columns"]} if self.columns else {})}

    def run(self) -> dict[str, Any]:
        """What all columns share, by name."""
        named = {"zcfast": self.zcfast, "torch": self.torch, "seed": self.seed}
        return {**{name: value for name, value in named.items() if value not in ("", None)}, **self.options}
