"""Tables of accuracies: what trained architectures of a search space reached."""

from zcfast.tables.load import load
from zcfast.tables.table import Table

__all__ = ["Table", "load"]
