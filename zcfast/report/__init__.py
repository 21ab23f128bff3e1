"""Scores for people to read: tables for a terminal, pages for a browser."""

from zcfast.report.design_page import design
from zcfast.report.page import html

__all__ = ["design", "html"]
