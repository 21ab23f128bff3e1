"""A search space of networks that a user names one by one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zcfast.errors import check_kind, integer, unknown
from zcfast.spaces.base import Example, SearchSpace
from zcfast.spaces.capabilities import Enumerated
from zcfast.spaces.cells import Texts
from zcfast.spaces.neighbours import check_generator
from zcfast.spaces.own.space import Space

Make = Callable[[], nn.Module]


class ModulesSpace(SearchSpace[Texts], Enumerated):
    """Networks under names of their own, in the order in which they were given."""

    elsewhere: ClassVar = Space.elsewhere

    def __init__(self, makers: Mapping[str, nn.Module | Make], example: Example, name: str) -> None:
        """Take what makes each network, or the network itself."""
        if not makers:
            raise ValueError("modules: expected at least one, got none")
        for key, maker in makers.items():
            check_kind("modules: name", key, str)
            if not isinstance(maker, nn.Module) and not callable(maker):
                raise TypeError(
                    f"modules: expected an nn.Module or a function that makes one for {key!r}, got {maker!r}"
                )
        self._makers = dict(makers)
        self._places = {key: place for place, key in enumerate(self._makers)}
        self.example = example
        self.name = self.title = name

    def __len__(self) -> int:
        """Number of networks."""
        return len(self._makers)

    @property
    def classes(self) -> int:  # type: ignore[override]
        """The number of networks: no two are known to be one."""
        return len(self)

    def enumerate(self) -> Texts:
        """All names."""
        return Texts(tuple(self._makers))

    def index(self, cells: Texts) -> Tensor:
        """The place of each name, int64 [N]; -1 where it is none."""
        return torch.tensor([self._places.get(text, -1) for text in cells.texts], dtype=torch.int64)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Texts:
        """``n`` names drawn uniformly, with replacement."""
        check_generator(generator)
        if integer("n", n) < 0:
            raise ValueError(f"n: expected a number of architectures >= 0, got {n}")
        return self.enumerate()[torch.randint(len(self), (n,), generator=generator)]

    def format(self, cells: Texts) -> list[str]:
        """The names."""
        return list(cells.texts)

    def parse(self, architecture: Any) -> Texts:
        """The networks of a name or a list of them."""
        names = (architecture,) if isinstance(architecture, str) else tuple(architecture)
        for name in names:
            if name not in self._places:
                raise unknown("architecture", name, self._places)
        return Texts(names)

    def reasons(self, cells: Texts) -> list[str]:
        """Why each name is none of the space's; empty where it is one."""
        return [
            "" if text in self._places else str(unknown("architecture", text, self._places)) for text in cells.texts
        ]

    def outline(self, architecture: str) -> nn.Module:
        """The network of a name, or a copy of a given one, for its sizes."""
        made = self._makers[architecture]
        return copy.deepcopy(made) if isinstance(made, nn.Module) else made()

    def _network(self, cell: Texts, **options: Any) -> Any:
        made = self._makers[cell.texts[0]]
        return made if isinstance(made, nn.Module) else made()


def of(
    modules: Mapping[str, nn.Module | Make] | Iterable[nn.Module | Make | str],
    *,
    example: tuple[Any, Tensor] | Example,
    make: Callable[[str], nn.Module] | None = None,
    name: str = "modules",
) -> ModulesSpace:
    """A search space of given networks.

        zcfast.spaces.of({"small": MyNet(16), "wide": lambda: MyNet(64)}, example=batch)
        zcfast.spaces.of(["resnet18", "resnet50"], make=torchvision.models.get_model, example=batch)

    A function is called each time its network is needed, with generators that depend on the seed and the name alone. A
    module is scored as it is, with its own weights.

    Args:
        modules: networks or functions that make them, by name. A list of them is named "0", "1", ...; a list of names
            needs ``make``.
        example: a minibatch (inputs, targets) that all of them take.
        make: from a name to its network.
        name: what files and the command line call the space, such as "mymodule:space".

    Raises:
        TypeError, ValueError: an argument is wrong; the message says what came.
    """
    return ModulesSpace(_makers(modules, make), Example.of(example), name)


def _makers(modules: Any, make: Callable[[str], nn.Module] | None) -> Mapping[str, nn.Module | Make]:
    if isinstance(modules, Mapping):
        return modules
    if isinstance(modules, (str, nn.Module)) or not isinstance(modules, Iterable):
        raise TypeError(f"modules: expected several, as a list or by name, got {type(modules).__name__}")
    given: Sequence[Any] = list(modules)
    names = [each for each in given if isinstance(each, str)]
    if not names:
        return {str(place): each for place, each in enumerate(given)}
    if make is None or len(names) < len(given):
        raise ValueError("modules: expected make, a function from a name to its network, for a list of names")
    if len(set(names)) < len(names):
        raise ValueError("modules: expected different names, got one twice")

    def maker(name: str) -> Make:
        return lambda: make(name)

    return {name: maker(name) for name in names}
