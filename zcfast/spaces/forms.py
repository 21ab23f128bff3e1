"""The closed forms of any space, and those that spaces of cells share; docs/expected.md."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor

from zcfast.data.provenance import Meaning
from zcfast.expected.path_rank import LATEST, READS, VERSIONS, path_rank
from zcfast.expected.path_statistics import COLUMNS as PATH_COLUMNS
from zcfast.spaces.base import SearchSpace
from zcfast.spaces.capabilities import ClosedForm, ClosedForms, Sizes

Network = dict[str, Any]  # options of the network
Statistics = Callable[[Any, Network, Iterable[str]], dict[str, Tensor]]  # cells, network, names -> path statistics


def closed_forms(space: SearchSpace[Any]) -> Mapping[str, ClosedForm]:
    """Those that the space gives; its sizes, if it counts them by formulas and gives no others; none."""
    own = space.offers(ClosedForms)
    if own is not None:
        return own.forms
    # Sizes of networks that are built for them are proxies, which give a reason where one cannot be built.
    return sizes(space, space.source) if isinstance(space, Sizes) else {}


def sizes(space: Sizes, source: str) -> dict[str, ClosedForm]:
    """Parameters and multiply-adds, of any space that counts them."""
    return {
        "params": ClosedForm(
            {"params": Meaning("trainable parameters of the network", "parameters", source)},
            lambda cells, network, _: {"params": space.params(cells, **network)},
        ),
        "flops": ClosedForm(
            {"flops": Meaning("multiply-adds of one image in convolutions and classifier", "multiply-adds", source)},
            lambda cells, network, _: {"flops": space.flops(cells, **network)},
        ),
    }


def expected_synflow(compute: Callable[..., Tensor]) -> ClosedForm:
    """Expected synflow by a function of cells, the network's options and ``initialisation``."""
    return ClosedForm(
        {
            "expected_synflow": Meaning(
                "natural logarithm of synflow at the mean absolute weights of a random initialisation, for an input of "
                "ones, every BatchNorm removed; -inf where synflow is 0",
                "ln(score)",
                "Tanaka et al., NeurIPS 2020; Abdelfattah et al., ICLR 2021, section 3.2; docs/expected.md",
            )
        },
        lambda cells, network, own: {"expected_synflow": compute(cells, network, **own)},
        options=("initialisation",),
    )


def path_forms(statistics: Statistics) -> dict[str, ClosedForm]:
    """The path statistics and the ranking by them."""

    def read(cells: Any, network: Network, own: dict[str, Any]) -> dict[str, Tensor]:
        return statistics(cells, network, READS)

    def rank(columns: dict[str, Tensor], own: dict[str, Any]) -> dict[str, Tensor]:
        return path_rank(columns, own.get("path_rank_version", LATEST))

    return {
        "path_statistics": ClosedForm(
            {name: Meaning(*text, "zcfast, docs/expected.md") for name, text in PATH_COLUMNS.items()},
            lambda cells, network, _: statistics(cells, network, PATH_COLUMNS),
        ),
        "path_rank": ClosedForm(
            {"path_rank": Meaning(_RANK, "ln(rank)", "zcfast, docs/expected.md")},
            read,
            options=("path_rank_version",),
            within=rank,
        ),
    }


def _reads(version: int) -> str:
    names = (f"{'fewest ' if sign < 0 else ''}{name}" for name, sign in VERSIONS[version].items())
    return ", ".join(names)


_RANK = (
    "sum of the logarithms of a cell's average rank, as a share of all, among the cells scored with it, at most 0; by "
    f"{_reads(LATEST)}, picked after looking at the accuracies of NAS-Bench-101 and NAS-Bench-201; with "
    f"path_rank_version 1 by {_reads(1)}, chosen on half of NAS-Bench-201's CIFAR-10 accuracies out of 26,208 rules"
)
