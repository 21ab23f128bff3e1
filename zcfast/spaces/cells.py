"""A batch of architectures, as integer tensors or as texts."""

import dataclasses
import operator
from collections.abc import Sequence
from typing import Any, ClassVar, SupportsIndex, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zcfast.devices import present_device
from zcfast.errors import check_kind

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
        rows = _rows(index, len(self))
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


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Texts(Cells):
    """A batch of architectures by their texts, for spaces without an encoding of tensors."""

    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that these are texts."""
        check_kind("texts", self.texts, tuple)
        for text in self.texts:
            check_kind("text", text, str)

    def tensors(self) -> dict[str, Tensor]:
        """None."""
        return {}

    def __len__(self) -> int:
        """Number of architectures."""
        return len(self.texts)

    def __getitem__(self, index: Index) -> "Texts":
        """As a batch of tensors has it."""
        rows = torch.arange(len(self))[_rows(index, len(self))]
        return Texts(tuple(self.texts[row] for row in rows.tolist()))

    def __eq__(self, other: object) -> bool:
        """Whether the other holds the same texts in the same order."""
        return self.texts == other.texts if isinstance(other, Texts) else NotImplemented

    __hash__ = None

    def to(self, device: torch.device | str) -> "Texts":
        """Itself: texts lie on no device."""
        return self

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    def __repr__(self) -> str:
        """How many, and the first."""
        return f"Texts({len(self)}: {', '.join(self.texts[:1])}{', ...' if len(self) > 1 else ''})"


def _rows(index: Index, size: int) -> Any:
    """What tensors take as an index: a slice, tensor or list."""
    if isinstance(index, np.ndarray) and index.ndim and index.dtype.kind in "iub":
        # A copy: torch takes no reversed array. Not as uint8: torch would take that as a mask.
        return torch.from_numpy(index.astype(np.bool_ if index.dtype.kind == "b" else np.int64, order="C"))
    if isinstance(index, Sequence):
        return list(index)
    if isinstance(index, slice) or (isinstance(index, Tensor) and index.dim()):
        return index
    return [range(size)[operator.index(index)]]
