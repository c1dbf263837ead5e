"""A gate's result as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def report_html(result: Mapping[str, Any], *, title: str = "Quality gate") -> str:
    """The page."""
    return f"<!doctype html><title>{title}</title>{result['verdict']}"
