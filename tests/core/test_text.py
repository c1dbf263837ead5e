"""What users wrote, as people are shown it."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.text import counted, printable, printable_lines, shorten


def test_controls_and_direction_marks_are_written_out_and_letters_stay() -> None:
    assert printable("\x1b[31mred\x9b0m\x07\r\n\t") == r"\x1b[31mred\x9b0m\x07\r\n\t"
    assert printable("\u202egnp.exe \u2066x\u2069 \u2028 \udc80") == r"\u202egnp.exe \u2066x\u2069 \u2028 \udc80"
    assert printable("Sørlandet: 25 °C, 東京 🚋") == "Sørlandet: 25 °C, 東京 🚋"


def test_lines_keep_their_ends_and_tabs() -> None:
    assert printable_lines("a\r\n\tb\rc\x00\n") == "a\n\tb\\rc\\x00\n"


@given(st.text(st.characters()))
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    shown = printable_lines(text)
    assert not [c for c in shown if unicodedata.category(c)[0] == "C" and c not in "\n\t"]
    assert "\n" not in printable(text)
    assert printable(printable(text)) == printable(text)


def test_shortened_to_the_length_that_was_asked_for() -> None:
    assert shorten("a" * 60, 60) == "a" * 60
    assert shorten("a" * 61, 60) == "a" * 57 + "..."
    assert re.fullmatch(r"x{7}\.{3}", shorten("x" * 100_000, 10))


@pytest.mark.parametrize("text", ["100\u00a0%", "1\u202f000", "a\u3000b"])
def test_spaces_of_every_kind_stay(text: str) -> None:
    assert printable(text) == text
    assert printable_lines(f"{text}\n") == f"{text}\n"


def test_what_is_logged_to_stderr_steers_no_terminal() -> None:
    program = """
import logging
from pathlib import Path
from trikk.core.logs import log_to_stderr
from trikk.core.settings import Settings
log_to_stderr(Settings(Path(), "people"))
try:
    raise ValueError("\\x1b[8mhidden")
except ValueError:
    logging.getLogger("trikk").exception("%s\\u202e", "a\\x1b]0;owned\\x07")
"""
    shown = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, check=True).stderr
    first, *rest = shown.splitlines()
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} UTC ERROR trikk: ", first)
    assert first.endswith(r"ERROR trikk: a\x1b]0;owned\x07\u202e")
    assert rest[-1] == r"ValueError: \x1b[8mhidden"
    assert not re.search("[\x1b\x07\u202e]", shown)


def test_a_number_of_things_has_its_plural():
    assert [counted(n, "row") for n in (0, 1, 2, 3000)] == ["0 rows", "1 row", "2 rows", "3,000 rows"]
    assert [counted(n, "alias", "aliases") for n in (1, 2)] == ["1 alias", "2 aliases"]
