"""What an architecture is called in lists."""

from typing import Any

from zcfast.spaces.base import SearchSpace
from zcfast.spaces.capabilities import Enumerated


def released_names(space: SearchSpace[Any], cells: Any) -> list[str]:
    """The digest in hexadecimal digits that the benchmark files each architecture under; its text if there is none."""
    listed = space.offers(Enumerated)
    keys = None if listed is None else listed.keys(cells)
    if keys is None or keys.dim() == 1:
        return space.format(cells)
    return [bytes(digest).hex() for digest in keys.tolist()]
