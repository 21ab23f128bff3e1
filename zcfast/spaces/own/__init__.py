"""Search spaces of a user's own: a function from choices to a network, or networks by name."""

from zcfast.spaces.own.modules import of
from zcfast.spaces.own.space import Space

__all__ = ["Space", "of"]
