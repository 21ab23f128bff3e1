"""The tables and figures of Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, made again."""

from reproduction.context import Context
from reproduction.results import Result, Row
from reproduction.search_results import SearchResult
from reproduction.targets import TARGETS, chosen

__all__ = ["TARGETS", "Context", "Result", "Row", "SearchResult", "chosen"]
