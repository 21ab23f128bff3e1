"""Tables of accuracies: what trained architectures of a search space reached."""

from zcfast.tables.load import table as load
from zcfast.tables.metric import Metric
from zcfast.tables.table import Table

__all__ = ["Metric", "Table", "load"]
