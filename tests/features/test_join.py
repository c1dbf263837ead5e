from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from polars.testing import assert_frame_equal
from tests.features.naive import naive_join
from tests.features.strategies import SCHEMA, VALUES, Case, cases

from trikk import FeatureTable
from trikk.core.errors import DefinitionError, UnknownName, UsageError
from trikk.features.actions import check_rows
from trikk.features.join import join_as_of

T0 = datetime(2024, 3, 1, 9, tzinfo=UTC)


def minutes(*numbers: float) -> list[datetime]:
    return [T0 + timedelta(minutes=n) for n in numbers]


LOADS = FeatureTable("loads", entity="line", time="known")
FACTS = pl.DataFrame({"line": ["4", "4", "5"], "known": minutes(0, 10, 5), "load": [1.0, 2.0, 3.0]})


@given(cases())
@settings(max_examples=150)
def test_a_join_gives_what_looking_at_every_fact_gives(case: Case) -> None:
    got = join_as_of(case.definition, case.rows(), case.frame(), on="at", features=VALUES)
    expected = naive_join(case.definition, case.facts, case.moments)
    rows = [{name: None if fact is None else fact[name] for name in VALUES} for fact in expected]
    wanted = case.rows().hstack(pl.DataFrame(rows, schema={name: SCHEMA[name] for name in VALUES}, orient="row"))
    assert_frame_equal(got, wanted, check_exact=True)


@given(cases())
@settings(max_examples=40)
def test_the_order_of_facts_does_not_matter(case: Case) -> None:
    once = join_as_of(case.definition, case.rows(), case.frame(), on="at", features=VALUES)
    again = join_as_of(case.definition, case.rows(), case.frame(case.facts[::-1]), on="at", features=VALUES)
    assert_frame_equal(once, again, check_exact=True)


def test_a_value_counts_from_the_very_moment_at_which_it_was_known() -> None:
    rows = pl.DataFrame({"line": "4", "departure": minutes(-0.001, 0, 9.999, 10)})
    assert LOADS.join_as_of(rows, on="departure", table=FACTS)["load"].to_list() == [None, 1.0, 1.0, 2.0]


def test_a_correction_counts_only_once_it_was_known_and_a_late_old_value_hides_no_newer_one() -> None:
    table = FeatureTable("counts", entity="line", time="known", event="slot")
    slot = minutes(0, 0, 60, 0)
    facts = pl.DataFrame({"line": "4", "slot": slot, "known": minutes(5, 30, 65, 90), "count": [10, 11, 20, 12]})
    rows = pl.DataFrame({"line": "4", "at": minutes(4, 5, 30, 65, 90)})
    assert table.join_as_of(rows, on="at", table=facts)["count"].to_list() == [None, 10, 11, 20, 20]


def test_nanoseconds_are_never_rounded_into_the_past_of_what_was_known() -> None:
    known = pl.Series([1_000_001]).cast(pl.Datetime("ns", "UTC"))
    facts = pl.DataFrame({"line": ["4"], "known": known, "load": [1.0]})
    moments = pl.Series([1_000_000, 1_000_999, 1_001_000, 1_002_000]).cast(pl.Datetime("ns", "UTC"))
    rows = pl.DataFrame({"line": "4", "at": moments})
    assert LOADS.join_as_of(rows, on="at", table=facts)["load"].to_list() == [None, None, 1.0, 1.0]
    stored = check_rows(facts, LOADS.definition.to_json())
    assert LOADS.join_as_of(rows, on="at", table=stored)["load"].to_list() == [None, None, 1.0, 1.0]


def test_zones_and_units_are_made_one() -> None:
    facts = FACTS.with_columns(pl.col("known").dt.convert_time_zone("Europe/Oslo").dt.cast_time_unit("ms"))
    rows = pl.DataFrame({"line": "4", "at": minutes(10)}).with_columns(
        pl.col("at").dt.convert_time_zone("America/Lima").dt.cast_time_unit("ns")
    )
    got = LOADS.join_as_of(rows, on="at", table=facts)
    assert got["load"].to_list() == [2.0]
    assert got.drop("load").equals(rows)


def test_keys_of_another_width_or_kind_of_text_match_and_others_are_refused() -> None:
    facts = pl.DataFrame(
        {"stop": pl.Series([1], dtype=pl.Int16), "line": ["4"], "known": minutes(0), "load": [1.0]}
    )
    table = FeatureTable("loads", entity=["line", "stop"], time="known")
    rows = pl.DataFrame({"line": ["4", "4", None], "stop": [1, 70_000, 1], "at": minutes(1, 1, 1)})
    rows = rows.with_columns(pl.col("line").cast(pl.Categorical))
    assert table.join_as_of(rows, on="at", table=facts)["load"].to_list() == [1.0, None, None]
    with pytest.raises(UsageError, match="'stop' is String here and Int16 in the feature table"):
        table.join_as_of(rows.with_columns(pl.col("stop").cast(pl.String)), on="at", table=facts)


