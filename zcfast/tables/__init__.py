"""Tables of accuracies: what trained architectures of a search space reached."""

from zcfast.tables.load import table as load
from zcfast.tables.table import Metric, Table

__all__ = ["Metric", "Table", "load"]
