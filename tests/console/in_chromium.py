"""What tests of pages in a browser share."""

from __future__ import annotations

from typing import Any

from starlette.routing import compile_path

from trikk.console.page_table import PAGES


def new_context(chromium: Any, url: str) -> Any:
    """A browser's window, without anything that others have left."""
    context = chromium.new_context(base_url=url, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    return context


def route_of(path: str) -> str:
    """Which page of the table an address is; "" for none."""
    for known in PAGES:
        pattern, _, _ = compile_path(known.path)
        if pattern.match(path):
            return known.path
    return ""
