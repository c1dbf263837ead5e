"""Reports: a period's figures on a page that people read, made from what monitors have found."""

from __future__ import annotations

from trikk.reports.report import Report

__all__ = ["Report"]
