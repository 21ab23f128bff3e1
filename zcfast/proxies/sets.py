"""Named sets of proxies, and what a proxy needs, in words."""

from collections.abc import Iterable, Mapping
from typing import Any

from zcfast.passes.base import with_requirements
from zcfast.passes.repeated import Repeated
from zcfast.proxies.base import SETS, Proxy, name_at, registered, resolve

PAPER = ("grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov")
_EARLIER = (*PAPER, "plain", "synflow_bn", "l2_norm", "params", "flops", "multiply_adds", "depth")
_CHEAP = 1.0  # forward passes of the minibatch


def sets() -> Mapping[str, tuple[str, ...]]:
    """The names of each set: of the paper, of later ones, those that cost one forward pass at most, and all."""
    every = tuple(registered())
    return {
        "paper": PAPER,
        "modern": tuple(name for name in every if name not in _EARLIER),
        "cheap": tuple(name for name in every if cost(resolve(name)) <= _CHEAP),
        "all": every,
    }


def expanded(proxies: Any) -> Any:
    """A list of names and proxies with the members of each set in its place, or those of one set's name.

    An import path, such as mymodule:MyProxy, is the name of the proxy there; a minus before it stays. What is neither
    is given back as it is, for the caller to refuse.
    """
    given = [proxies] if isinstance(proxies, str) and proxies in SETS else proxies
    if isinstance(given, str) or not isinstance(given, Iterable):
        return given
    listed = [_named(each) for each in given]
    if not any(isinstance(each, str) and each in SETS for each in listed):
        return listed
    known = sets()
    return [one for each in listed for one in (known.get(each, (each,)) if isinstance(each, str) else (each,))]


def _named(each: Any) -> Any:
    if not isinstance(each, str) or ":" not in each:
        return each
    path = each.removeprefix("-")
    return each[: len(each) - len(path)] + name_at(path)


def cost(proxy: Proxy) -> float:
    """Forward passes of the minibatch that take as long as the proxy; see `Pass.cost`."""
    return sum(each.cost for each in with_requirements(proxy.needs))


def needs_labels(proxy: Proxy) -> bool:
    """Whether a pass of the proxy reads the targets."""
    return any(each.reads in ("batch", "batches") for each in with_requirements(proxy.needs))


def rounds(proxy: Proxy) -> int:
    """In how many rounds, of other draws or other images, it runs by default; 0 of one that has none."""
    return max((each.repeats for each in with_requirements(proxy.needs) if issubclass(each, Repeated)), default=0)
