"""A space of a user's own: two-layer networks of some width, with weights that torch's layers draw themselves."""

import torch
from torch import Tensor, nn

from zcfast.spaces import Decisions, Example, SearchSpace, Texts

WIDTHS, ACTIVATIONS = (4, 8, 16), ("relu", "tanh")


class TwoLayers(SearchSpace[Texts], Decisions):
    """Architectures such as "8 tanh"."""

    name = "two_layers"
    example = Example(torch.ones(4, 5), torch.tensor([0, 1, 2, 0]))
    sizes = (len(WIDTHS), len(ACTIVATIONS))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Texts:
        return self.encode(torch.stack([torch.randint(size, (n,), generator=generator) for size in self.sizes], 1))

    def format(self, cells: Texts) -> list[str]:
        return list(cells.texts)

    def parse(self, architecture: str | list[str]) -> Texts:
        cells = Texts((architecture,) if isinstance(architecture, str) else tuple(architecture))
        for text in cells.texts:
            width, _, activation = text.partition(" ")
            if width not in map(str, WIDTHS) or activation not in ACTIVATIONS:
                raise ValueError(f"architecture: expected a width and an activation, such as '8 tanh', got {text!r}")
        return cells

    def encode(self, choices: Tensor) -> Texts:
        return Texts(tuple(f"{WIDTHS[width]} {ACTIVATIONS[kind]}" for width, kind in choices.tolist()))

    def decode(self, cells: Texts) -> Tensor:
        parts = [text.split() for text in cells.texts]
        choices = [[WIDTHS.index(int(width)), ACTIVATIONS.index(kind)] for width, kind in parts]
        return torch.tensor(choices, dtype=torch.int64).reshape(-1, 2)

    def _network(self, cell: Texts) -> nn.Module:
        width, kind = cell.texts[0].split()
        activation = nn.ReLU() if kind == "relu" else nn.Tanh()
        return nn.Sequential(nn.Linear(5, int(width)), activation, nn.Linear(int(width), 3))


def made() -> TwoLayers:
    """What an import path may lead to."""
    return TwoLayers()
