"""The best networks of a search space under limits: ``zcfast.design`` and what it gives."""

from zcfast.designing.export import ExportError
from zcfast.designing.found import Design, Pick, summary
from zcfast.designing.run import DesignInterrupted, design
from zcfast.designing.stages import Ranker, Stages

__all__ = ["Design", "DesignInterrupted", "ExportError", "Pick", "Ranker", "Stages", "design", "summary"]
