"""A real browser for tests: the machine's Chromium, driven by playwright out of an environment of its own."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.envs import python_of

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A running browser (playwright's `Browser`)."""
    program = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no browser: chromium is not installed")
    with playwright_library().sync_playwright() as playwright:
        # The sandbox takes rights that a container does not have; the pages are our own.
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


def playwright_library() -> Any:
    """Playwright; the environment has this one's Python, so that its packages can be imported here."""
    (packages,) = (python_of("browser").parents[1] / "lib").glob("python*/site-packages")
    if str(packages) not in sys.path:
        sys.path.append(str(packages))  # last: whatever both have is this environment's
    return importlib.import_module("playwright.sync_api")


def axe_script() -> str:
    """The source of axe-core, which looks a page over for what keeps people out."""
    (packages,) = (python_of("browser").parents[1] / "lib").glob("python*/site-packages")
    return (Path(packages) / "axe_playwright_python" / "axe.min.js").read_text()
