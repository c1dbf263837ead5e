"""The options and extras that the documentation names are those that there are."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from trikk.cli.main import cli

ROOT = Path(__file__).parents[2]
OTHER_TOOLS = ("benchmarks", "crash-test")
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page.stem not in OTHER_TOOLS),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
TRIKK = re.compile(r"^[$ ]*trikk\b[^\n#]*", re.MULTILINE)
INLINE = re.compile(r"`(?:trikk [^`\n]*|--[^`\n]*)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_an_option_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    written = " ".join([*TRIKK.findall(text), *INLINE.findall(text)])
    unknown = set(OPTION.findall(written)) - set(_options(cli)) - {"--help"}
    assert not unknown


def test_the_page_on_the_project_names_every_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    table = (ROOT / "docs" / "project.md").read_text().split("| extra | brings |")[1].split("\n\n")[0]
    named = [name for row in table.splitlines()[1:] for name in re.findall(r"`([\w-]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(extras)


def test_the_page_on_the_project_names_what_the_core_needs() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (sentence,) = re.findall(r"^The core needs (.*?)\.", (ROOT / "docs" / "project.md").read_text(), re.MULTILINE)
    assert sorted(re.findall(r"`([\w-]+)`", sentence)) == sorted(re.split(r"[><=~]", need)[0] for need in needed)


def _options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        yield from parameter.opts
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _options(inner)
