"""The numbers of the paper that could be seen, each with its source."""

from __future__ import annotations

import dataclasses
import json
from functools import lru_cache
from importlib import resources

NOT_SEEN = "not available: this number of the paper was in no source that could be read here"


@dataclasses.dataclass(frozen=True)
class Reference:
    """What is known of one number.

    Attributes:
        paper: as the paper prints it, signs and digits kept; None where it was not seen.
        authors: as the authors' released notebooks print it; None where they do not.
        source: where each was seen; "" where neither was.
    """

    paper: float | None = None
    authors: float | None = None
    source: str = ""


def reference(target: str, benchmark: str, proxy: str) -> Reference:
    """The number of a table or figure for a benchmark and a proxy.

    The authors' notebooks give one number for each random seed in some places; these become their mean.
    """
    values: dict[str, float] = {}
    sources = []
    content = _content()
    for group in content["values"]:
        value = group["benchmarks"].get(benchmark, {}).get(proxy)
        if group["target"] != target or value is None:
            continue
        source = content["sources"][group["source"]]
        values[source["kind"]] = sum(value) / len(value) if isinstance(value, list) else value
        sources.append(f"{source['kind']}: {source['where']}")
    return Reference(values.get("paper"), values.get("authors"), "; ".join(sources))


def benchmarks_of(target: str) -> dict[str, list[str]]:
    """The proxies that have a number in a table or figure, by benchmark, in the order of the data file."""
    found: dict[str, list[str]] = {}
    for group in _content()["values"]:
        if group["target"] == target:
            for benchmark, proxies in group["benchmarks"].items():
                known = found.setdefault(benchmark, [])
                known += [proxy for proxy in proxies if proxy not in known]
    return found


@lru_cache(maxsize=1)
def _content() -> dict:  # type: ignore[type-arg]  # as it lies in the file
    return json.loads(resources.files(__package__).joinpath("paper.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]
