from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drift.samples import NUMBERS, numbers, texts

from trikk.core.errors import StorageError, UnknownName, UsageError
from trikk.drift import DriftReport, compare, profile

METHODS = ("ks", "wasserstein", "jensen-shannon", "chi-square", "psi")


def one(reference: Any, current: Any, **options: Any):
    frames = (pl.DataFrame({"v": side}, strict=False) for side in (reference, current))
    return compare(*frames, **options)["v"]


@pytest.mark.parametrize("shape", NUMBERS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_sees_a_large_shift_and_no_drift_in_none(shape: str, method: str) -> None:
    before = numbers(shape, 3000, 1)
    after = numbers(shape, 3000, 3, 1.5)
    assert one(before, numbers(shape, 3000, 2), methods=method).verdict == "no drift"
    found = one(before, after, methods=method)
    assert (found.verdict, found.method) == ("drift", method)
    sketched = compare(*(profile(pl.DataFrame({"v": side})) for side in (before, after)), methods=method)["v"]
    assert sketched.verdict == "drift"
    assert sketched.effect == pytest.approx(found.effect, abs=0.03, rel=0.15)


def test_the_method_goes_by_type_and_size() -> None:
    many, few = numbers("normal", 2000, 1), numbers("normal", 500, 1)
    assert one(few, few).method == "ks"
    assert one(many, few).method == "wasserstein"
    assert one([i % 5 for i in range(500)], [1, 2] * 100).method == "chi-square"
    assert one([i % 5 for i in range(2000)], [1, 2] * 100).method == "jensen-shannon"
    assert one(texts(3, 500, 1), texts(3, 500, 2)).method == "chi-square"
    assert one([True, False] * 1000, [True, False] * 99 + [True] * 2).method == "jensen-shannon"


def test_a_tiny_shift_of_many_rows_is_significant_but_no_drift() -> None:
    found = one(numbers("normal", 200_000, 1), numbers("normal", 200_000, 2, 0.03))
    assert found.adjusted is not None
    assert found.adjusted < 1e-6
    assert found.verdict == "no drift"
    assert "below" in found.reason


def test_a_large_difference_of_few_rows_may_be_chance() -> None:
    found = one(texts(15, 120, 1), texts(15, 120, 2), methods="jensen-shannon")
    assert found.statistic is not None
    assert found.statistic > 0.1
    assert found.verdict == "no drift"
    assert "chance" in found.reason


def test_too_few_values_are_insufficient_data() -> None:
    found = one(numbers("normal", 5000, 1), numbers("normal", 99, 2, 9.0))
    assert found.verdict == "insufficient data"
    assert "99" in found.reason
    assert one([1.0] * 200, [2.0] * 20, minimum=20).verdict == "drift"


def test_among_many_columns_chance_raises_no_alarm() -> None:
    sides = [
        pl.DataFrame({f"c{i}": numbers("normal", 150, 1000 * side + i) for i in range(200)}) for side in (1, 2)
    ]
    options: dict[str, Any] = {"thresholds": {"ks": 0.0}}
    assert len(compare(*sides, correction=None, **options).drifted) >= 3
    assert compare(*sides, **options).drifted == ()
    assert compare(*sides, correction="holm", **options).drifted == ()


def test_new_and_vanished_categories_are_named() -> None:
    found = one(["a", "b"] * 1000, ["a", "c"] * 1000)
    assert found.verdict == "drift"
    assert "new: c (50.0%)" in found.reason
    assert "gone: b (50.0%)" in found.reason


def test_many_categories_that_are_all_replaced_are_seen_by_their_hashes() -> None:
    before, after = ([f"{sort}{i % 400}" for i in range(40_000)] for sort in "ab")
    assert one(before, after).verdict == "drift"
    found = compare(*(profile(pl.DataFrame({"v": side})) for side in (before, after)))["v"]
    assert found.verdict == "drift"
    same = profile(pl.DataFrame({"v": before}))
    assert compare(same, same)["v"].verdict == "no drift"


def test_an_identifier_is_not_comparable() -> None:
    found = one([f"a{i}" for i in range(500)], [f"b{i}" for i in range(500)])
    assert found.verdict == "not comparable"
    assert "occurs once" in found.reason


def test_a_change_of_schema_is_not_comparable_and_says_what_changed() -> None:
    before = pl.DataFrame({"gone": [1] * 200, "text": ["1"] * 200, "nested": [[1]] * 200, "same": [1] * 200})
    after = pl.DataFrame({"text": [1] * 200, "nested": [[1]] * 200, "same": [1.0] * 200, "new": [1] * 200})
    for sides in ((before, after), (profile(before), profile(after)), (before, profile(after))):
        report = compare(*sides)
        assert {c.column: c.verdict for c in report.columns} == {
            "gone": "not comparable",
            "text": "not comparable",
            "nested": "not comparable",
            "same": "no drift",
            "new": "not comparable",
        }
        assert "String" in report["text"].reason
        assert "Int64" in report["text"].reason


def test_missing_values_drift_too() -> None:
    values = numbers("normal", 1000, 1).tolist()
    for hole in (None, float("nan"), float("inf")):
        found = one(values, [hole if i % 3 == 0 else value for i, value in enumerate(values)])
        assert found.verdict == "drift"
        assert found.current_missing == pytest.approx(1 / 3, abs=0.01)
        assert "missing values 0.0% -> 33.4%" in found.reason
    assert one(values, [None] * 1000).verdict == "drift"
    assert one([None] * 1000, [None] * 1000).verdict == "insufficient data"


def test_times_are_compared_only_when_they_are_named() -> None:
    start = datetime.fromisoformat("2020-01-01")
    frames = [
        pl.DataFrame({"at": [start + timedelta(hours=i + shift) for i in range(500)], "x": [1] * 500})
        for shift in (0, 9000)
    ]
    assert [column.column for column in compare(*frames).columns] == ["x"]
    assert compare(*frames, columns=["at"])["at"].verdict == "drift"
    assert compare(*frames, methods={"at": "ks"})["at"].effect == 1.0
    assert compare(*map(profile, frames), columns=["at"])["at"].verdict == "drift"
    zoned = frames[0].with_columns(pl.col("at").dt.replace_time_zone("UTC"))
    assert compare(frames[0], zoned, columns=["at"])["at"].verdict == "not comparable"


def test_constants_are_compared() -> None:
    assert one([1.0] * 2000, [1.0] * 2000).verdict == "no drift"
    assert one([1.0] * 2000, [2.0] * 2000).verdict == "drift"
    assert one([1.0] * 2000, [2.0] * 2000, methods="wasserstein").effect == 1.0
    assert one([0.0] * 2000, [0.0] * 2000, methods="wasserstein").verdict == "no drift"
    assert one(["a"] * 2000, ["a"] * 2000).verdict == "no drift"


def test_a_day_against_a_month_counts_as_much_as_a_day_against_a_day() -> None:
    day = ["a"] * 300 + ["b"] * 700
    other = ["a"] * 500 + ["b"] * 500
    effects = [one(other * n, day, methods="chi-square").effect for n in (1, 30)]
    assert effects[0] == pytest.approx(effects[1], abs=0.005)


@pytest.mark.parametrize("method", ["jensen-shannon", "chi-square", "psi"])
def test_the_effect_of_nothing_is_about_nothing_however_few_the_rows(method: str) -> None:
    for size in (100, 1000, 10_000):
        found = [one(texts(12, size, i), texts(12, 5000, i + 99), methods=method) for i in range(30)]
        assert sum((drift.effect or 0) < 0.1 for drift in found) >= 24
    assert one(texts(12, 10**5, 1), texts(12, 200, 2, 2.0), methods=method).effect == pytest.approx(
        one(texts(12, 10**5, 1), texts(12, 10**5, 2, 2.0), methods=method).effect, rel=0.25
    )


def test_the_report_comes_back_from_json() -> None:
    before = pl.DataFrame({"a": numbers("normal", 500, 1), "b": texts(3, 500, 1), "c": [[1]] * 500})
    report = compare(before, before.with_columns(pl.col("a") * 3))
    assert DriftReport.read(json.loads(json.dumps(report.to_json()))) == report
    assert [column.column for column in report.drifted] == ["a"]
    assert [column.column for column in report.of("not comparable")] == ["c"]
    with pytest.raises(KeyError):
        report["d"]
    with pytest.raises(StorageError):
        DriftReport.read({"version": 1})


@pytest.mark.parametrize(
    "options",
    [
        {"methods": "t-test"},
        {"methods": {"b": "ks"}},
        {"methods": {"z": "ks"}},
        {"columns": ["z"]},
        {"alpha": 0},
        {"minimum": 1},
        {"correction": "bonferroni"},
        {"thresholds": {"ks": float("nan")}},
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    rows = pl.DataFrame({"a": [1.0] * 200, "b": ["x"] * 200})
    with pytest.raises(UsageError):
        compare(rows, rows, **options)
    with pytest.raises(UsageError):
        compare(profile(rows), profile(rows), **options)


def test_one_method_for_all_leaves_columns_that_it_can_not_measure_to_the_usual_one() -> None:
    rows = pl.DataFrame({"a": numbers("normal", 200, 1), "b": ["x", "y"] * 100})
    assert [column.method for column in compare(rows, rows, methods="ks").columns] == ["ks", "chi-square"]


def test_thresholds_go_by_method_and_by_column() -> None:
    before, after = (
        pl.DataFrame({"a": values, "b": values})
        for values in (numbers("normal", 5000, 1), numbers("normal", 5000, 2, 0.3))
    )
    found = compare(before, after, thresholds={"wasserstein": 0.5, "b": 0.1})
    assert [column.verdict for column in found.columns] == ["no drift", "drift"]
    assert found["b"].threshold == 0.1


VALUES = {
    "float": st.floats(),
    "int": st.integers(-(2**62), 2**62),
    "text": st.text(max_size=5),
    "flag": st.booleans(),
    "day": st.dates(date(1900, 1, 1)),
    "list": st.lists(st.integers(0, 3), max_size=2),
}


@settings(max_examples=150)
@given(data=st.data(), kinds=st.tuples(st.sampled_from([*VALUES]), st.sampled_from([*VALUES])))
def test_any_two_columns_get_a_verdict(data: st.DataObject, kinds: tuple[str, str]) -> None:
    columns = [
        data.draw(st.lists(st.none() | VALUES[kind], max_size=30)) * data.draw(st.integers(1, 5)) for kind in kinds
    ]
    frames = [pl.DataFrame({"v": column}, strict=False) for column in columns]
    method = data.draw(st.sampled_from([None, "jensen-shannon", "chi-square", "psi", "ks", "wasserstein"]))
    for sides in (frames, [profile(frame) for frame in frames]):
        report = compare(*sides, columns=["v"], methods=method, minimum=2)
        assert report["v"].reason
        assert DriftReport.read(json.loads(json.dumps(report.to_json()))) == report


def test_empty_frames_are_insufficient_data_or_nothing_at_all() -> None:
    rows = pl.DataFrame({"a": [1.0]})
    assert compare(rows.clear(), rows.clear())["a"].verdict == "insufficient data"
    assert compare(rows, rows.clear().lazy())["a"].verdict == "insufficient data"
    assert compare(pl.DataFrame(), pl.DataFrame()).columns == ()


def test_an_unknown_column_is_named_with_what_there_is() -> None:
    rows = pl.DataFrame({"speed": [1.0]})
    with pytest.raises(UnknownName) as trouble:
        compare(rows, rows, columns=["sped"])
    assert trouble.value.close == ["speed"]


@pytest.mark.parametrize("sketched", [False, True])
def test_a_mean_that_is_computed_anew_is_a_number_and_no_new_category(sketched: bool) -> None:
    before = pl.DataFrame({"mean": [10.0 + line + 0.123 for line in range(12)] * 40})
    now = pl.DataFrame({"mean": [10.0 + line + 0.131 for line in range(12)] * 40})
    found = compare(profile(before), profile(now)) if sketched else compare(before, now)
    (column,) = found.columns
    assert (column.method, column.verdict) == ("ks", "no drift")
    whole = compare(before.select(pl.col("mean").round()), now.select(pl.col("mean").round()))
    assert whole.columns[0].method == "chi-square"
