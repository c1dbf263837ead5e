"""A monitor over days: late labels, corrections, absences, and how little a new day costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from trikk import Alarm, Drift, Table
from trikk.alerts.evaluations import why_due
from trikk.core.errors import DefinitionError
from trikk.monitoring import Monitor
from trikk.monitoring.cases.ahead import ahead_in_words
from trikk.monitoring.figures.records import Records
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.tables.table_write import Write
from trikk.testing import MemoryTables, run_inline

START = datetime(2020, 3, 1, tzinfo=UTC)
SENSORS = ["north", "south"]


def monitor(**options: Any) -> Monitor:
    given: dict[str, Any] = {
        "predictions": Table("predictions"),
        "truth": Table("counts"),
        "key": ["sensor"],
        "slot": "slot",
        "observed": "count",
        "label_delay": "1d",
        "metrics": ["mae", "bias", "rmse"],
        "slices": ["sensor", "hour"],
        "minimum": 2,
    }
    return Monitor("people", **{**given, **options})


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def predicted(number: int, *, value: float = 10.0, made: int = 0, hours: int = 24) -> pl.DataFrame:
    slots = [(s, day(number) + timedelta(hours=h)) for s in SENSORS for h in range(hours)]
    return pl.DataFrame(
        {
            "prediction_id": [f"{s}-{at:%d%H}-{made}" for s, at in slots],
            "sensor": [s for s, _ in slots],
            "slot": [at for _, at in slots],
            "predicted_at": [day(number - 1) + timedelta(minutes=made)] * len(slots),
            "value": [value] * len(slots),
            "naive": [value + 4.0] * len(slots),
        }
    )


def counted(number: int, count: float = 12.0, sensors: tuple[str, ...] = ("north", "south")) -> pl.DataFrame:
    slots = [(s, day(number) + timedelta(hours=h)) for s in sensors for h in range(24)]
    return pl.DataFrame(
        {"sensor": [s for s, _ in slots], "slot": [at for _, at in slots], "count": [count] * len(slots)}
    )


class World:
    """Tables that grow, and a monitor that looks at them."""

    def __init__(self, watched: Monitor) -> None:
        self.monitor = watched
        self.journal: Journal = MemoryJournal()
        self.tables = MemoryTables({"predictions": predicted(0), "counts": counted(0).clear()})
        self.records = Records(self.journal, "people")
        self.writes = 0

    def add(self, table: str, rows: pl.DataFrame, mode: str = "append", **how: Any) -> None:
        self.writes += 1
        self.tables.write(table, Write(mode, rows.lazy(), **how), identity=str(self.writes), origin={})  # type: ignore[arg-type]

    def look(self, now: datetime) -> dict[str, Any]:
        run = run_inline(self.monitor.pipeline, tables=self.tables, journal=self.journal, now=now)
        assert run.state == "succeeded", run.error
        found: dict[str, Any] = run.output("evaluate")
        return found

    def day(self, number: int) -> Any:
        return self.records.window("day", f"{day(number):%Y-%m-%d}")


@pytest.fixture
def world() -> World:
    return World(monitor())


def test_a_day_goes_from_pending_over_partial_to_final(world: World) -> None:
    world.look(day(0))
    assert (world.day(0).state, world.day(0).whole.waiting, world.day(0).whole.metrics["mae"]) == (
        "pending",
        48,
        None,
    )
    world.add("counts", counted(0, sensors=("north",)))
    world.look(day(1))
    assert (world.day(0).state, world.day(0).whole.coverage) == ("partial", 0.5)
    assert world.day(0).whole.metrics == {"mae": 2.0, "bias": -2.0, "rmse": 2.0}
    world.add("counts", counted(0, sensors=("south",)))
    world.look(day(1))
    assert (world.day(0).state, world.day(0).whole.coverage, world.day(0).restated) == ("final", 1.0, 0)
    assert [w.state for w in world.records.past("day", "2020-03-01")] == ["pending", "partial", "final"]


def test_labels_that_come_after_the_time_restate_the_window_and_earlier_figures_stay(world: World) -> None:
    world.add("counts", counted(0, sensors=("north",)))
    world.look(day(3))
    assert world.day(0).state == "final"
    world.add("counts", counted(0, count=20.0, sensors=("south",)))
    found = world.look(day(3))
    assert [(w["label"], w["why"]) for w in found["windows"]] == [("2020-03-01", "24 labels came late")]
    assert [w.whole.metrics["mae"] for w in world.records.past("day", "2020-03-01")] == [2.0, 6.0]
    assert world.day(0).restated == 1


def test_corrected_values_restate_a_window(world: World) -> None:
    world.add("counts", counted(0))
    world.look(day(2))
    world.add("counts", counted(0, count=11.0), mode="merge", key=("sensor", "slot"))
    assert world.look(day(2))["windows"][0]["why"] == "values were corrected"
    assert world.day(0).whole.metrics["mae"] == 1.0


def test_labels_that_do_not_come_make_a_window_overdue_and_no_zero(world: World) -> None:
    world.look(day(1))
    world.look(day(2))
    assert (world.day(0).state, world.day(0).whole.metrics["mae"]) == ("overdue", None)
    world.add("counts", counted(0))
    world.look(day(4))
    assert (world.day(0).state, world.day(0).why) == ("final", "48 labels came late")


def test_truth_without_prediction_and_prediction_without_truth_have_their_own_counts(world: World) -> None:
    world.add("counts", counted(0, sensors=("north", "west")))
    world.look(day(2))
    whole = world.day(0).whole
    assert (whole.predicted, whole.observed, whole.labelled) == (48, 48, 24)
    assert (whole.waiting, whole.unpredicted) == (24, 24)
    assert world.day(0).of("sensor", "west").labelled == 0
    assert world.day(0).of("sensor", "west").metrics["mae"] is None


def test_when_predictions_stop_the_days_are_still_there(world: World) -> None:
    world.add("counts", pl.concat([counted(0), counted(1), counted(2)]))
    world.look(day(4))
    assert (world.day(2).state, world.day(2).whole.predicted, world.day(2).whole.unpredicted) == ("final", 0, 48)


def test_a_day_with_nothing_at_all_is_empty(world: World) -> None:
    world.add("predictions", predicted(2))
    world.look(day(4))
    assert (world.day(1).state, world.day(1).whole.predicted) == ("empty", 0)


def test_nulls_and_nans_are_no_values(world: World) -> None:
    rows = counted(0).with_columns(
        pl.when(pl.col("sensor") == "north").then(None).when(pl.col("slot").dt.hour() == 0).then(float("nan"))
        .otherwise(pl.col("count")).alias("count")
    )  # fmt: skip
    world.add("counts", rows)
    world.look(day(2))
    assert (world.day(0).whole.observed, world.day(0).whole.metrics["mae"]) == (23, 2.0)


def test_of_several_predictions_for_a_slot_the_last_made_counts(world: World) -> None:
    world.add("predictions", predicted(0, value=11.0, made=30))
    world.add("predictions", predicted(0, value=99.0, made=10))
    world.add("counts", counted(0))
    world.look(day(2))
    assert world.day(0).whole.predicted == 48
    assert world.day(0).whole.metrics["mae"] == 1.0


def test_a_baseline_is_compared_on_the_same_cases(world: World) -> None:
    world = World(monitor(baseline="naive"))
    rows = predicted(0).with_columns(pl.when(pl.col("sensor") == "north").then("naive").alias("naive"))
    world.tables = MemoryTables({"predictions": rows, "counts": counted(0)})
    world.look(day(2))
    whole = world.day(0).whole
    assert (whole.cases, whole.baseline["mae"], whole.own["mae"]) == (24, 2.0, 2.0)
    assert whole.baseline["bias"] == 2.0


def test_slices_by_column_and_by_local_hour() -> None:
    world = World(monitor(timezone="Pacific/Auckland", windows=["day", "week", "hour"]))
    world.add("counts", counted(0))
    world.look(day(2))
    first = world.records.window("day", "2020-03-01")
    assert first.of("hour", "13").predicted == 2
    assert first.of("hour", "12") is None
    assert first.of("sensor", "north").predicted == 11
    assert world.records.window("week", "2020-02-24").whole.predicted == 22
    assert world.records.window("hour", "2020-03-01T13:00+13:00").whole.predicted == 2


def test_an_evaluation_that_finds_nothing_new_writes_nothing(world: World) -> None:
    world.add("counts", counted(0))
    world.look(day(2))
    before = world.journal.history("monitor/people/window")
    found = world.look(day(3))
    assert (found["windows"], found["unchanged"]) == ([], 0)
    assert world.journal.history("monitor/people/window") == before


def test_a_new_day_is_found_without_looking_at_the_days_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("counts", counted(0))
    world.look(day(1))
    with monkeypatch.context() as during:
        during.setattr(MemoryTables, "ranges", None)
        for number in (1, 2, 3):
            world.add("predictions", predicted(number))
            world.add("counts", counted(number))
            found = world.look(day(number + 1))
            assert ([w["label"] for w in found["windows"]], found["unchanged"]) == ([f"2020-03-0{number + 1}"], 0)
    world.add("predictions", predicted(1, made=1, value=9.0), "merge", key=("sensor", "slot"))
    found = world.look(day(6))
    assert [(w["label"], w["metrics"]["mae"]) for w in found["windows"]] == [("2020-03-02", 3.0)]


def test_a_merge_into_a_file_of_many_days_touches_the_days_whose_rows_it_changed(world: World) -> None:
    for number in range(1, 5):
        world.add("predictions", predicted(number))
    world.add("counts", pl.concat([counted(number) for number in range(5)]))
    assert len(world.look(day(6))["windows"]) > 4
    # Every row of the file is written anew; those of four days stay what they were, one has another value.
    again = pl.concat([counted(number) for number in (0, 1, 2, 4)])
    world.add("counts", pl.concat([again, counted(3, count=11.0)]), "merge", key=("sensor", "slot"))
    found = world.look(day(6))
    assert ([w["label"] for w in found["windows"]], found["unchanged"]) == (["2020-03-04"], 0)
    # Rows that went, and none that came in their hours.
    kept = pl.concat([counted(number) for number in (0, 1, 2, 4)])
    world.add("counts", kept, "overwrite")
    found = world.look(day(6))
    assert ([(w["label"], w["why"]) for w in found["windows"]], found["unchanged"]) == (
        [("2020-03-04", "48 labels are gone")],
        0,
    )


def test_where_files_of_the_earlier_version_are_gone_all_their_days_are_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("predictions", predicted(1))
    world.add("counts", pl.concat([counted(0), counted(1)]))
    world.look(day(3))
    world.add("counts", pl.concat([counted(0), counted(1, count=11.0)]), "merge", key=("sensor", "slot"))

    def cleared(*_: object) -> pl.LazyFrame:
        raise FileNotFoundError("part-0.parquet")

    monkeypatch.setattr(MemoryTables, "rows_in", cleared)
    found = world.look(day(3))
    assert ([w["label"] for w in found["windows"]], found["unchanged"]) == (["2020-03-02"], 1)


def test_late_labels_of_an_overdue_window_restate_nothing(world: World) -> None:
    world.look(day(2))
    world.add("counts", counted(0))
    world.look(day(4))
    assert (world.day(0).state, world.day(0).why, world.day(0).restated) == ("final", "48 labels came late", 0)
    world.add("counts", counted(0, count=11.0), mode="merge", key=("sensor", "slot"))
    world.look(day(5))
    assert (world.day(0).why, world.day(0).restated) == ("values were corrected", 1)


def test_under_another_definition_all_windows_are_made_anew_and_none_is_restated(world: World) -> None:
    for number in range(3):
        world.add("predictions", predicted(number, made=1))
        world.add("counts", counted(number))
    world.look(day(5))
    world.monitor = monitor(metrics=["wape", "mae"], slices=["sensor"])
    found = world.look(day(6))
    assert [(w["label"], w["why"]) for w in found["windows"]] == [
        (f"2020-03-0{number}", "the definition has changed") for number in (1, 2, 3)
    ]
    assert [list(world.day(n).whole.metrics) for n in range(3)] == [["wape", "mae"]] * 3
    assert [world.day(n).restated for n in range(3)] == [0] * 3
    assert list(world.records.past("day", "2020-03-01")[0].whole.metrics) == ["mae", "bias", "rmse"]
    assert world.look(day(6))["windows"] == []
    world.add("counts", counted(0).head(1))
    assert world.look(day(7))["windows"] == []
    world.add("counts", counted(0, count=11.0).head(1))
    world.look(day(8))
    assert (world.day(0).why, world.day(0).restated) == ("values were corrected", 1)


def test_what_figures_do_not_depend_on_makes_none_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add("counts", counted(0))
    world.look(day(3))
    world.monitor = monitor(
        metrics=["rmse", "bias", "mae"], label_delay="2d", minimum=9, alarms=[Alarm("far", when="mae > 9")]
    )
    with monkeypatch.context() as during:
        during.setattr(MemoryTables, "ranges", None)
        assert world.look(day(4)) == {**world.look(day(4)), "windows": [], "unchanged": 0}


def test_an_evaluation_under_another_definition_that_failed_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("counts", counted(0))
    world.look(day(3))
    world.monitor = monitor(metrics=["wape"])
    spec = world.monitor.spec
    with monkeypatch.context() as during:
        during.setattr(Records, "advance", None)
        assert (
            run_inline(world.monitor.pipeline, tables=world.tables, journal=world.journal, now=day(4)).state
            == "failed"
        )
    versions = {name: world.tables.version(name) for name in ("predictions", "counts")}
    held, cursor = world.records.spec(), world.records.cursor()
    assert why_due(spec, held, cursor, versions, day(4)) == "its definition has changed"
    world.look(day(4))
    assert list(world.day(0).whole.metrics) == ["wape"]
    assert why_due(spec, held, world.records.cursor(), versions, day(4)) == ""


def test_a_table_that_was_made_anew_is_looked_at_from_its_beginning(world: World) -> None:
    for number in (0, 1):
        world.add("counts", counted(number))
    world.look(day(3))
    world.tables = MemoryTables({"predictions": predicted(0), "counts": counted(0, 15.0)})
    found = world.look(day(4))
    assert [(w["label"], w["metrics"]["mae"], w["why"]) for w in found["windows"]] == [
        ("2020-03-01", 5.0, "values were corrected")
    ]


def spread(truth: Any, value: Any) -> float:
    return float((value - truth).max())


def test_an_author_s_own_metric_and_an_interval() -> None:
    world = World(monitor(metrics=["mae", spread], interval=("low", "high"), baseline="naive"))
    rows = predicted(0).with_columns(
        low=pl.lit(11.0), high=pl.when(pl.col("sensor") == "north").then(13.0).otherwise(11.5)
    )
    world.tables = MemoryTables({"predictions": rows, "counts": counted(0)})
    world.look(day(2))
    metrics = world.day(0).whole.metrics
    assert (metrics["spread"], metrics["coverage"]) == (-2.0, 0.5)
    assert world.day(0).whole.baseline["spread"] == 2.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": []},
        {"metrics": ["maee"]},
        {"metrics": []},
        {"windows": ["year"]},
        {"timezone": "Europe/Atlantis"},
        {"label_delay": "soon"},
        {"interval": ["low"]},
        {"metrics": [lambda t, p: 0.0]},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_definition_that_can_not_work_is_refused_where_it_is(wrong: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as refused:
        monitor(**wrong)
    assert __file__ in str(refused.value.where)
    assert refused.value.next


def test_tables_without_what_it_needs_are_named() -> None:
    world = World(monitor(observed="cuont"))
    run = run_inline(world.monitor.pipeline, tables=world.tables, now=day(2))
    assert run.state == "failed"
    assert "table counts has no column 'cuont'" in str(run.error)
    world = World(monitor())
    world.tables = MemoryTables(
        {"predictions": predicted(0), "counts": counted(0).with_columns(sensor=pl.lit(1.5))}
    )
    assert "give it one type in both" in str(
        run_inline(world.monitor.pipeline, tables=world.tables, now=day(2)).run.steps["evaluate"].error
    )


def test_rows_with_a_wrong_clock_end_no_window_and_are_counted() -> None:
    world = World(monitor(windows=["day", "hour"]))
    ahead = counted(0, sensors=("south",)).with_columns(slot=pl.lit(datetime(2031, 1, 1, tzinfo=UTC)))
    world.add("counts", counted(0))
    world.add("counts", ahead.head(20))
    world.look(day(0) + timedelta(hours=12))
    assert [(w.label, w.state) for w in world.records.windows("day")] == [("2020-03-01", "partial")]
    assert len(world.records.windows("hour")) == 24
    cursor = world.records.cursor()
    assert cursor.ahead == {"rows": 20 + 22, "most": {"sensor south": 20 + 11, "sensor north": 11}}
    assert ahead_in_words(cursor.ahead) == "dated in the future: 42, sensor south (31), sensor north (11)"
    world.add("predictions", predicted(2))
    world.look(day(2) + timedelta(hours=23, minutes=30))
    assert [(w.label, w.state) for w in world.records.windows("day")] == [
        ("2020-03-01", "final"),
        ("2020-03-02", "empty"),
        ("2020-03-03", "pending"),
    ]
    assert ahead_in_words(world.records.cursor().ahead) == "dated in the future: 20, sensor south"
    assert len(world.records.windows("hour")) == 3 * 24


def test_a_window_that_was_left_for_its_time_is_looked_at_when_that_has_come() -> None:
    world = World(monitor())
    world.add("predictions", predicted(10))  # ten days ahead: those between have their time yet
    world.look(day(1))
    assert [w.label[-2:] for w in world.records.windows("day")] == ["01", "02", "11"]
    world.look(day(4) + timedelta(hours=1))
    assert [w.label[-2:] for w in world.records.windows("day")] == ["01", "02", "03", "04", "05", "11"]
    world.add("counts", counted(20))
    world.look(day(21) + timedelta(hours=1))
    assert [w.label[-2:] for w in world.records.windows("day")] == [f"{n:02}" for n in range(1, 22)]


def test_a_truth_dated_a_few_days_ahead_makes_no_window_before_its_time() -> None:
    world = World(monitor(windows=["hour", "day", "week"]))
    world.add("counts", counted(5))  # and nothing between
    world.look(day(0) + timedelta(hours=12))
    assert [len(world.records.windows(kind)) for kind in ("hour", "day", "week")] == [24, 1, 1]
    assert world.records.cursor().ahead["rows"] == 48
    world.add("predictions", predicted(5))
    world.look(day(6))
    assert [w.state for w in world.records.windows("day")] == ["overdue", *["empty"] * 4, "final"]


@pytest.mark.parametrize("far", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2012, 5, 5, 7, tzinfo=UTC)])
def test_predictions_with_a_wrong_clock_make_windows_of_their_own_and_none_up_to_the_others(far: datetime) -> None:
    world = World(monitor(windows=["hour", "day", "week"], drift=Drift(of=["predictions"])))
    stray = predicted(0).head(1).with_columns(slot=pl.lit(far))
    world.add("predictions", stray)  # in a file of its own
    world.add("predictions", pl.concat([stray.with_columns(sensor=pl.lit("east")), predicted(1)]))  # beside others
    world.look(day(2))
    assert [len(world.records.windows(kind)) for kind in ("hour", "day", "week")] == [1 + 48, 1 + 2, 1 + 2]
    oldest = world.records.windows("day")[0]
    assert (oldest.label, oldest.whole.predicted) == (far.date().isoformat(), 2)
    world.add("predictions", pl.concat([stray.with_columns(sensor=pl.lit("west")), predicted(3)]))
    world.look(day(4))
    assert [w.whole.predicted for w in world.records.windows("day")] == [3, 48, 48, 0, 48]
    assert len(world.records.windows("hour")) == 1 + 4 * 24


def test_a_window_far_from_others_is_empty_once_its_rows_are_gone() -> None:
    world = World(monitor())
    stray = predicted(0).head(1).with_columns(slot=pl.lit(datetime(1970, 1, 1, tzinfo=UTC)))
    world.add("predictions", pl.concat([stray, predicted(1)]))
    world.look(day(2))
    assert [w.whole.predicted for w in world.records.windows("day")] == [1, 48, 48]
    stray = stray.with_columns(slot=pl.lit(datetime(1960, 1, 1, tzinfo=UTC)))
    world.add("predictions", pl.concat([stray, predicted(0), predicted(1)]), mode="overwrite")
    world.look(day(2) + timedelta(hours=1))
    found = [(w.label[:4], w.whole.predicted) for w in world.records.windows("day")]
    assert found == [("1960", 1), ("1970", 0), ("2020", 48), ("2020", 48)]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"task": "classes"}, "task='classes' is none"),
        ({"task": "multiclass", "positive": 3}, "positive=3 is for two classes, not for multiclass"),
        ({"task": "multiclass", "metrics": ["accuracy", "f1"]}, r"f1 does not fit .*multiclass"),
        ({"positive": "leak"}, "mae does not fit two classes"),
    ],
)
def test_a_task_that_there_is_not_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        monitor(**given)


def test_a_definition_of_an_older_release_names_the_same_figures() -> None:
    """Digests as commit eb09a8b made them: another one would have every window made anew."""
    assert monitor().spec.figured == "9ea04538d95333ea"
    given = {"metrics": ["accuracy"], "task": "binary"}
    assert monitor(**given, positive="leak").spec.figured != monitor(**given).spec.figured


def test_what_an_evaluation_returns_is_plain_texts_that_any_build_can_read(world: World) -> None:
    states = [window["state"] for window in world.look(day(0))["windows"]]
    assert states
    assert {type(state) for state in states} == {str}
