"""A table that need not be there: None where it is not, its rows where it is."""

from __future__ import annotations

import polars as pl
import pytest

from trikk import Table, pipeline, step
from trikk.core.errors import UnknownName
from trikk.pipeline.arguments import TableRef, read_argument
from trikk.testing import run_inline


@step
def count(rows: pl.DataFrame | None) -> int:
    return -1 if rows is None else rows.height


@step
def one() -> pl.DataFrame:
    return pl.DataFrame({"a": [1]})


@pipeline
def reads() -> None:
    count(Table("rejected", optional=True))


@pipeline
def writes_first() -> None:
    table = Table("rejected", optional=True)
    table.append(one())
    count(table)


@pipeline
def insists() -> None:
    count(Table("rejected"))


def test_a_table_that_is_not_there_is_none_if_it_is_optional() -> None:
    assert run_inline(reads).output("count") == -1
    assert run_inline(reads, tables={"rejected": pl.DataFrame({"a": [1, 2]})}).output("count") == 2
    assert run_inline(writes_first).output("count") == 1
    with pytest.raises(UnknownName):
        run_inline(insists)


def test_it_is_written_as_before_where_it_is_not_optional() -> None:
    assert TableRef("a", ()).to_json() == {"table": "a", "writes": []}
    for ref in (TableRef("a", ()), TableRef("a", ("w",), optional=True)):
        assert read_argument(ref.to_json()) == ref
