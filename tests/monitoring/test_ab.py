"""Two sides on exactly the same cases: what is paired, what is concluded, and how often that is right."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trikk.core.errors import UnknownName, UsageError
from trikk.models.metrics.by_name import metric_of
from trikk.models.registry import Registry
from trikk.models.version import ModelVersion
from trikk.monitoring.ab.ab_comparison import Comparison, compare
from trikk.monitoring.ab.losses import GROUP, NUMBER, OTHER, Extent, Loss, Quotient, quotient, stretches
from trikk.monitoring.ab.pairs import Excluded
from trikk.monitoring.ab.resampling import Spread, outside, spread, student_cdf, student_quantile
from trikk.monitoring.ab.sides import read_side
from trikk.monitoring.ab.verdict import Rules, days_for, judge
from trikk.monitoring.cases.case_columns import OBSERVED, PREDICTED
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.artifact import Artifact
from trikk.testing import MemoryTables

START = datetime(2020, 3, 1, tzinfo=UTC)
SPEC = MonitorSpec("people", "predictions", "counts", ("sensor",), "slot", "count", metrics=("mae",))
NOTHING = Artifact("0" * 64, "json", 2, {})


def rows(days: int, value: np.ndarray[Any, Any], version: int = 1, *, first: int = 0, **more: Any) -> pl.DataFrame:
    """Predictions for 24 hours of so many days, made at the midnight before each."""
    slots = [START + timedelta(days=first, hours=h) for h in range(24 * days)]
    return pl.DataFrame(
        {
            "sensor": ["north"] * len(slots),
            "slot": slots,
            "predicted_at": [slot.replace(hour=0) for slot in slots],
            "value": value,
            "model": "people",
            "model_version": pl.Series([version] * len(slots), dtype=pl.Int64),
            **more,
        }
    )


def truth(days: int, count: float = 10.0) -> pl.DataFrame:
    return rows(days, np.full(24 * days, count)).select("sensor", "slot", pl.col("value").alias("count"))


def registry(versions: int = 3, *moves: tuple[int, float]) -> Registry:
    """A registry with versions of "people", and moves of its champion: (version, days after the start)."""
    found = Registry(MemoryJournal())
    for number in range(versions):
        found.register(ModelVersion("people", 0, NOTHING, created=float(number)))
    for version, day in moves:
        at = START.timestamp() + day * 86_400
        found.move("people", "champion", version, "main", by="me", why="", at=at)
    return found


def versus(
    first: str, second: str, tables: dict[str, pl.DataFrame], known: Registry | None = None, **how: Any
) -> Comparison:
    return compare(how.pop("spec", SPEC), MemoryTables(tables), known or registry(), first, second, **how)


def noise(days: int, size: float, seed: int = 0) -> np.ndarray[Any, Any]:
    return size * np.random.default_rng(seed).normal(size=24 * days)


def test_only_cases_that_both_predicted_and_whose_truth_is_known_count() -> None:
    made = pl.concat([rows(10, np.full(240, 12.0)), rows(8, np.full(192, 11.0), 2, first=2)])
    counts = truth(10).with_columns(
        pl.when(pl.col("slot") >= START + timedelta(days=9)).then(None).otherwise(pl.col("count")).alias("count")
    )
    found = versus("people:1", "people:2", {"predictions": made, "counts": counts})
    assert (found.whole.cases, found.whole.spread.days) == (7 * 24, 7)
    assert found.left_out == Excluded((48, 0), unlabelled=24, unpredicted=0)
    assert (found.whole.first, found.whole.second, found.whole.spread.difference) == (2.0, 1.0, -1.0)
    assert (found.whole.share, found.days) == (-0.5, (date(2020, 3, 3), date(2020, 3, 9)))


def test_what_is_left_out_is_counted_by_its_reason() -> None:
    hours = pl.col("slot").dt.hour()
    made = pl.concat([rows(8, np.full(192, 12.0)), rows(8, np.full(192, 11.0), 2)]).filter(hours != 3)
    made = made.filter((hours != 5) | (pl.col("model_version") == 2))
    counts = truth(12).filter(hours != 7)
    found = versus("people:1", "people:2", {"predictions": made, "counts": counts})
    assert found.left_out == Excluded((0, 8), unlabelled=8, unpredicted=8)
    assert found.left_out.in_words("a", "b") == [
        "8 that only b predicted",
        "8 that both predicted and whose truth is not known",
        "8 that happened and neither predicted",
    ]
    assert [found.to_json()[name] for name in ("unpaired", "unlabelled", "unpredicted")] == [[0, 8], 8, 8]


def test_a_clear_difference_is_better_seen_from_one_side_and_worse_from_the_other() -> None:
    made = pl.concat([rows(14, 10 + noise(14, 3.0)), rows(14, 10 + noise(14, 2.0, seed=1), 2)])
    tables = {"predictions": made, "counts": truth(14)}
    forth, back = versus("people:1", "people:2", tables), versus("people:2", "people:1", tables)
    assert (forth.whole.verdict.state, back.whole.verdict.state) == ("better", "worse")
    assert forth.whole.spread.difference == pytest.approx(-back.whole.spread.difference)
    assert forth.sentence.startswith("people:2 is better than people:1: the difference lies between -")


def test_what_can_not_be_told_yet_says_how_many_more_days_it_takes() -> None:
    made = pl.concat([rows(8, 10 + noise(8, 3.0)), rows(8, 10 + noise(8, 2.95, seed=1), 2)])
    found = versus("people:1", "people:2", {"predictions": made, "counts": truth(8)}, rules=Rules(matters=0.05))
    assert found.whole.verdict.state == "not yet known"
    assert found.whole.verdict.days_needed is not None
    assert 1 <= found.whole.verdict.days_needed <= 400
    assert found.sentence.endswith("would tell")
    assert found.detectable is not None


def test_a_few_days_decide_nothing_however_clear_they_look() -> None:
    made = pl.concat([rows(3, 15 + noise(3, 1.0)), rows(3, 10 + noise(3, 1.0), 2)])
    found = versus("people:1", "people:2", {"predictions": made, "counts": truth(3)})
    assert (found.whole.verdict.state, found.whole.verdict.days_needed) == ("not yet known", 4)


def test_one_day_has_no_interval_and_is_no_crash() -> None:
    made = pl.concat([rows(1, np.full(24, 12.0)), rows(1, np.full(24, 11.0), 2)])
    found = versus("people:1", "people:2", {"predictions": made, "counts": truth(1)})
    assert found.to_json()["interval"] is None
    assert found.whole.verdict.days_needed == 6


def test_two_that_are_the_same_are_never_told_apart() -> None:
    made = pl.concat([rows(10, 10 + noise(10, 1.0)), rows(10, 10 + noise(10, 1.0), 2)])
    found = versus("people:1", "people:2", {"predictions": made, "counts": truth(10)})
    assert (found.whole.verdict.state, found.whole.verdict.days_needed) == ("not yet known", None)


def test_an_alias_is_whoever_held_it_when_a_prediction_was_made() -> None:
    made = pl.concat([rows(4, np.full(96, 11.0)), rows(6, np.full(144, 13.0), 2, first=4)])
    every = pl.concat([made, rows(6, np.full(144, 30.0), 3, first=4)])  # as if one more had predicted, too
    found = versus(
        "column:naive",
        "people@champion",
        {"predictions": every.with_columns(naive=pl.lit(10.0)), "counts": truth(10)},
        registry(3, (1, -1.0), (2, 3.5)),
    )
    assert (found.whole.cases, found.whole.first, found.whole.second) == (240, 0.0, (96 * 1 + 144 * 3) / 240)


def test_at_the_moment_of_a_move_the_former_holder_counts_as_well() -> None:
    made = rows(2, np.full(48, 11.0)).with_columns(naive=pl.lit(10.0))
    found = versus(
        "column:naive",
        "people@champion",
        {"predictions": made, "counts": truth(2)},
        registry(2, (1, -1.0), (2, 1.0)),
    )
    assert found.whole.cases == 48


def test_a_version_that_predicted_in_shadow_is_found_in_its_table() -> None:
    tables = {
        "predictions": rows(8, np.full(192, 12.0)),
        "shadow": pl.concat([rows(8, np.full(192, 11.0), 2), rows(8, np.full(192, 10.5), 3)]),
        "counts": truth(8),
    }
    assert versus("people:1", "people:2", tables).whole.second == 1.0
    assert versus("people:1", "table:shadow/people:3", tables).whole.second == 0.5
    assert versus("people:1", "table:shadow", tables).whole.cases == 192
    both = {**tables, "more": tables["shadow"]}
    with pytest.raises(UsageError, match="several tables: more, shadow, with 192, 192 rows, and 192 cases are in"):
        versus("people:1", "people:2", both)
    assert versus("people:1", "table:more/people:2", both).whole.second == 1.0


def test_a_version_is_found_in_all_tables_together() -> None:
    first = rows(8, np.full(192, 12.0))
    days = [rows(1, np.full(24, 10.0 + day), 2, first=day) for day in range(8)]
    tables = {"counts": truth(8), "predictions": pl.concat([first, *days[:1]])}
    tables |= {"log": pl.concat(days[1:3]), "shadow": pl.concat([days[0].with_columns(value=99.0), *days[3:]])}
    found = versus("people:1", "people:2", tables)
    assert (found.whole.cases, found.whole.second) == (192, 3.5)  # of the first day the monitor's table counts
    assert found.places == ("people:2: 24 in predictions; 48 in log; 144 in shadow",)
    assert found.to_json()["tables"] == [
        [{"table": "predictions", "rows": 192, "why_not": None}],
        [
            {"table": "predictions", "rows": 24, "why_not": None},
            {"table": "log", "rows": 48, "why_not": None},
            {"table": "shadow", "rows": 144, "why_not": None},
        ],
    ]
    assert versus("people:1", "table:shadow/people:2", tables).whole.cases == 144


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"drop": "slot"}, "table shadow has no column 'slot'"),
        ({"drop": "sensor"}, "table shadow has no column 'sensor'"),
        ({"drop": "value"}, "table shadow has no column 'value'"),
        ({"with": pl.lit(3).alias("sensor")}, "column 'sensor' is Int32 in table shadow and String in counts"),
        ({"with": pl.col("slot").dt.date()}, "column 'slot' of table shadow is Date, not a time"),
    ],
)
def test_a_table_whose_predictions_can_not_be_compared_is_named_with_the_reason(
    change: dict[str, Any], why: str
) -> None:
    shadow = rows(8, np.full(192, 11.0), 2)
    shadow = shadow.drop(change["drop"]) if "drop" in change else shadow.with_columns(change["with"])
    tables = {"predictions": rows(8, np.full(192, 12.0)), "counts": truth(8), "shadow": shadow}
    for side in ("people:2", "table:shadow/people:2"):
        with pytest.raises(UsageError) as refused:
            versus("people:1", side, tables)
        assert f"the predictions of {side} can't be compared by monitor people: 192 in table shadow, but " in (
            refused.value.what
        )
        assert why in refused.value.what
        assert "sensor, slot, value, as table predictions has them" in str(refused.value.next)
    some = {**tables, "predictions": pl.concat([tables["predictions"], rows(1, np.full(24, 10.0), 2)])}
    found = versus("people:1", "people:2", some)
    assert (found.whole.cases, found.whole.second) == (24, 0.0)
    assert found.places[0].startswith("people:2: 24 in predictions; 192 in shadow, left out: ")


def test_tables_that_write_key_version_and_time_otherwise_are_read_as_well() -> None:
    made = rows(8, np.full(192, 12.0)).with_columns(sensor=pl.lit(7))
    counts = truth(8).with_columns(sensor=pl.lit(7))
    log = rows(8, np.full(192, 11.0), 2).with_columns(
        pl.lit("7").alias("sensor"),
        pl.col("model").cast(pl.Categorical),
        pl.col("model_version").cast(pl.String),
        pl.col("predicted_at").dt.replace_time_zone(None),
    )
    tables = {"predictions": made, "counts": counts, "log": log, "notes": pl.DataFrame({"model": [1]})}
    assert versus("people:1", "people:2", tables).whole.second == 1.0
    known = registry(2, (1, -1.0), (2, 4.0))
    assert versus("people:1", "table:log/people@champion", tables, known).whole.cases == 96
    nobody = {**tables, "log": log.drop("predicted_at")}
    with pytest.raises(UsageError, match="192 in table log, but it has no time 'predicted_at'"):
        versus("people:1", "table:log/people@champion", nobody, known)
    with pytest.raises(UsageError, match="in table predictions; there are 192 in table log"):
        versus("people:1", "table:predictions/people:2", tables)


def test_days_are_those_of_the_monitor_s_place() -> None:
    made = pl.concat([rows(3, np.full(72, 12.0)), rows(3, np.full(72, 11.0), 2)])
    tables = {"predictions": made, "counts": truth(3)}
    there = replace(SPEC, timezone="Pacific/Auckland")
    assert versus("people:1", "people:2", tables, spec=there).days == (date(2020, 3, 1), date(2020, 3, 4))
    assert versus("people:1", "people:2", tables, spec=there, start=date(2020, 3, 4)).whole.cases == 13
    assert versus("people:1", "people:2", tables, end=date(2020, 3, 1)).whole.cases == 24


def test_slices_are_corrected_for_being_many() -> None:
    generator = np.random.default_rng(5)
    first, second = (10 + generator.normal(size=24 * 10) for _ in range(2))
    hour = np.arange(240) % 24 == 7
    made = pl.concat([rows(10, np.where(hour, first + 6, first)), rows(10, second, 2)])
    spec = replace(SPEC, slices=("hour",))
    found = versus("people:1", "people:2", {"predictions": made, "counts": truth(10)}, spec=spec)
    decided = [one.value for one in found.slices if one.verdict.state != "not yet known"]
    assert (len(found.slices), decided) == (24, ["7"])
    assert [one.value for one in found.slices] == [str(number) for number in range(24)]
    assert sum(one.cases for one in found.slices) == found.whole.cases


def test_over_twelve_weeks_whole_weeks_are_resampled_as_well() -> None:
    weeks = np.repeat(np.random.default_rng(2).normal(0, 3, 14), 7 * 24)
    made = pl.concat([rows(98, np.full(98 * 24, 20.0)), rows(98, 20 + weeks, 2)])
    found = versus("people:1", "people:2", {"predictions": made, "counts": truth(98)})
    assert (found.over, found.whole.spread.days) in (("weeks", 98), ("days", 98))
    assert found.whole.spread.low is not None
    assert found.whole.spread.error > 0.5  # of 14 weeks of spread 3, not of 98 days


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("people:1", "people:9", "no version '9'"),
        ("people:1", "nobody:1", "no model 'nobody'"),
        ("people:1", "people@champion", "no alias 'people@champion/main'"),
        ("people:1", "people@champion/staging", "no alias 'people@champion/staging'"),
        ("people:1", "column:naive", "no column 'naive'"),
        ("people:1", "table:shadow", "no table 'shadow'"),
        ("people:1", "people:3", "no predictions of people:3"),
        ("people:1", "people:2", "share no case"),
    ],
)
def test_what_is_not_there_is_named(first: str, second: str, message: str) -> None:
    made = pl.concat([rows(2, np.full(48, 12.0)), rows(2, np.full(48, 11.0), 2, first=2)])
    with pytest.raises((UnknownName, UsageError), match=message) as refused:
        versus(first, second, {"predictions": made, "counts": truth(4)})
    assert refused.value.next


def test_an_alias_that_was_given_after_the_predictions_says_since_when_and_what_would_work() -> None:
    made = {
        "predictions": rows(8, np.full(192, 12.0)),
        "shadow": rows(8, np.full(192, 11.0), 2),
        "counts": truth(8),
    }
    with pytest.raises(UsageError) as refused:
        versus("people:1", "people@champion", made, registry(3, (2, 20.5)))
    assert refused.value.what == (
        "there are no predictions of people@champion: version 2 has held champion since 2020-03-21 12:00 UTC, and "
        "whatever was predicted before does not count: 192 by version 2 in shadow"
    )
    assert refused.value.next == "compare what the version has made: people:2, or table:shadow"
    assert versus("people:1", "people:2", made).whole.second == 1.0
    with pytest.raises(UsageError) as refused:
        versus("people:1", "people@champion", made, registry(3, (3, 20.5)))
    assert refused.value.what.endswith("since 2020-03-21 12:00 UTC")
    assert str(refused.value.next).startswith("wait for")


@pytest.mark.parametrize(
    "text", ["", "people", "people@", "people:x", "column:", "table:", "table:a/b", "people:3/main"]
)
def test_what_is_no_side_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_side(text)


def off(truths: Any, values: Any) -> float:
    return float(np.mean(np.abs(truths - values)))


def middle(truths: Any, values: Any) -> float:
    return float(np.median(np.abs(truths - values)))


def broken(truths: Any, values: Any) -> float:
    raise ZeroDivisionError("no such case")


def only_of_some(truths: Any, values: Any) -> float:
    if len(truths) < 100:
        raise ValueError("too few")
    return off(truths, values)


def own(name: str, better: str = "lower") -> MonitorSpec:
    about: Any = {"own": {"function": f"{__name__}:{name}", "better": better}}
    return replace(SPEC, metrics=("own",), own=about, slices=("hour",))


def test_a_metric_of_the_author_s_own_is_compared_by_what_it_is_without_each_day() -> None:
    made = pl.concat([rows(14, 10 + noise(14, 3.0)), rows(14, 10 + noise(14, 2.0, seed=1), 2)])
    tables = {"predictions": made, "counts": truth(14)}
    mine, known = (
        versus("people:1", "people:2", tables, **how) for how in ({"spec": own("off")}, {"metric": "mae"})
    )
    assert (mine.metric, mine.better, mine.whole.verdict.state) == ("own", "lower", "better")
    assert (mine.whole.first, mine.whole.second) == pytest.approx((known.whole.first, known.whole.second))
    assert mine.whole.spread.error == pytest.approx(known.whole.spread.error, rel=0.05)
    assert mine.whole.spread.days == 14
    assert len(mine.slices) == 24
    place = versus("people:1", "people:2", tables, metric=f"{__name__}:off", better="lower")
    assert place.whole.spread == mine.whole.spread
    by_name = versus("people:1", "people:2", tables, spec=own("middle"))
    median = versus("people:1", "people:2", tables, metric="median_error")
    assert by_name.whole.spread == median.whole.spread
    assert median.whole.first == pytest.approx(np.median(np.abs(noise(14, 3.0))))


def test_an_own_metric_that_can_not_decide_says_why() -> None:
    made = pl.concat([rows(8, 10 + noise(8, 3.0)), rows(8, 10 + noise(8, 2.0, seed=1), 2)])
    tables = {"predictions": made, "counts": truth(8)}
    with pytest.raises(UsageError, match="which way own is better") as refused:
        versus("people:1", "people:2", tables, spec=own("off", better=""))
    assert "--better higher" in str(refused.value.next)
    with pytest.raises(UsageError, match="broken raised ZeroDivisionError: no such case"):
        versus("people:1", "people:2", tables, spec=own("broken"))
    found = versus("people:1", "people:2", tables, spec=own("only_of_some"))
    assert [one.first for one in found.slices] == [None] * 24
    assert found.whole.first is not None
    with pytest.raises(UnknownName, match="no metric 'maee'") as unknown:
        versus("people:1", "people:1", tables, metric="maee")
    assert "own" not in str(unknown.value.next)


def test_of_more_than_a_hundred_days_some_stand_together() -> None:
    assert stretches(100) == list(range(100))
    assert stretches(101)[:5] == [0, 0, 1, 1, 2]
    assert max(stretches(365)) < 100
    made = pl.concat([rows(120, 10 + noise(120, 3.0)), rows(120, 10 + noise(120, 2.0, seed=1), 2)])
    found = versus("people:1", "people:2", {"predictions": made, "counts": truth(120)}, metric="median_error")
    assert (found.whole.spread.days, found.whole.verdict.state) == (120, "better")
    single = versus("people:1", "people:2", {"predictions": made, "counts": truth(120)}, metric="mae")
    assert found.whole.spread.of_a_day == pytest.approx(single.whole.spread.of_a_day, rel=0.6)


def test_truth_values_are_numbers_and_texts_are_compared_by_accuracy_only() -> None:
    made = pl.concat([rows(8, np.full(192, 0.9)), rows(8, np.full(192, 0.6), 2)])
    tables = {"predictions": made, "counts": truth(8).with_columns(count=pl.lit(True))}
    found = versus("people:1", "people:2", tables, spec=replace(SPEC, metrics=("brier",)))
    assert found.whole.first == pytest.approx(0.01)
    text = pl.lit("a")
    names = {"predictions": made.with_columns(value=text), "counts": truth(8).with_columns(count=text)}
    assert versus("people:1", "people:2", names, metric="accuracy").whole.second == 1.0
    with pytest.raises(UsageError, match="mae takes numbers, and 'the truth' is String"):
        versus("people:1", "people:2", names)


def test_predictions_without_end_decide_nothing() -> None:
    made = pl.concat([rows(8, np.full(192, np.inf)), rows(8, np.full(192, 11.0), 2)])
    with pytest.raises(UsageError, match="share no case"):
        versus("people:1", "people:2", {"predictions": made, "counts": truth(8)})


@pytest.mark.parametrize("name", ["mae", "rmse", "bias", "wape", "quantile_0.9"])
def test_a_metric_from_sums_is_the_monitor_s_metric(name: str) -> None:
    generator, metric = np.random.default_rng(3), metric_of(name)
    frame = pl.DataFrame({OBSERVED: generator.integers(0, 9, 200).astype(float), PREDICTED: generator.random(200)})
    frame = frame.with_columns(
        (pl.col(PREDICTED) + 1).alias(OTHER), pl.Series(NUMBER, range(200)) % 5, **{GROUP: 0}
    )
    measure = Quotient(metric)
    sums = measure.sums(frame, Extent(5, 1)).sum(axis=0)[0]
    for side, column in enumerate((PREDICTED, OTHER)):
        expected = frame.select(metric.expression(pl.col(OBSERVED), pl.col(column))).item()
        assert float(measure.loss.of(sums[side])) == pytest.approx(expected)


MEAN = Loss("mae", "lower", quotient)


def table(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Days with one case each of these losses."""
    sums = np.ones((len(first), 1, 2, 2))
    sums[:, 0, 0, 0], sums[:, 0, 1, 0] = first, second
    return sums


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    generator, days, held = np.random.default_rng(11), {7: 0, 30: 0}, 250
    for count in days:
        for seed in range(held):
            cases = generator.poisson(40, count) + 1.0
            hard = cases * (10 + generator.normal(0, 2, count))  # a day is hard for both
            gain = cases * (0.5 + generator.normal(0, 1, count) + generator.normal(0, 2 / np.sqrt(cases)))
            sums = np.stack([np.stack([hard, cases], 1), np.stack([hard + gain, cases], 1)], 1)[:, None]
            found = spread(sums, MEAN, resamples=600, seed=seed)[0]
            days[count] += found.low <= 0.5 <= found.high  # type: ignore[operator]
    assert all(0.91 <= hits / held <= 0.985 for hits in days.values()), days


