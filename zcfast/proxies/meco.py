"""How independent the channels of single images' maps are."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zcfast.passes.base import Pass, Results
from zcfast.passes.channel_correlations import Calls, ChannelCorrelations, check_calls
from zcfast.passes.repeated import with_options
from zcfast.proxies.base import register
from zcfast.proxies.repeated import RepeatedProxy


@register
@dataclass(frozen=True)
class Meco(RepeatedProxy):
    """Sum over maps of the smallest eigenvalue of the correlation matrix of an image's channels.

    Attributes:
        repeats: images, the first of the minibatch, each run alone; the published code takes one.
        calls: "leaf" counts the outputs of modules without children; "all" those of every module, as the published code
            does, so that one map counts again for each module around the one that made it.
    """

    name = "meco"
    definition = "Sum over maps of the smallest eigenvalue of the correlation matrix of an image's channels."
    source = "Jiang et al. 2023 (MeCo: zero-shot NAS with one data and single forward pass)"
    channels: ClassVar[int | None] = None

    repeats: int = 4
    calls: Calls = "leaf"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_calls(self.calls)

    @property
    def needs(self) -> tuple[type[Pass], ...]:
        """Forward passes of single images."""
        return (with_options(ChannelCorrelations, repeats=self.repeats, calls=self.calls, channels=self.channels),)

    def rounds(self, results: Results) -> Tensor:
        """The sum of each image."""
        return torch.tensor(results[self.needs[0]], dtype=torch.float64)


@register
@dataclass(frozen=True)
class MecoOpt(Meco):
    """`meco` of 8 channels drawn from each map, an eigenvalue of C channels counting C / 8 times.

    Attributes:
        repeats, calls: as of `meco`.
    """

    name = "meco_opt"
    definition = "`meco` of 8 channels drawn from each map, an eigenvalue of C channels counting C / 8 times."
    channels = 8
