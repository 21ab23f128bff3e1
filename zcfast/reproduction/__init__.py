"""The tables and figures of Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, made again."""

from zcfast.reproduction.context import Context
from zcfast.reproduction.results import Result, Row
from zcfast.reproduction.search_results import SearchResult
from zcfast.reproduction.targets import TARGETS, chosen

__all__ = ["TARGETS", "Context", "Result", "Row", "SearchResult", "chosen"]