def test_days_that_are_like_their_neighbours_widen_the_interval() -> None:
    generator, held = np.random.default_rng(4), 0
    for seed in range(200):
        steps = generator.normal(size=80) * np.sqrt(0.75)
        daily = np.zeros(80)
        for day in range(1, 80):
            daily[day] = 0.5 * daily[day - 1] + steps[day]
        found = spread(table(np.full(60, 9.0), 9 + daily[20:]), MEAN, resamples=400, seed=seed)[0]
        held += found.low <= 0 <= found.high  # type: ignore[operator]
    assert held / 200 > 0.88  # days alone would hold it three times in four


def test_the_days_that_are_asked_for_find_the_difference_about_as_often_as_planned() -> None:
    generator = np.random.default_rng(8)
    needed = days_for(Spread(1.0, -1.0, 3.0, 2 / np.sqrt(10), 10), Rules(), 10.0)
    assert needed == 34  # (1.96 + 0.84)^2 * 2^2 + 1.92
    found = 0
    for seed in range(200):
        one = spread(
            table(np.full(needed, 9.0), 9 + generator.normal(1, 2, needed)),
            MEAN,
            resamples=400,
            seed=seed,
        )
        found += judge(one[0], "lower", Rules(), 9.0).state == "worse"
    assert 0.64 <= found / 200 <= 0.9


def test_the_same_seed_gives_the_same_interval() -> None:
    sums = table(noise(1, 2.0), noise(1, 1.0, seed=1))
    assert spread(sums, MEAN, seed=3) == spread(sums, MEAN, seed=3)
    assert spread(sums, MEAN, seed=3) != spread(sums, MEAN, seed=4)


@given(st.integers(1, 300), st.floats(-20, 20))
def test_student_s_distribution_is_scipy_s(degrees: int, value: float) -> None:
    special = pytest.importorskip("scipy.special")
    assert student_cdf(value, degrees) == pytest.approx(special.stdtr(degrees, value), abs=1e-9)


def test_quantiles_lie_further_outside_where_days_are_few() -> None:
    assert student_quantile(0.975, 6) == pytest.approx(2.446912, abs=1e-5)
    assert outside(7, 0.95) < outside(30, 0.95) < outside(1000, 0.95) < 0.025
    assert outside(1000, 0.95) == pytest.approx(0.025, rel=0.02)
