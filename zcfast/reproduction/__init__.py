"""The tables and figures of Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, made again."""

from zcfast.reproduction.context import Context
from zcfast.reproduction.results import Result, Row
from zcfast.reproduction.targets import NOT_YET, TARGETS, chosen

__all__ = ["NOT_YET", "TARGETS", "Context", "Result", "Row", "chosen"]
