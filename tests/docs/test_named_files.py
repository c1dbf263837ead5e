"""The files that ARCHITECTURE.md, CONTRIBUTING.md and the decisions name are there; `make docs` checks links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "decisions").glob("*.md"))]
NAMED = re.compile(r"`([\w/-]+\.(?:py|sql|sh|txt|toml|in))`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_named_file_is_there(page: Path) -> None:
    named = set(NAMED.findall(page.read_text())) - {"trikk.toml", "pipelines.py"}
    missing = sorted(name for name in named if not _is_there(name))
    assert not missing, f"{page.name} names files that are gone: {', '.join(missing)}"


def test_each_package_begins_at_a_module_of_its_own() -> None:
    table = re.findall(r"^\| `(\w+)` \| .* \| (`.*`) \|$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    packages = {folder.parent.name for folder in (ROOT / "src" / "trikk").glob("*/__init__.py")}
    assert {package for package, _ in table} == packages
    for package, modules in table:
        for module in re.findall(r"`([\w/]+\.py)`", modules):
            assert (ROOT / "src" / "trikk" / package / module).is_file(), f"{package}/{module}"


def _is_there(name: str) -> bool:
    return (ROOT / name).is_file() or any((ROOT / "src" / "trikk").rglob(name))
