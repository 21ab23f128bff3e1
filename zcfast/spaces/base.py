"""What every search space offers; an encoding is a batch of integer tensors."""

import dataclasses
import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, SupportsIndex, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from zcfast.devices import present_device
from zcfast.errors import integer
from zcfast.networks.layers import draw_weights
from zcfast.networks.options import with_options
from zcfast.spaces.neighbours import Neighbours, check_generator

Index = SupportsIndex | slice | Tensor | npt.NDArray[Any] | Sequence[int]
CellsT = TypeVar("CellsT", bound="Cells")


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
    """A batch of architectures of one space: every field a tensor whose first dimension is the batch."""

    FORMAT: ClassVar[dict[str, tuple[torch.dtype, tuple[int, ...]]]] = {}  # field -> dtype, shape behind the batch

    def __post_init__(self) -> None:
        """Check each field's dtype and shape, and that they belong together."""
        for name, (dtype, shape) in self.FORMAT.items():
            tensor = getattr(self, name)
            if not isinstance(tensor, Tensor) or tensor.dtype != dtype:
                came = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
                raise ValueError(f"{name}: expected a tensor of {dtype}, got {came}")
            if tensor.dim() != 1 + len(shape) or tensor.shape[1:] != shape:
                raise ValueError(f"{name}: expected shape {['N', *shape]}, got {list(tensor.shape)}".replace("'", ""))
        sizes = {name: len(tensor) for name, tensor in self.tensors().items()}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"cells: expected fields of equal length, got {sizes}")

    def tensors(self) -> dict[str, Tensor]:
        """The fields by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __len__(self) -> int:
        """Number of architectures."""
        return len(next(iter(self.tensors().values())))

    def __getitem__(self: CellsT, index: Index) -> CellsT:
        """The architectures at an index, slice, mask or indices (a tensor, array or sequence), as a batch.

        A single index gives a batch of one.
        """
        rows: Any = index
        if isinstance(index, np.ndarray) and index.ndim and index.dtype.kind in "iub":
            # A copy: torch takes no reversed array. Not as uint8: torch would take that as a mask.
            rows = torch.from_numpy(index.astype(np.bool_ if index.dtype.kind == "b" else np.int64, order="C"))
        elif isinstance(index, Sequence):
            rows = list(index)
        elif not isinstance(index, slice) and not (isinstance(index, Tensor) and index.dim()):
            rows = [range(len(self))[operator.index(index)]]
        return type(self)(*(tensor[rows] for tensor in self.tensors().values()))

    def __eq__(self, other: object) -> bool:
        """Whether the other holds the same encodings in the same order, on any device."""
        if not isinstance(other, type(self)):
            return NotImplemented
        pairs = zip(self.tensors().values(), other.tensors().values(), strict=True)
        return all(torch.equal(mine.cpu(), theirs.cpu()) for mine, theirs in pairs)

    __hash__ = None  # type: ignore[assignment]  # tensors can change

    def to(self: CellsT, device: torch.device | str) -> CellsT:
        """The same batch on another device. Errors: ValueError for one that is not there."""
        device = present_device(device)
        return type(self)(*(tensor.to(device) for tensor in self.tensors().values()))

    @property
    def device(self) -> torch.device:
        """Where the batch lives."""
        return next(iter(self.tensors().values())).device

    def __repr__(self) -> str:
        """Shapes, not values."""
        shapes = ", ".join(f"{name}={list(tensor.shape)}" for name, tensor in self.tensors().items())
        return f"{type(self).__name__}({shapes})"


class SearchSpace(ABC, Generic[CellsT]):
    """A finite space of architectures, listed in a fixed order. Tensors in, tensors out."""

    name: ClassVar[str]
    cells: ClassVar[type[Cells]]  # of an encoding
    title: ClassVar[str]
    source: ClassVar[str]
    classes: ClassVar[int]  # isomorphism classes
    network: Any  # the default options of the network around a cell, zcfast/networks
    initialisation: ClassVar[str]  # that the space's proxies were published with, zcfast/expected/initialisation.py

    def __repr__(self) -> str:
        """The call that gives the space."""
        return f"zcfast.space({self.name!r})"

    @abstractmethod
    def __len__(self) -> int:
        """Number of architectures."""

    @abstractmethod
    def enumerate(self) -> CellsT:
        """All architectures, in the order that indices refer to. Built once and shared: do not write into it."""

    @abstractmethod
    def index(self, cells: CellsT) -> Tensor:
        """Position in ``enumerate()``, int64 [N]; -1 where the encoding is invalid."""

    @abstractmethod
    def reasons(self, cells: CellsT) -> list[str]:
        """Why each encoding is no architecture of the space, in words; empty where it is one."""

    @abstractmethod
    def canonical(self, cells: CellsT) -> CellsT:
        """The representative of each one's isomorphism class: its first member in enumeration order.

        Raises ValueError with the reason where an encoding is invalid.
        """

    @abstractmethod
    def keys(self, cells: CellsT) -> Tensor:
        """What the benchmark's releases file each architecture under."""

    @abstractmethod
    def parse(self, architecture: Any) -> CellsT:
        """One architecture, or a list of them, from the original API's form or the compact string."""

    @abstractmethod
    def format(self, cells: CellsT) -> list[str]:
        """Compact strings, which ``parse`` reads back."""

    @abstractmethod
    def params(self, cells: CellsT, **network: Any) -> Tensor:
        """Trainable parameters of each architecture's network, int64 [N]."""

    @abstractmethod
    def flops(self, cells: CellsT, **network: Any) -> Tensor:
        """Multiply-adds of one image through each architecture's network (convolutions and classifier), int64 [N]."""

    @abstractmethod
    def _network(self, cell: CellsT, options: Any, batch_norm: bool) -> nn.Module:
        """The network around one valid cell, its weights not yet drawn."""

    def build(
        self,
        architecture: Any,
        *,
        initialisation: str | None = None,
        batch_norm: bool = True,
        generator: torch.Generator | None = None,
        **network: Any,
    ) -> nn.Module:
        """The network of one architecture, in train mode on the CPU.

        Args:
            architecture: a batch of one cell, or whatever ``parse`` takes. It is built as it stands, vertex order
                included: pass a canonical cell to get the network that the benchmark trained.
            initialisation: "kaiming_fan_out", "kaiming_fan_in" or "pytorch"; the space's own by default.
            batch_norm: False leaves every BatchNorm out, as synflow does.
            generator: of the weights; torch's global one by default.
            network: options such as stem_channels, modules, classes, resolution (the last one changes no weight).

        Raises:
            ValueError: an invalid architecture, more than one, an unknown or impossible option.
        """
        if not isinstance(batch_norm, bool):
            raise ValueError(f"batch_norm: expected True or False, got {batch_norm!r}")
        check_generator(generator)
        cell: CellsT = architecture if isinstance(architecture, Cells) else self.parse(architecture)  # type: ignore[assignment]
        if len(cell) != 1:
            raise ValueError(f"architecture: expected one, got {len(cell)}")
        self.require_valid(cell)
        module = self._network(cell, self.network_with(network), batch_norm)
        draw_weights(module, initialisation or self.initialisation, generator)
        return module

    def network_with(self, options: dict[str, Any]) -> Any:
        """``network`` with some options replaced; a ValueError names one that it does not have or that cannot be."""
        return with_options(self.network, options)

    @abstractmethod
    def neighbours(self, cells: CellsT, relation: str = ...) -> Neighbours:
        """The distinct architectures one edit away from each; the space says what an edit is."""

    def neighbour_graph(self, relation: str | None = None, symmetric: bool = False) -> Neighbours:
        """``neighbours`` of every architecture; ``symmetric`` adds the edges that lead back."""
        options = {} if relation is None else {"relation": relation}
        graph = self.neighbours(self.enumerate(), **options)
        return graph.symmetrised() if symmetric else graph

    def mutate(self, cells: CellsT, generator: torch.Generator | None = None) -> CellsT:
        """One neighbour of each architecture, drawn uniformly; an architecture without neighbours stays as it is."""
        drawn = self.neighbours(cells).draw(generator)
        return self.enumerate()[torch.where(drawn >= 0, drawn, self.index(cells)).cpu()].to(cells.device)

    def is_valid(self, cells: CellsT) -> Tensor:
        """Whether each encoding is an architecture of the space, bool [N]; ``reasons`` says why not."""
        return self.index(cells) >= 0

    def sample(self, n: int, generator: torch.Generator | None = None) -> CellsT:
        """``n`` architectures drawn uniformly, with replacement, from ``enumerate()``."""
        check_generator(generator)
        if integer("n", n) < 0:
            raise ValueError(f"n: expected a number of architectures >= 0, got {n}")
        return self.enumerate()[torch.randint(len(self), (n,), generator=generator)]

    def sample_distinct(self, n: int, generator: torch.Generator | None = None) -> CellsT:
        """``n`` different architectures drawn uniformly from ``enumerate()``; a ValueError where it has fewer."""
        check_generator(generator)
        if integer("n", n) < 0:
            raise ValueError(f"n: expected a number of architectures >= 0, got {n}")
        if n > len(self):
            raise ValueError(f"n: expected at most {len(self)} architectures, the size of {self.name}, got {n}")
        return self.enumerate()[torch.randperm(len(self), generator=generator)[:n]]

    def require_valid(self, cells: CellsT) -> Tensor:
        """Position in ``enumerate()``; a ValueError names the first invalid row and its reason."""
        index = self.index(cells)
        invalid = (index < 0).nonzero()
        if len(invalid):
            row = int(invalid[0])
            raise ValueError(f"cells: row {row} is no {self.title} cell: {self.reasons(cells[row])[0]}")
        return index
