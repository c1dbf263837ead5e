from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.errors import UsageError
from trikk.steps.databases.query import Dialect, bind, tokens

LEFT_ALONE = [
    "select '12:30:00', ':a' from t",
    "select 'it''s :a' from t",
    'select ":a" from t',
    "select x::date, y::int from t",
    "select 'x'::text",
    "select 1 -- :a\n, 2",
    "select 1 -- :a",
    "select /* :a */ 1",
    "select a[1:n] from t",
    "select a[b:c] from t",
]


@pytest.mark.parametrize("query", LEFT_ALONE)
@pytest.mark.parametrize("dialect", ["duckdb", "postgresql"])
def test_a_colon_in_a_literal_a_cast_a_comment_or_a_slice_is_no_parameter(query: str, dialect: Dialect) -> None:
    assert bind(query, {}, dialect) == (query, {})


def test_each_driver_gets_its_own_style() -> None:
    query = "select * from t where day>=:day and :day < x and n=:n"
    given = {"day": 1, "n": 2}
    assert bind(query, given, "sqlite")[0] == query
    assert bind(query, given, "duckdb")[0] == "select * from t where day>=$day and $day < x and n=$n"
    assert bind(query, given, "postgresql")[0] == "select * from t where day>=%(day)s and %(day)s < x and n=%(n)s"


def test_per_cent_signs_reach_postgresql_as_they_are() -> None:
    assert bind("select 5 % 2, 'a%' where x like :p", {"p": "b%"}, "postgresql") == (
        "select 5 %% 2, 'a%%' where x like %(p)s",
        {"p": "b%"},
    )


@pytest.mark.parametrize(
    "query",
    [
        r"select E'it\'s :a', 1",
        "select $$ :a ' $$, 1",
        "select $q$ :a $$ ' $q$, 1",
        "select /* outer /* inner */ :a */ 1",
    ],
)
def test_postgresql_has_more_ways_to_quote(query: str) -> None:
    assert bind(query, {}, "postgresql")[1] == {}


def test_a_backslash_hides_no_quote_in_a_plain_literal() -> None:
    assert bind(r"select '\', :a", {"a": 1}, "postgresql")[1] == {"a": 1}
    assert bind(r"select name'\', :a", {"a": 1}, "postgresql")[1] == {"a": 1}


def test_sqlite_names_in_brackets_and_backticks_hold_no_parameters() -> None:
    assert bind("select [a :b], `c :d`, :e", {"e": 1}, "sqlite")[1] == {"e": 1}
    assert bind("select /* /* */ :a", {"a": 1}, "sqlite")[1] == {"a": 1}


def test_a_missing_and_an_unused_parameter_are_refused() -> None:
    with pytest.raises(UsageError) as missing:
        bind("select :a, :b", {"a": 1}, "sqlite")
    assert ":b" in missing.value.what
    with pytest.raises(UsageError) as unused:
        bind("select ':b', :a", {"a": 1, "b": 2}, "sqlite")
    assert "'b'" in unused.value.what


@pytest.mark.parametrize("query", ["select 'a", 'select "a', "select /* a", "select $$ a", "select /* /* */"])
def test_what_does_not_end_is_refused_with_its_line(query: str) -> None:
    with pytest.raises(UsageError) as error:
        bind("\n\n" + query, {}, "postgresql")
    assert "line 3" in error.value.what


pieces = st.sampled_from(
    ["select ", ":a", ":b_1", "::int", "'", "''", '"', "--", "\n", "/*", "*/", "$$", " ", "x", "%", "[", "]", ":"]
)


@given(st.lists(pieces, max_size=15).map("".join), st.sampled_from(["sqlite", "duckdb", "postgresql"]))
def test_no_character_is_lost_or_added(query: str, dialect: Dialect) -> None:
    try:
        parts = list(tokens(query, dialect))
    except UsageError:
        return
    assert "".join(f":{text}" if kind == "parameter" else text for kind, text in parts) == query


@given(st.text(max_size=30))
def test_a_literal_reads_the_same_in_sqlite_whatever_it_holds(text: str) -> None:
    literal = "'" + text.replace("\0", "").replace("'", "''") + "'"
    sql, values = bind(f"select {literal}, :a", {"a": 7}, "sqlite")
    link = sqlite3.connect(":memory:")
    try:
        assert link.execute(sql, values).fetchone() == (text.replace("\0", ""), 7)
    except UnicodeEncodeError:
        pass
    finally:
        link.close()
