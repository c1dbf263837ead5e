"""What an author may write, and what is refused where it is written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from trikk import Table
from trikk.core.errors import UsageError
from trikk.core.values import decode, encode
from trikk.quality import (
    Check,
    between,
    fresh,
    has_columns,
    holds,
    like,
    matches,
    not_null,
    one_of,
    quality_gate,
    refers_to,
    row_count,
    unique,
)
from trikk.quality.check_kinds import read_check

ROWS = pl.DataFrame({"a": [1, 2]})
REFUSED: dict[str, Callable[[], Any]] = {
    "an unknown severity": lambda: not_null("a", severity="fatal"),  # type: ignore[arg-type]
    "all rows allowed to fail": lambda: not_null("a", allow=1.0),
    "a negative share": lambda: not_null("a", allow=-0.1),
    "a share that is no number": lambda: not_null("a", allow=True),
    "no column": not_null,
    "a column that is no name": lambda: unique("a", 3),  # type: ignore[arg-type]
    "an empty name": lambda: unique(""),
    "no limits": lambda: between("a"),
    "crossed limits": lambda: between("a", 3, 2),
    "limits of two kinds": lambda: between("a", 3, "x"),
    "an empty set": lambda: one_of("a", []),
    "a text as a set": lambda: one_of("a", "abc"),
    "no limit of rows": lambda: row_count(None),
    "crossed numbers of rows": lambda: row_count(3, 2),
    "a negative number of rows": lambda: row_count(-1),
    "half a row": lambda: row_count(0.5),  # type: ignore[arg-type]
    "no duration": lambda: fresh("a", "soon"),
    "no columns": lambda: has_columns([]),
    "fewer columns there": lambda: refers_to(["a", "b"], ROWS, "a"),
    "a name as a reference": lambda: refers_to("a", "sensors"),
    "an unknown measure": lambda: like("a", ROWS, measure="wasserstein"),  # type: ignore[arg-type]
    "a limit of zero": lambda: like("a", ROWS, 0),
    "a number as a statement": lambda: holds(3),
    "no checks": lambda: quality_gate(ROWS, []),
    "a text as checks": lambda: quality_gate(ROWS, "not_null"),
    "something that is no check": lambda: quality_gate(ROWS, [not_null("a"), 3]),
    "a name that can't be one": lambda: quality_gate(ROWS, not_null("a"), name="a/b"),
    "half a sample": lambda: quality_gate(ROWS, not_null("a"), sample=0.5),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("write", REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_no_sense_is_refused_where_it_is_written(write: Callable[[], Any]) -> None:
    with pytest.raises(UsageError) as caught:
        write()
    assert caught.value.next
    assert str(caught.value.where).startswith(__file__)


@pytest.mark.parametrize(
    "check",
    [
        has_columns({"a": pl.Int64, "at": pl.Datetime("us", "UTC")}, only=True),
        not_null("a", "b", allow=0.1, severity="warn", name="filled"),
        between("a", 1, 2.5),
        one_of("a", {"y", "x"}),
        matches("a", "x+"),
        row_count(1, 5),
        fresh("a", "2h"),
        holds("a < b"),
        holds(pl.col("a") < 3),
    ],
    ids=lambda check: check.kind,
)
def test_a_check_is_plain_data_and_comes_back_equal(check: Check) -> None:
    assert read_check(decode(encode(check.to_json())), check.what) == check


def test_a_set_is_the_same_data_however_it_was_built() -> None:
    assert one_of("a", {"x", "y", "z"}) == one_of("a", {"z", "y", "x"})


def test_a_table_can_not_be_gated_outside_of_a_run() -> None:
    with pytest.raises(Exception, match="read by a run only"):
        quality_gate(Table("counts"), [not_null("a")])


def test_a_project_that_declares_checks_loads_no_polars_for_them() -> None:
    code = "import sys; from trikk.quality import between, holds, like, unique; print('polars' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == ["False"]
