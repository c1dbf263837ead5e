"""The page: whole without anything from outside, and safe with whatever rows and names say."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.quality import GateBlocked, between, holds, not_null, one_of, quality_gate, row_count
from trikk.quality.gate_report import report_html

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Its tags, balanced, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onclick", "onload", "style"}
        if tag not in VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "td":
            self.cells[-1] += data


def page_of(rows: pl.DataFrame, checks: Any) -> str:
    try:
        return report_html(quality_gate(rows, checks), title="Counts & <b>loads</b>")
    except GateBlocked as error:
        return report_html(error.result, title="Counts & <b>loads</b>")


@given(st.text(max_size=30), st.text(min_size=1, max_size=30))
def test_whatever_rows_and_names_say_is_text_on_the_page(value: str, name: str) -> None:
    column = "t" if name == "*" or name.startswith("^") else name  # polars takes those for patterns
    rows = pl.DataFrame({column: [f"<script>{value}</script>"]})
    page = Page(page_of(rows, [one_of(column, ["</td><td>"], name=f"{name}<i>"), row_count(1)]))
    assert page.tags <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "div",
        "table",
        "tr",
        "th",
        "td",
    }
    assert any(cell.startswith("<script>") for cell in page.cells)
    shown = "".join(cell for cell in page.cells if cell.startswith("<script>"))
    assert all(character.isprintable() or unicodedata.category(character) == "Zs" for character in shown)


def test_the_page_names_nothing_outside_of_itself() -> None:
    page = page_of(pl.DataFrame({"t": ["a"]}), [one_of("t", ["b"])])
    assert not re.search(r"https?:|url\(|@import|<script|<link|<img", page)
    assert "prefers-color-scheme: dark" in page


def test_failures_come_first_the_gravest_on_top() -> None:
    rows = pl.DataFrame({"x": [1.0, None]})
    checks = [
        row_count(1, name="fine"),
        not_null("x", severity="info", name="told"),
        not_null("x", severity="warn", name="warned"),
        not_null("x", name="blocking"),
    ]
    page = page_of(rows, checks)
    assert re.findall(r"<td>(fine|told|warned|blocking)</td>", page) == ["blocking", "warned", "told", "fine"]
    assert "1 of 4 checks passed, over 2 rows." in page
    assert '<p class="verdict bad">Blocked</p>' in page


@pytest.mark.parametrize("verdict", ["Passed", "Passed, with warnings"])
def test_the_verdict_is_told_where_nothing_blocks(verdict: str) -> None:
    checks = [between("x", 0, severity="warn"), holds("x < 9")]
    page = page_of(pl.DataFrame({"x": [1 if verdict == "Passed" else -1]}), checks)
    assert f">{verdict}</p>" in page


def test_a_missing_value_is_told_from_an_empty_text() -> None:
    page = page_of(pl.DataFrame({"x": [-1, -2], "t": ["", None]}), between("x", 0))
    assert Page(page).cells[-4:] == ["-1", "", "-2", "null"]
