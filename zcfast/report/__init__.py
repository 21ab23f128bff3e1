"""Scores for people to read: tables for a terminal, a page for a browser."""

from zcfast.report.page import html

__all__ = ["html"]
