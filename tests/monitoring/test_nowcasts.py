"""Predictions about now: the first one made in time counts, whatever is said of the slot afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from trikk import Alarm, Drift, Table
from trikk.alerts.rules.kinds import read_rule
from trikk.core.errors import DefinitionError, UsageError
from trikk.core.values import encode
from trikk.models.registry import Registry
from trikk.models.task import Classes, Task
from trikk.models.version import ModelVersion
from trikk.monitoring import Monitor
from trikk.monitoring.ab.ab_comparison import compare
from trikk.monitoring.cases.ahead import ahead_in_words
from trikk.monitoring.cases.case_join import cases
from trikk.monitoring.cases.tasks import labels_given
from trikk.monitoring.day_drift.judgement import definition_of
from trikk.monitoring.figures.records import Records
from trikk.monitoring.figures.window_figures import figures
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.reports.monitor_history import MonitorHistory
from trikk.reports.page.section import section, span
from trikk.reports.periods import period_named
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.artifact import Artifact
from trikk.storage.tables.table_write import Write
from trikk.testing import MemoryTables, run_inline

SLOT = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # Europe/Oslo: half an hour before clocks are put forward
MINUTE = timedelta(minutes=1)


def monitor(**options: Any) -> Monitor:
    given: dict[str, Any] = {"predictions": Table("said"), "truth": Table("seen"), "key": "pump", "slot": "slot"}
    given |= {"observed": "leak", "metrics": ["accuracy"], "made": "after", "within": "1h", "minimum": 1}
    return Monitor("leaks", **{**given, **options})


def said(*rows: tuple[str, float, str | None], version: int = 1, **more: Any) -> pl.DataFrame:
    """Pump, minutes after the slot, value."""
    return pl.DataFrame(
        {
            "pump": [pump for pump, _, _ in rows],
            "slot": [SLOT] * len(rows),
            "predicted_at": [SLOT + minutes * MINUTE for _, minutes, _ in rows],
            "value": pl.Series([value for _, _, value in rows], dtype=pl.String),
            "model": ["pumps"] * len(rows),
            "model_version": [version] * len(rows),
            "run": [f"run-{version}"] * len(rows),
            **more,
        }
    )


def seen(**pumps: str) -> pl.DataFrame:
    return pl.DataFrame({"pump": [*pumps], "slot": [SLOT] * len(pumps), "leak": [*pumps.values()]})


def joined(predictions: pl.DataFrame, truth: pl.DataFrame | None = None, **more: Any) -> pl.DataFrame:
    registry = more.pop("registry", None)
    spec = monitor(**more).spec
    came = seen(a="ok") if truth is None else truth
    day = SLOT - timedelta(days=2), SLOT + timedelta(days=2)
    return cases(spec, predictions.lazy(), came.lazy(), *day, registry=registry).sort("pump")


_MARKS = ("_predicted", "_too_late", "_too_early", "_corrections", "_correction")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0, "ok")], ("ok", False, False, 0, None)),
        ([(60, "ok")], ("ok", False, False, 0, None)),
        ([(60.1, "ok")], (None, True, False, 0, None)),
        ([(-0.1, "ok")], (None, False, True, 0, None)),
        ([(5, "ok"), (6, "leak")], ("ok", False, False, 1, "leak")),
        ([(-5, "leak"), (5, "ok"), (3000, "leak"), (70, "ok")], ("ok", False, False, 2, "leak")),
        ([(-5, "leak"), (70, "ok")], (None, True, False, 0, None)),
        ([(5, None), (6, "ok")], ("ok", False, False, 0, None)),
        ([(5, None)], (None, False, False, 0, None)),
        ([(70, "leak"), (3000, "ok")], (None, True, False, 0, None)),
    ],
)
def test_the_first_prediction_in_time_counts_and_later_ones_are_corrections(
    rows: list[tuple[float, str | None]], expected: tuple[Any, ...]
) -> None:
    for order in permutations(rows):
        found = joined(said(*(("a", minutes, value) for minutes, value in order)))
        assert found.select(_MARKS).row(0) == expected
        assert found["_observed"].to_list() == ["ok"]


def test_of_two_predictions_of_one_moment_the_one_that_was_written_first_counts() -> None:
    """As a past day that is run again with the moment of then (`--at`) has it."""
    found = joined(said(("a", 5, "leak"), ("a", 5, "ok")))
    assert found.select(_MARKS).row(0) == ("leak", False, False, 1, "ok")


def test_without_a_limit_the_first_counts_whenever_it_is_made() -> None:
    found = joined(said(("a", 9000, "ok"), ("b", -1, "ok")), within=None)
    assert found["_predicted"].to_list() == ["ok", None]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_slots_without_a_zone_are_meant_in_the_monitors_also_when_clocks_change(unit: Any) -> None:
    """01:30 in Oslo is half an hour before 03:00; the prediction of 03:25 there is 55 minutes later, not 115."""
    local = pl.col("slot").dt.convert_time_zone("Europe/Oslo").dt.replace_time_zone(None).dt.cast_time_unit(unit)
    rows = said(("a", 55, "ok"), ("b", 65, "ok")).with_columns(local)
    truth = seen(a="ok", b="ok").with_columns(local)
    found = joined(rows, truth, timezone="Europe/Oslo")
    assert found["_predicted"].to_list() == ["ok", None]
    naive = rows.with_columns(pl.col("predicted_at").dt.replace_time_zone(None))
    assert joined(naive, truth, timezone="Europe/Oslo")["_predicted"].to_list() == ["ok", None]


def test_the_column_of_that_time_has_to_be_there_and_a_time() -> None:
    for rows in (said(("a", 5, "ok")).drop("predicted_at"), said(("a", 5, "ok")).with_columns(predicted_at=1)):
        with pytest.raises(UsageError, match="has no time in 'predicted_at'"):
            joined(rows)
    other = said(("a", 5, "ok")).rename({"predicted_at": "at"})
    assert joined(other, made_at="at")["_predicted"].to_list() == ["ok"]


def registered(*created: timedelta, runs: tuple[str, ...] = ()) -> Registry:
    """Versions of `pumps`, by how long after the slot each was registered."""
    registry = Registry(MemoryJournal())
    for n, after in enumerate(created):
        run = runs[n] if runs else f"training-{n}"
        one = ModelVersion(
            "pumps", 0, Artifact("d" * 64, "pickle", 1, {}), run=run, created=(SLOT + after).timestamp()
        )
        registry.register(one, identity=f"{n}")
    return registry


def test_a_version_that_was_not_there_yet_has_made_no_prediction_then() -> None:
    """The slot was missed, and is filled in with its moment of then, by a model that may know the truth."""
    rows = said(("a", 5, "ok"), version=2)
    assert joined(rows, registry=registered(-60 * MINUTE, 300 * MINUTE))["_predicted"].to_list() == [None]
    assert joined(rows, registry=registered(-60 * MINUTE, 4 * MINUTE))["_predicted"].to_list() == ["ok"]
    # a past that is filled in before there was any version, and a run that registers what it predicts with
    assert joined(rows, registry=registered(200 * MINUTE, 300 * MINUTE))["_predicted"].to_list() == ["ok"]
    earlier = said(("b", -9000, "ok"), version=1)  # but one of an earlier version is here already
    found = joined(pl.concat([earlier, rows]), registry=registered(200 * MINUTE, 300 * MINUTE))
    assert found["_predicted"].to_list() == [None, None]
    # what an earlier version fills in afterwards takes nothing from those that count
    found = joined(pl.concat([rows, earlier]), registry=registered(200 * MINUTE, 300 * MINUTE))
    assert found["_predicted"].to_list() == ["ok", None]
    own = registered(-60 * MINUTE, 300 * MINUTE, runs=("run-1", "run-2"))
    assert joined(rows, registry=own)["_predicted"].to_list() == ["ok"]
    late = joined(said(("a", 6, "leak"), ("a", 5, "ok")), registry=registered(-MINUTE))
    assert late["_predicted"].to_list() == ["ok"]


class World:
    """Tables that grow, and a monitor of nowcasts that looks at them."""

    def __init__(self, **options: Any) -> None:
        self.journal = MemoryJournal()
        self.tables = MemoryTables({"said": said(("a", 5, "leak"), ("b", 5, "ok")), "seen": seen(a="ok").clear()})
        self.monitor = monitor(**options)
        self.records = Records(self.journal, "leaks")
        self.writes = 0

    def add(self, table: str, rows: pl.DataFrame, mode: Any = "append", **how: Any) -> None:
        self.writes += 1
        self.tables.write(table, Write(mode, rows.lazy(), **how), identity=str(self.writes), origin={})

    def look(self, minutes: float) -> Any:
        now = SLOT + minutes * MINUTE
        run = run_inline(self.monitor.pipeline, tables=self.tables, journal=self.journal, now=now)
        assert run.state == "succeeded", run.error
        return self.records.window("day", "2026-03-29")


DAY = 24 * 60.0


def test_whoever_runs_a_past_day_again_changes_no_figure() -> None:
    world = World(slices=["pump"])
    world.add("seen", seen(a="ok", b="ok", c="ok"))
    first = world.look(2 * DAY)
    assert (first.state, first.whole.predicted, first.whole.metrics) == ("final", 2, {"accuracy": 0.5})
    world.add("said", said(("a", 3 * DAY, "ok"), ("b", 3 * DAY, "ok"), ("c", 3 * DAY, "ok"), version=2))
    again = world.look(4 * DAY)
    assert (again.whole.metrics, again.whole.predicted, again.restated, again.why) == (
        {"accuracy": 0.5}, 2, 0, "",
    )  # fmt: skip
    assert again.judged == first.judged
    assert again.whole.nowcasts == {"too_late": 1, "too_early": 0, "corrected": 2, "judged_otherwise": 1}
    assert again.of("pump", "a").nowcasts["judged_otherwise"] == 1
    assert again.of("pump", "c").nowcasts["too_late"] == 1
    march, known = period_named("month", "2026-03", ZoneInfo("UTC")), MonitorHistory(world.journal, "leaks")
    spans = span(known, march), span(known, march.before)
    assert section(known, *spans, march, None, None).notes == (
        "Too late: 1.", "Predicted again later: 2 cases, 1 would be judged otherwise.",
    )  # fmt: skip
    assert section(known, *spans, march, None, ("pump", ("c",))).notes == ("Too late: 1.",)


def test_a_merge_over_the_first_ones_is_told_and_gains_nothing() -> None:
    world = World()
    world.add("seen", seen(a="ok", b="ok"))
    world.look(2 * DAY)
    world.add("said", said(("a", 3 * DAY, "ok"), version=2), mode="merge", key=("pump", "slot"))
    again = world.look(4 * DAY)
    assert (again.whole.predicted, again.whole.metrics, again.whole.nowcasts["too_late"]) == (
        1,
        {"accuracy": 1},
        1,
    )
    assert (again.restated, again.why) == (1, "1 prediction made in time is gone")


def test_a_window_is_open_as_long_as_predictions_for_it_may_come() -> None:
    world = World(within="12h")
    world.add("seen", seen(a="ok", b="ok", c="ok"))
    assert world.look(DAY - 20).state == "partial"  # the day is over, and all that was predicted has its truth
    world.add("said", said(("c", 11 * 60, "ok")))
    assert world.look(DAY + 11 * 60).whole.predicted == 3
    assert world.look(DAY + 12 * 60).state == "final"


def test_numbers_are_judged_otherwise_where_they_differ_and_classes_where_one_is_right() -> None:
    rows = said(("a", 5, None), ("b", 5, None)).with_columns(value=pl.Series([3, 20]))
    rows = pl.concat([rows, rows.with_columns(pl.col("predicted_at") + MINUTE, value=pl.Series([20, 100]))])
    truth = seen(a="", b="").with_columns(leak=pl.Series([3.0, 3.0]))
    for task, expected in (("multiclass", 1), ("regression", 2)):
        metric = "accuracy" if task == "multiclass" else "mae"
        world = World(task=task, metrics=[metric])
        world.tables = MemoryTables({"said": rows, "seen": truth})
        assert world.look(2 * DAY).whole.nowcasts["judged_otherwise"] == expected


def test_numbers_of_a_model_that_tells_classes_apart_are_classes_though_the_monitor_does_not_say_so() -> None:
    rows = said(("a", 5, None), ("b", 5, None)).with_columns(value=pl.Series([3, 20]))
    rows = pl.concat([rows, rows.with_columns(pl.col("predicted_at") + MINUTE, value=pl.Series([20, 100]))])
    spec = monitor(metrics=["accuracy"]).spec
    read = replace(labels_given(spec), task=Task.MULTICLASS, classes=Classes((3, 20, 100)))
    whole = figures(spec, joined(rows, seen(a="", b="").with_columns(leak=pl.Series([3, 3]))), read)[0]
    assert whole.nowcasts["judged_otherwise"] == 1


def test_a_definition_of_an_older_release_names_a_column_and_means_the_same() -> None:
    """Digests and specs as commit eb09a8b made them."""
    older = monitor(made="at", within=None, metrics=["mae", "bias", "rmse"], minimum=2)
    assert (older.spec.made, older.spec.made_at) == ("before", "at")
    written = {**older.spec.to_json(), "made": "after"}  # a column that is called like the mode
    for name in ("made_at", "within", "task", "positive", "probability"):
        del written[name]
    read = MonitorSpec.read(written)
    assert (read.made, read.made_at) == ("before", "after")
    assert MonitorSpec.read(older.spec.to_json()) == older.spec
    now = monitor(task="binary", positive="leak")
    assert encode(now.spec.to_json()) == now.spec.to_json()  # as it goes to the step that evaluates
    assert MonitorSpec.read(now.spec.to_json()) == now.spec
    digests = {one.spec.figured for one in (now, monitor(within="2h"), monitor(made="before", within=None), older)}
    assert len(digests) == 4


def test_drift_of_an_older_definition_is_not_compared_anew() -> None:
    spec = Monitor(
        "people", predictions=Table("predictions"), truth=Table("counts"), key=["sensor"], slot="slot",
        observed="count", label_delay="1d", metrics=["mae", "bias", "rmse"], slices=["sensor", "hour"], minimum=2,
    ).spec  # fmt: skip
    assert definition_of(spec, Drift()) == "d2c5645d4c67ac31"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"made": "before"}, "within= is for predictions that are made after"),
        ({"within": "soon"}, "within"),
        ({"made": "later", "made_at": "at"}, "made='later' is not a time to predict"),
        ({"made": "After", "within": None}, "made='After' is not a time to predict"),  # and no column
    ],
)
def test_what_can_not_work_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        monitor(**options)


def test_a_clock_that_is_wrong_ends_no_window_and_is_told_of_predictions_too() -> None:
    world = World()
    ahead = said(*(("b", 5 + n, "ok") for n in range(30))).with_columns(
        slot=pl.lit(datetime(2031, 1, 1, tzinfo=UTC)) + pl.int_range(30) * timedelta(hours=1)
    )
    world.add("said", ahead)
    world.add("seen", seen(a="ok", b="ok"))
    assert world.look(2 * DAY).state == "final"
    until_now = ["2026-03-29", "2026-03-30", "2026-03-31"]
    assert world.records.labels("day") == until_now
    assert ahead_in_words(world.records.cursor().ahead) == "predictions dated in the future: 30, pump b"
    world.add("seen", seen(c="ok").with_columns(slot=pl.lit(datetime(2031, 1, 1, tzinfo=UTC))))
    world.add("said", said(("c", 5, "ok")).with_columns(pl.col("slot") + timedelta(days=1)))
    world.look(2 * DAY)
    assert world.records.labels("day") == until_now
    both = "truths dated in the future: 1, pump c; predictions dated in the future: 30, pump b"
    assert ahead_in_words(world.records.cursor().ahead) == both


def test_alarms_ask_for_what_came_too_late_before_there_are_labels() -> None:
    alarms = [
        Alarm("slow", when="too_late > 1", min_labelled=1),
        Alarm("again", when="corrected >= 1", slice="pump"),
    ]
    world = World(slices=["pump"], label_delay="30d", alarms=alarms)
    world.add("said", said(*((pump, 90, "ok") for pump in "cde")))
    world.look(2 * DAY)
    now = SLOT + timedelta(days=2)
    slow: Any = read_rule(world.monitor.spec.alarms[0])
    (reading,) = slow.judge(world.records, world.monitor.spec, now)
    assert [(point.bad, point.text) for point in reading.points] == [
        (True, "day 2026-03-29: too_late > 1 (it is 3)")
    ]
    assert world.records.window("day", "2026-03-29").of("pump", "c").nowcasts["too_late"] == 1  # type: ignore[union-attr]


def test_two_versions_are_compared_on_what_each_of_them_said_first() -> None:
    journal = MemoryJournal()
    spec = monitor(metrics=["accuracy"]).spec
    rows = [
        said(*((f"p{n}", 5, "ok") for n in range(40)), version=1),
        said(*((f"p{n}", 6, "leak") for n in range(40)), version=2),
        said(*((f"p{n}", 9 * DAY, "ok") for n in range(40)), version=2),
    ]
    registry = Registry(journal)
    for n in (1, 2):
        artifact = Artifact("d" * 64, "pickle", 1, {})
        registry.register(ModelVersion("pumps", 0, artifact, created=float(n)), identity=str(n))
    truth = seen(**{f"p{n}": "ok" for n in range(40)})
    tables = MemoryTables({"said": pl.concat(rows), "seen": truth})
    found = compare(spec, tables, registry, "pumps:1", "pumps:2")
    assert (found.whole.cases, found.whole.first, found.whole.second) == (40, 1.0, 0.0)


def test_what_is_too_late_for_the_monitor_is_no_case_of_a_comparison() -> None:
    """Version 1 fills in a history; version 2, which may know its truth, fills in the hours that were left out."""
    journal = MemoryJournal()
    registry = Registry(journal)
    for n in (1, 2):
        after = (SLOT + n * 2 * DAY * MINUTE).timestamp()
        one = ModelVersion("pumps", 0, Artifact("d" * 64, "pickle", 1, {}), run=f"t{n}", created=after)
        registry.register(one, identity=str(n))
    filled = said(*((f"p{n}", 5, "ok") for n in range(40)), version=1)
    rows = pl.concat([filled, said(*((f"p{n}", 5, "ok") for n in range(20, 60)), version=2)])
    truth = seen(**{f"p{n}": "ok" for n in range(60)})
    spec = monitor(metrics=["accuracy"]).spec
    assert joined(rows, truth, registry=registry)["_too_late"].sum() == 20
    with pytest.raises(UsageError, match="share no case whose truth is known"):
        compare(spec, MemoryTables({"said": rows, "seen": truth}), registry, "pumps:1", "pumps:2")
