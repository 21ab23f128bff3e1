"""What a proxy is, and the registry of their names."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

from torch import Tensor

from zcfast.errors import unknown
from zcfast.import_paths import imported
from zcfast.passes.base import Pass, Results
from zcfast.proxies.populations import populations

SETS = ("paper", "modern", "cheap", "all")
"""The names of sets of proxies, which stand wherever those of proxies do."""
_RECOMMENDED = "recommended"  # what ranks in a design


class Proxy(ABC):
    """One zero-cost proxy, with its options if it has any (as a frozen dataclass).

    A proxy that sums over layers overrides `layerwise`, another one `value`.

    Attributes:
        name: the registered name.
        source: the paper that defines it.
        definition: one line for the protocol of saved scores; by default the label.
        higher_is_better: the orientation as published.
        network: which network of a search space is scored, where it can leave BatchNorm out.
        sums_layers: whether the score is a sum over the counted layers.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    definition: ClassVar[str] = ""
    higher_is_better: ClassVar[bool] = True
    network: ClassVar[Literal["as built", "without BatchNorm"]] = "as built"
    sums_layers: ClassVar[bool] = True

    @property
    @abstractmethod
    def needs(self) -> tuple[type[Pass], ...]:
        """The passes whose results it reads; a class attribute where no option changes them."""

    @property
    def label(self) -> str:
        """The name, followed by the options that differ from the default: fisher(weighting='channel')."""
        fields: tuple[dataclasses.Field[Any], ...] = ()
        if dataclasses.is_dataclass(self):
            fields = dataclasses.fields(self)
        changed = {f.name: getattr(self, f.name) for f in fields if getattr(self, f.name) != f.default}
        options = ", ".join(f"{name}={value!r}" for name, value in changed.items())
        return f"{self.name}({options})" if options else self.name

    def layerwise(self, results: Results) -> Tensor | None:
        """[L] float64, the share of each counted layer; None where the score is no sum over layers."""
        return None

    def value(self, results: Results) -> float:
        """The score, from the results of the passes in `needs`, by their classes.

        Raises:
            ProxyError: the formula has no value for this net and minibatch.
        """
        layers = self.layerwise(results)
        if layers is None:
            raise NotImplementedError(f"{self.name}: a proxy defines layerwise or value")
        return layers.sum().item()

    def log_value(self, results: Results) -> float | None:
        """Natural logarithm of a score that may exceed float64; None for all others."""
        return None

    def standard_error(self, results: Results) -> float | None:
        """Of a score that is the mean of several rounds of random draws; None for all others."""
        return None

    def method(self, results: Results) -> str:
        """How the score was computed, where there are several ways; else empty."""
        return ""


_REGISTRY: dict[str, type[Proxy]] = {}
_P = TypeVar("_P", bound=Proxy)


def register(proxy: type[_P]) -> type[_P]:
    """Make a proxy known by its name (a class decorator). One that is defined again takes its own place.

    Raises:
        TypeError: no class of proxies, without ``layerwise`` and ``value``, a name that no list with commas can have.
        ValueError: another proxy has the name, or a set of proxies, or a score of sets of networks.
    """
    if not (isinstance(proxy, type) and issubclass(proxy, Proxy)):
        raise TypeError(f"proxy: expected a class of zcfast.proxies.Proxy, got {proxy!r}")
    name = getattr(proxy, "name", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise TypeError(f"proxy: expected a name of letters, digits and _, got {name!r}")
    if proxy.name in (*SETS, _RECOMMENDED, *populations()):
        raise ValueError(f"proxy: expected a name of its own, got {proxy.name!r}, which stands for several proxies")
    before = _REGISTRY.get(proxy.name, proxy)
    if (before.__module__, before.__qualname__) != (proxy.__module__, proxy.__qualname__):
        taken = f"{before.__module__}.{before.__qualname__} has it"
        raise ValueError(f"proxy: expected a name that no other proxy has, got {proxy.name!r}: {taken}")
    if proxy.layerwise is Proxy.layerwise and proxy.value is Proxy.value:
        raise TypeError(f"proxy: expected {name} to have layerwise or value, got neither")
    _REGISTRY[proxy.name] = proxy
    return proxy


def name_at(path: str) -> str:
    """The name of the proxy at an import path such as ``mymodule:MyProxy``, registered if it was not.

    Raises:
        ValueError: the import raises, or nothing at the path is a class of proxies.
    """
    found = imported(path, "mymodule:MyProxy")
    if not (isinstance(found, type) and issubclass(found, Proxy)):
        raise ValueError(f"{path}: expected a class of zcfast.proxies.Proxy, got {found!r}")
    return (found if _REGISTRY.get(found.name) is found else register(found)).name


def registered() -> Mapping[str, type[Proxy]]:
    """All registered proxies by name."""
    return dict(_REGISTRY)


def resolve(proxy: str | Proxy) -> Proxy:
    """Turn a name or a class into the proxy with default options; a configured proxy is returned as it is.

    Raises:
        ValueError: no proxy of single networks has this name.
        TypeError: neither a name nor a proxy.
    """
    if isinstance(proxy, Proxy):
        return proxy
    if isinstance(proxy, type) and issubclass(proxy, Proxy):
        return proxy()
    if not isinstance(proxy, str):
        raise TypeError(f"proxies: expected names or configured proxies, got {proxy!r}")
    if proxy in populations():
        hint = "zcfast.score_modules or score_architectures"
        raise ValueError(f"proxies: expected scores of one network, got {proxy}, of a set of networks: {hint}")
    if proxy not in _REGISTRY:
        raise unknown("proxy", proxy, _REGISTRY)
    return _REGISTRY[proxy]()