def test_chosen_features_get_a_prefix_and_names_that_clash_are_refused() -> None:
    rows = pl.DataFrame({"line": ["4"], "at": minutes(1), "load": [7.0]})
    got = LOADS.join_as_of(rows, on="at", table=FACTS, features=["load"], prefix="was_")
    assert got.columns == ["line", "at", "load", "was_load"]
    with pytest.raises(UsageError, match="have a column 'load' already"):
        LOADS.join_as_of(rows, on="at", table=FACTS)
    with pytest.raises(UnknownName, match="no feature 'laod'"):
        LOADS.join_as_of(rows, on="at", table=FACTS, features=["laod"])


def test_pandas_rows_and_a_lazy_table_are_taken() -> None:
    rows = pl.DataFrame({"line": ["5"], "at": minutes(6)}).to_pandas()
    assert LOADS.join_as_of(rows, on="at", table=FACTS.lazy())["load"].to_list() == [3.0]


@pytest.mark.parametrize(
    ("facts", "rows", "message"),
    [
        ({"known": None}, {}, r"there is no column 'known'"),
        ({"known": ["2024-03-01"]}, {}, r"'known' is String, not a Datetime"),
        ({"known": [date(2024, 3, 1)]}, {}, r"'known' is Date, not a Datetime"),
        ({"known": [T0.replace(tzinfo=None)]}, {}, r"'at' is with a time zone, .* are without"),
        ({"known": pl.Series([None], dtype=pl.Datetime("us", "UTC"))}, {}, r"'known' is null in 1 of 1 rows"),
        ({"line": pl.Series([None], dtype=pl.String)}, {}, r"'line' is null in 1 of 1 rows"),
        ({"line": [0.5]}, {}, r"'line' is Float64, which can't name an entity"),
        ({"load": None}, {}, r"there is no feature"),
        ({}, {"at": None}, r"there is no column 'at'"),
        ({}, {"line": None}, r"there is no column 'line'"),
        ({}, {"at": [1]}, r"'at' is Int64, not a Datetime"),
        ({}, {"at": pl.Series([None], dtype=pl.Datetime("us", "UTC"))}, r"'at' is null in 1 of 1 rows"),
    ],
)
def test_what_could_only_give_wrong_features_is_refused(facts: dict, rows: dict, message: str) -> None:
    def frame(start: dict, changes: dict) -> pl.DataFrame:
        return pl.DataFrame({k: v for k, v in {**start, **changes}.items() if v is not None})

    table = frame({"line": ["4"], "known": minutes(0), "load": [1.0]}, facts)
    with pytest.raises(UsageError, match=message) as caught:
        LOADS.join_as_of(frame({"line": ["4"], "at": minutes(1)}, rows), on="at", table=table)
    assert caught.value.next


def test_rows_that_contradict_each_other_are_refused_and_rows_that_repeat_each_other_are_not() -> None:
    rows = pl.DataFrame({"line": ["4"], "at": minutes(1)})
    twice = pl.concat([FACTS, FACTS])
    assert LOADS.join_as_of(rows, on="at", table=twice)["load"].to_list() == [1.0]
    nan = FACTS.with_columns(load=pl.lit(float("nan")))
    assert LOADS.join_as_of(rows, on="at", table=pl.concat([nan, nan]))["load"].is_nan().all()
    with pytest.raises(UsageError, match=r"contradict each other: .* line='5'"):
        LOADS.join_as_of(rows, on="at", table=pl.concat([FACTS, FACTS[2:].with_columns(load=pl.lit(0.0))]))


def test_declared_types_hold() -> None:
    table = FeatureTable("loads", entity="line", time="known", features={"load": pl.Float32})
    with pytest.raises(UsageError, match="'load' is Float64, not Float32"):
        table.join_as_of(pl.DataFrame({"line": ["4"], "at": minutes(1)}), on="at", table=FACTS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"entity": []}, "a column without a name"),
        ({"entity": "line", "time": "line"}, "'line' has two roles"),
        ({"entity": "line", "features": []}, "has no features"),
        ({"entity": "line", "ttl": "1h", "available_after": "2h"}, "could ever be used"),
        ({"entity": "line", "ttl": "soon"}, "ttl: 'soon' is not a length of time"),
        ({"entity": "line", "online": "redis://:secret@host"}, "holds a password"),
        ({"entity": "line", "online": "http://host"}, "of an unknown kind"),
    ],
)
def test_a_definition_that_can_not_work_names_the_authors_line(arguments: dict, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        FeatureTable("loads", **{"time": "known", **arguments})
    assert "test_join.py" in (caught.value.where or "")
    assert "secret" not in str(caught.value)
