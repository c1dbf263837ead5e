"""Drift beside figures: days compared with days, late labels, restatements, failures, and what a day costs."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from trikk import Alarm, Drift, Monitor, Table
from trikk.alerts.rules.kinds import read_rule
from trikk.core.errors import DefinitionError, UsageError
from trikk.drift import FixedWindow, SlidingWindow, TrainingData
from trikk.drift.measures.category_summary import Categories
from trikk.monitoring import window_evaluation
from trikk.monitoring.cases.case_join import cases
from trikk.monitoring.day_drift import day_rows
from trikk.monitoring.day_drift.drift_records import DriftRecord, DriftRecords
from trikk.monitoring.figures.records import Records
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.tables.table_write import Write
from trikk.testing import MemoryTables, run_inline

START = datetime(2020, 3, 2, tzinfo=UTC)  # a Monday
SENSORS = [f"s{i}" for i in range(5)]


def monitor(drift: Drift | None, **more: Any) -> Monitor:
    given: dict[str, Any] = {
        "predictions": Table("predictions"),
        "truth": Table("counts"),
        "key": "sensor",
        "slot": "slot",
        "observed": "count",
        "label_delay": "1d",
        "drift": drift,
    }
    return Monitor("people", **{**given, **more})


def at(number: int) -> datetime:
    return START + timedelta(days=number)


def label(number: int) -> str:
    return f"{at(number):%Y-%m-%d}"


def values(number: int, low: float, high: float, name: str) -> pl.DataFrame:
    """120 rows of a day, spread over a range in the same way every day; Sundays lie elsewhere."""
    draw = random.Random(name)
    sunday = 500.0 if at(number).weekday() == 6 else 0.0
    slots = [(s, at(number) + timedelta(hours=h)) for s in SENSORS for h in range(24)]
    return pl.DataFrame(
        {
            "sensor": [s for s, _ in slots],
            "slot": [moment for _, moment in slots],
            name: [sunday + draw.uniform(low, high) for _ in slots],
        }
    )


def predicted(number: int, low: float = 0.0, high: float = 100.0, **columns: Any) -> pl.DataFrame:
    rows = values(number, low, high, "value").with_columns(predicted_at=pl.lit(at(number - 1)))
    return rows.with_columns(**{name: pl.lit(value) for name, value in columns.items()})


def counted(number: int, low: float = 0.0, high: float = 100.0, **columns: Any) -> pl.DataFrame:
    return values(number, low, high, "count").with_columns(**{name: pl.lit(v) for name, v in columns.items()})


class World:
    """Tables that grow, and a monitor that looks at them."""

    def __init__(self, watched: Monitor, days: int = 0, **tables: pl.DataFrame) -> None:
        made = [predicted(n) for n in range(max(days, 1))]
        came = [counted(n) for n in range(days)] or [counted(0).clear()]
        self.monitor = watched
        self.journal: Journal = MemoryJournal()
        self.tables = MemoryTables({"predictions": pl.concat(made), "counts": pl.concat(came), **tables})
        self.drift = DriftRecords(self.journal, "people")
        self.writes = 0

    def add(self, table: str, rows: pl.DataFrame, mode: str = "append", **how: Any) -> None:
        self.writes += 1
        self.tables.write(table, Write(mode, rows.lazy(), **how), identity=str(self.writes), origin={})  # type: ignore[arg-type]

    def look(self, now: datetime) -> list[tuple[str, str]]:
        run = run_inline(self.monitor.pipeline, tables=self.tables, journal=self.journal, now=now)
        assert run.state == "succeeded", run.error
        return [(found["label"], found["verdict"]) for found in run.output("evaluate")["drift"]]

    def day(self, number: int) -> DriftRecord:
        found = self.drift.window("day", label(number))
        assert found is not None
        return found

    def profiles(self) -> int:
        return len(self.journal.history("monitor/people/profile/"))

    def of(self, number: int, column: str) -> tuple[str, str]:
        found = self.day(number).of(column)
        assert found is not None
        return found.verdict, found.reason


@pytest.mark.parametrize("key", ["sensor", ["sensor", "model"]])
def test_drift_takes_the_cases_that_figures_were_made_of_and_says_the_same(
    monkeypatch: pytest.MonkeyPatch, key: str | list[str]
) -> None:
    drift = Drift(of=["predictions", "truth", "error"], same_weekday=False)
    figured = World(monitor(drift, key=key, slices=["hour"]), days=3)
    apart = World(monitor(drift, key=key, slices=["hour"]), days=3)
    for world in (figured, apart):
        for table, rows in (("predictions", predicted(0)), ("counts", counted(0))):
            world.add(table, rows.clear().with_columns(model=pl.lit("m"), model_version=1), schema_mode="merge")
    joins: list[str] = []

    def joined(*given: Any, **options: Any) -> pl.DataFrame:
        joins.append("drift")
        return cases(*given, **options)

    monkeypatch.setattr(day_rows, "cases", joined)
    made_by = {"model": "m", "model_version": 1}
    reads = []
    for world, kept in ((figured, window_evaluation.FEW), (apart, 0)):
        monkeypatch.setattr(window_evaluation, "FEW", kept)
        world.look(at(3))
        joins.clear()
        for number in (3, 4):
            world.add("predictions", predicted(number, **made_by))
        world.add("counts", counted(3, **made_by))
        world.look(at(4))
        reads.append(len(joins))
    assert reads[0] == 0 < reads[1]
    assert figured.profiles() == apart.profiles() > 3
    for number in (2, 3, 4):
        assert figured.day(number).fingerprint == apart.day(number).fingerprint
    profiled = figured.drift.profiled(label(3))
    assert profiled is not None
    assert (profiled[0].model, profiled[0].version) == ("m", 1)


def test_the_first_days_have_nothing_to_be_compared_with_and_later_ones_have() -> None:
    world = World(monitor(Drift()), days=15)
    world.look(at(17))
    assert [d.verdict for d in world.drift.windows("day")] == ["insufficient data"] * 7 + ["no drift"] * 8
    assert world.of(3, "prediction") == ("insufficient data", "there is no day yet to compare with")
    assert world.day(14).reference == {"first": label(0), "last": label(7), "days": 2, "rows": 240}


def test_a_sunday_is_no_drift_among_sundays_and_drift_among_all_days() -> None:
    world = World(monitor(Drift()), days=14)
    world.look(at(16))
    assert world.day(13).verdict == "no drift"
    world = World(monitor(Drift(same_weekday=False)), days=14)
    world.look(at(16))
    assert {c.column for c in world.day(13).drifted} == {"prediction", "truth"}


def test_predictions_drift_before_the_day_begins_and_truth_and_error_once_labels_are_in() -> None:
    world = World(monitor(Drift()), days=14)
    world.look(at(13) + timedelta(hours=22))
    world.add("predictions", predicted(14, 60, 160))
    assert world.look(at(13) + timedelta(hours=23)) == [(label(14), "drift")]
    assert world.of(14, "prediction")[0] == "drift"
    assert world.of(14, "truth") == ("insufficient data", "labels have yet to come")
    assert not world.day(14).settled
    world.add("counts", counted(14).filter(pl.col("sensor") < "s3"))
    assert world.look(at(15)) == [(label(13), "no drift")]
    world.add("counts", counted(14).filter(pl.col("sensor") >= "s3"))
    assert world.look(at(15)) == [(label(14), "drift")]
    assert (world.of(14, "truth")[0], world.of(14, "error")[0]) == ("no drift", "drift")
    assert (world.day(14).why, world.day(14).settled) == ("its values have changed", True)
    assert world.day(14).headline.startswith("2 of 3 columns; most ")


def test_labels_that_are_in_by_time_alone_are_compared_then() -> None:
    world = World(monitor(Drift(minimum=50)), days=14)
    world.add("predictions", predicted(14))
    world.add("counts", counted(14).filter(pl.col("sensor") < "s4"))
    world.look(at(15))
    assert world.of(14, "truth")[0] == "insufficient data"
    assert world.look(at(16)) == [(label(14), "no drift")]
    assert world.of(14, "truth")[0] == "no drift"


def test_a_new_day_costs_a_day() -> None:
    world = World(monitor(Drift()), days=28)
    world.look(at(30))
    before = world.profiles()
    world.add("predictions", predicted(28))
    world.add("counts", counted(28))
    assert world.look(at(30)) == [(label(28), "no drift")]
    assert world.profiles() == before + 1
    assert world.look(at(30)) == []
    assert world.profiles() == before + 1


def test_a_corrected_day_is_compared_anew_and_so_are_those_that_were_compared_with_it() -> None:
    world = World(monitor(Drift()), days=30)
    world.look(at(32))
    world.add("counts", counted(7, 300, 400), mode="merge", key=("sensor", "slot"))
    assert [day for day, _ in world.look(at(32))] == [label(7), label(14), label(21), label(28)]
    assert (world.day(7).why, world.day(14).why) == ("its values have changed", "its reference has changed")
    assert [d.verdict for d in world.drift.past("day", label(7))] == ["no drift", "drift"]


def test_another_definition_is_applied_to_every_day() -> None:
    world = World(monitor(Drift()), days=9)
    world.look(at(11))
    world.monitor = monitor(Drift(thresholds={"prediction": 0.0}, alpha=0.999999))
    assert len(world.look(at(11))) == 9
    assert world.day(8).why == "the definition has changed"


def test_features_of_the_predictions_are_compared_but_not_ids_keys_and_times() -> None:
    drift = Drift()
    world = World(monitor(drift, baseline="naive"))
    made = [
        predicted(n, prediction_id=f"p{n}", rain="no" if n < 14 else "yes", naive=1.0, run=str(n))
        for n in range(15)
    ]
    world.tables = MemoryTables({"predictions": pl.concat(made), "counts": counted(0)})
    world.look(at(15))
    assert [c.column for c in world.day(14).columns] == ["rain", "prediction", "truth", "error"]
    assert world.of(14, "rain")[0] == "drift"


def test_features_of_a_table_of_their_own() -> None:
    rows = [values(n, 0, 100, "rain").with_columns(error=pl.lit("ok" if n < 14 else "bad")) for n in range(15)]
    world = World(monitor(Drift(table=Table("weather"))), days=15, weather=pl.concat(rows[:14]))
    world.look(at(17))
    assert (world.day(14).verdict, world.of(14, "rain")[0]) == ("no drift", "insufficient data")
    world.add("weather", rows[14])
    assert world.look(at(17)) == [(label(14), "drift")]
    assert (world.of(14, "rain")[0], world.of(14, "features.error")[0]) == ("no drift", "drift")


def test_a_feature_that_is_not_there_is_not_comparable_and_the_others_are() -> None:
    world = World(monitor(Drift(columns=["rain"])), days=8)
    world.look(at(10))
    assert world.of(7, "rain") == ("not comparable", "the table has no such column")
    assert world.day(7).verdict == "no drift"


def test_only_what_is_asked_for_is_compared() -> None:
    world = World(monitor(Drift(of=["truth"])), days=8)
    world.look(at(10))
    assert [c.column for c in world.day(7).columns] == ["prediction", "truth"]


def test_errors_are_measured_by_ks_with_a_limit_of_their_own_unless_it_is_said_otherwise() -> None:
    world = World(monitor(Drift()), days=8)
    world.look(at(10))
    error = world.day(7).of("error")
    assert error is not None
    assert (error.method, error.threshold) == ("ks", 0.35)
    world.monitor = monitor(Drift(methods="psi", thresholds={"psi": 0.3}))
    world.look(at(10))
    assert [(c.method, c.threshold) for c in world.day(7).columns] == [("psi", 0.3)] * 3


def test_errors_of_classes_are_whether_they_are_right() -> None:
    made = [predicted(n).with_columns(value=pl.lit("bus")) for n in range(8)]
    came = [counted(n).with_columns(count=pl.lit("bus" if n < 7 else "tram")) for n in range(8)]
    world = World(monitor(Drift(), metrics=["accuracy"]))
    world.tables = MemoryTables({"predictions": pl.concat(made), "counts": pl.concat(came)})
    world.look(at(10))
    assert [(c.column, c.verdict) for c in world.day(7).columns] == [
        ("prediction", "no drift"),
        ("truth", "drift"),
        ("error", "drift"),
    ]


@pytest.mark.parametrize(
    ("said", "true", "wrong", "kind"),
    [
        ([3, 20, 100], [20, 3, 100], {"true": 80, "false": 40}, "flag"),
        ([3.0, 20.0, 100.0], [3, 20, 100], {"false": 120}, "flag"),
        ([1, 0, 1], [True, False, False], {"true": 40, "false": 80}, "flag"),
        ([0.75, 0.25, 0.5], [1, 0, 0], None, "number"),
    ],
    ids=["numbers", "floats", "flags", "probabilities"],
)
def test_the_error_of_a_class_that_is_a_number_is_no_difference(
    said: list[Any], true: list[Any], wrong: dict[str, int] | None, kind: str
) -> None:
    made = [predicted(n).with_columns(value=pl.Series(said * 40)) for n in range(2)]
    came = [counted(n).with_columns(count=pl.Series(true * 40)) for n in range(2)]
    world = World(monitor(Drift(), metrics=["accuracy", "mcc"]))
    world.tables = MemoryTables({"predictions": pl.concat(made), "counts": pl.concat(came)})
    world.look(at(10))
    kept = world.drift.profiled(label(1))
    assert kept is not None
    error = kept[0].profile.columns["error"]
    assert error.kind == kind
    if wrong is not None:
        assert error.summary == Categories(120, wrong)


def test_few_rows_are_insufficient_data() -> None:
    world = World(monitor(Drift(minimum=200, reference=SlidingWindow(7))), days=8)
    world.look(at(10))
    assert world.day(7).verdict == "insufficient data"
    assert "at least 200 are needed" in world.day(7).headline


def test_what_can_not_be_measured_fails_no_evaluation_and_is_tried_again() -> None:
    world = World(monitor(Drift(methods={"rain": "ks"})))
    made = [predicted(n, rain="no") for n in range(8)]
    world.tables = MemoryTables({"predictions": pl.concat(made), "counts": counted(7)})
    world.look(at(9))
    assert (world.day(7).verdict, world.day(7).headline[:29]) == (
        "not comparable",
        "ks can't measure 'rain', whic",
    )
    assert Records(world.journal, "people").window("day", label(7)).whole.labelled == 120  # type: ignore[union-attr]
    assert world.look(at(9)) == []
    world.monitor = monitor(Drift())
    assert world.look(at(9))[-1] == (label(7), "no drift")


def test_a_table_that_can_not_be_read_is_told_and_figures_are_there() -> None:
    weather = pl.DataFrame({"slot": ["not a time"], "rain": [1.0]})
    world = World(monitor(Drift(table=Table("weather"))), days=2, weather=weather)
    assert {verdict for _, verdict in world.look(at(4))} == {"not comparable"}
    assert Records(world.journal, "people").window("day", label(1)).state == "final"  # type: ignore[union-attr]


@pytest.mark.parametrize("zone", [UTC, None], ids=["with a zone", "without"])
def test_a_fixed_window_judges_only_days_after_it(zone: Any) -> None:
    fixed = FixedWindow(at(0).replace(tzinfo=zone), at(14).replace(tzinfo=zone))
    world = World(monitor(Drift(reference=fixed)), days=22)
    world.look(at(24))
    assert world.of(13, "prediction") == (
        "insufficient data",
        "the reference is not over when the day begins",
    )
    assert world.day(21).reference == {"first": label(0), "last": label(7), "days": 2, "rows": 240}


def test_training_data_are_the_days_before_the_version_was_registered() -> None:
    from trikk.models.registry import Registry

    world = World(monitor(Drift(reference=TrainingData())))
    made = [predicted(n, model="people", model_version=1 if n < 14 else 2) for n in range(16)]
    came = [counted(n) for n in range(-14, 16)]
    world.tables = MemoryTables({"predictions": pl.concat(made), "counts": pl.concat(came)})
    register(Registry(world.journal), [at(0), at(13) + timedelta(hours=23)])
    world.look(at(18))
    assert world.day(1).reference == {"first": label(-13), "last": label(-6), "days": 2, "rows": 0}
    assert (world.of(1, "truth")[0], world.of(1, "prediction")[0]) == ("no drift", "insufficient data")
    assert world.day(15).reference == {"first": label(-13), "last": label(8), "days": 4, "rows": 240}


def register(registry: Any, moments: list[datetime]) -> None:
    from trikk.models.version import ModelVersion
    from trikk.storage.artifact import Artifact

    for number, moment in enumerate(moments):
        version = ModelVersion(
            name="people",
            version=0,
            artifact=Artifact("0" * 64, "json", 1, {}),
            signature=None,
            run="r",
            step="s",
            pipeline="p",
            code="",
            tables={},
            models={},
            parameters={},
            metrics={},
            created=moment.timestamp(),
        )
        registry.register(version, identity=str(number))


def test_the_definition_and_the_records_come_back_from_json() -> None:
    drift = Drift(
        columns=["rain"], reference=FixedWindow(at(0), at(7)), methods={"rain": "psi"}, table=Table("weather")
    )
    spec = MonitorSpec.read(json.loads(json.dumps(monitor(drift).spec.to_json())))
    assert Drift.read(spec.drift or {}).to_json() == drift.to_json()
    assert Drift.read(Drift(reference=TrainingData()).to_json()).reference == TrainingData()
    world = World(monitor(Drift()), days=8)
    world.look(at(10))
    record = world.day(7)
    assert DriftRecord.read(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize(
    "wrong",
    [
        {"of": ["weather"]},
        {"columns": "rain"},
        {"methods": "kolmogorov"},
        {"methods": {"rain": "t-test"}},
        {"thresholds": {"ks": -1.0}},
        {"alpha": 1.0},
        {"minimum": 1},
    ],
    ids=str,
)
def test_a_drift_that_can_not_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        Drift(**wrong)
    assert refused.value.next


def test_a_rule_sees_days_that_drift_and_settled_days_that_do_not() -> None:
    watched = monitor(Drift(), alarms=[Alarm("drift", kind="drift")])
    world = World(watched, days=14)
    world.add("predictions", predicted(14, 60, 160))
    world.add("predictions", predicted(15))
    world.look(at(14))
    rule: Any = read_rule(watched.spec.alarms[0])
    [reading] = rule.judge(Records(world.journal, "people"), watched.spec, at(14))
    assert rule.severity == "info"
    assert [(p.mark, p.bad) for p in reading.points[-2:]] == [(label(13), False), (label(14), True)]
    assert (reading.bad, reading.points[-1].start) == (1, at(14).timestamp())
    with pytest.raises(UsageError):
        rule.judge(Records(world.journal, "people"), monitor(None).spec, at(14))
    with pytest.raises(DefinitionError):
        monitor(None, windows=["year"])


def test_other_limits_are_another_definition_on_the_same_basis() -> None:
    world = World(monitor(Drift()), days=9)
    world.look(at(11))
    before = world.day(8)
    world.monitor = monitor(Drift(thresholds={"ks": 0.0}))
    world.look(at(11))
    after = world.day(8)
    assert (before.verdict, after.why) == ("no drift", "the definition has changed")
    assert after.definition != before.definition
    assert after.basis == before.basis == before.definition
    world.monitor = monitor(Drift(methods="psi"))
    world.look(at(11))
    assert world.day(8).basis != before.basis
