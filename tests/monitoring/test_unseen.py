"""Categories that a model was not fitted on: kept when it is registered, checked by gates, told by monitors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from trikk import Alarm, Model, Monitor, Table, pipeline, quality_gate, register_model, step
from trikk.alerts.rules.kinds import read_rule
from trikk.core.errors import DefinitionError
from trikk.models.register import infer
from trikk.models.registry import Registry
from trikk.models.signature import MOST_CATEGORIES, Field, Signature
from trikk.models.task import Classes
from trikk.models.version import ModelVersion
from trikk.monitoring.cases.unseen import Unseen, new_classes, why_class_unknown, why_unknown
from trikk.monitoring.figures.records import Records
from trikk.quality import GateBlocked, seen_in_training
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.artifact import Artifact
from trikk.storage.tables.table_write import Write
from trikk.testing import MemoryTables, run_inline

START = datetime(2020, 3, 2, tzinfo=UTC)
LINES = pl.DataFrame({"line": ["1A", "2", None, "1A"], "hour": [1, 2, 3, 4]})


class Lengths:
    """A model of texts."""

    def predict(self, rows: pl.DataFrame) -> list[float]:
        return [float(hour) for hour in rows["hour"]]


def version(number: int = 1, categories: Any = ("1A", "2"), name: str = "people") -> ModelVersion:
    fields = (Field("line", "String", True, categories), Field("hour", "Int64"))
    signature = Signature(fields, Field("value", "Float64"), "polars")
    return ModelVersion(name, number, Artifact("0" * 64, "pickle", 9, {}), signature, created=1.0)


def test_texts_that_a_model_was_fitted_on_are_kept_with_it_up_to_a_thousand() -> None:
    def of(values: list[str | None], kind: Any = pl.String) -> Any:
        rows = pl.DataFrame({"line": pl.Series(values, dtype=kind), "hour": range(len(values))})
        found = infer(Lengths(), rows, nullable=["line"])
        assert Signature.read(found.to_json()) == found
        return found.inputs[0].categories

    assert of(["2", None, "1A", "2"]) == ("1A", "2")
    assert of(["2", None, "1A"], pl.Categorical) == ("1A", "2")
    many = [f"{number:05}" for number in range(MOST_CATEGORIES)]
    assert of(many) == tuple(many)
    assert of([*many, "one more"]) is None
    assert of(["a" * 201]) is None
    assert infer(Lengths(), LINES.select("hour")).inputs[0].categories is None


def test_an_old_signature_is_read_and_written_as_it_was() -> None:
    old = {"name": "line", "dtype": "String", "nullable": True}
    data = {"inputs": [old], "output": {**old, "name": "value"}, "takes": "array", "method": "predict"}
    assert Signature.read(data).to_json() == data
    assert Signature.read(data).categories == {}


def gate(rows: pl.DataFrame, *columns: str, of: Any = None, **more: Any) -> Any:
    return quality_gate(rows, [seen_in_training(of or version(), *columns, **more)])


def test_a_gate_fails_rows_of_categories_that_the_model_never_saw() -> None:
    assert gate(LINES)["passed"]
    assert gate(LINES, "line")["passed"]
    rows = pl.concat([LINES, pl.DataFrame({"line": ["3", "4"], "hour": [5, 6]})])
    for kind in (pl.String, pl.Categorical):
        with pytest.raises(GateBlocked) as blocked:
            gate(rows.cast({"line": kind}))
        (check,) = blocked.value.result["checks"]
        assert (check["failing"], check["share"]) == (2, pytest.approx(2 / 6))
    assert gate(rows, allow=0.4)["passed"]


@pytest.mark.parametrize(
    ("model", "columns", "said"),
    [
        (version(categories=None), (), "at most 1,000 different"),
        (version(), ("hour",), "no categories of hour"),
        (ModelVersion("people", 1, Artifact("0" * 64, "pickle", 9, {})), ("line",), "without inputs="),
    ],
)
def test_where_categories_are_not_known_the_check_says_why(model: Any, columns: Any, said: str) -> None:
    with pytest.raises(GateBlocked) as blocked:
        gate(LINES, *columns, of=model)
    (check,) = blocked.value.result["checks"]
    assert not check["ran"]
    assert said in check["observed"]


def test_a_check_needs_a_model() -> None:
    with pytest.raises(DefinitionError, match="is given 'people'"):
        seen_in_training("people", "line")


@step
def fitted() -> Lengths:
    return Lengths()


@step
def training() -> pl.DataFrame:
    return LINES


@pipeline
def night() -> None:
    new = register_model(fitted(), "people", inputs=training())
    quality_gate(Table("trips"), [seen_in_training(new, "line")], name="of_the_new")


@pipeline
def later() -> None:
    quality_gate(Table("trips"), [seen_in_training(Model("people"), "line", severity="warn")])


def test_a_gate_in_a_pipeline_knows_the_model_that_was_registered_before() -> None:
    journal = MemoryJournal()
    tables = {"trips": LINES.with_columns(line=pl.lit("1A"))}
    done = run_inline(night, tables=tables, journal=journal)
    assert done.state == "succeeded", done.error
    blocked = run_inline(night, tables={"trips": LINES.with_columns(line=pl.lit("9"))}, journal=journal)
    assert blocked.state == "failed"
    assert "seen_in_training(line)" in str(blocked.error)
    warned = run_inline(later, tables={"trips": LINES.with_columns(line=pl.lit("9"))}, journal=journal)
    assert warned.state == "succeeded", warned.error
    assert warned.output("quality_gate")["verdict"] == "warned"


class World:
    """A monitor of predictions that keep an input of their model."""

    def __init__(self, **kept: ModelVersion) -> None:
        alarm = Alarm("new_lines", when="unseen > 0.1", min_labelled=1)
        self.monitor = Monitor(
            "people",
            predictions=Table("p"),
            truth=Table("t"),
            key="sensor",
            slot="slot",
            observed="count",
            label_delay="9d",
            slices=["line"],
            alarms=[alarm],
        )
        self.journal, self.tables = MemoryJournal(), MemoryTables()
        for one in kept.values():
            Registry(self.journal).register(one)

    def look(self, lines: list[str | None], day: int = 0, model_version: int = 1) -> Any:
        start = START + timedelta(days=day)
        rows = pl.DataFrame(
            {
                "sensor": [str(number) for number in range(len(lines))],
                "slot": [start] * len(lines),
                "value": 1.0,
                "line": pl.Series(lines, dtype=pl.String),
                "model": "people",
                "model_version": pl.Series([model_version] * len(lines), dtype=pl.Int64),
            }
        )
        truth = pl.DataFrame(schema={"sensor": pl.String, "slot": rows.schema["slot"], "count": pl.Float64})
        for name, frame in (("p", rows), ("t", truth)):
            self.tables.write(name, Write("append", frame), identity=f"{name}{day}", origin={})
        self.now = start + timedelta(days=1, hours=1)
        run = run_inline(self.monitor.pipeline, tables=self.tables, journal=self.journal, now=self.now)
        assert run.state == "succeeded", run.error
        found = Records(self.journal, "people").window("day", f"{start:%Y-%m-%d}")
        assert found is not None
        return found


def test_a_monitor_tells_the_share_of_predictions_for_new_categories_and_alarms_without_labels() -> None:
    world = World(first=version())
    assert world.look(["1A", "2", None, "2"]).whole.unseen == 0.0
    record = world.look(["1A", "2", "3", "4"], day=1)
    assert record.whole.unseen == 0.5
    assert {f.value: f.unseen for f in record.figures[1:]} == {"1A": 0.0, "2": 0.0, "3": 1.0, "4": 1.0}
    (alarm,) = world.monitor.spec.alarms
    rule: Any = read_rule(alarm)
    (reading,) = rule.judge(Records(world.journal, "people"), world.monitor.spec, world.now)
    assert [point.bad for point in reading.points] == [False, True]
    assert reading.points[-1].text == "day 2020-03-03: unseen > 0.1 (it is 0.5)"


def test_each_prediction_is_judged_by_the_version_that_made_it() -> None:
    world = World(first=version(), second=version(2, ("3", "4")))
    assert world.look(["1A", "3"]).whole.unseen == 0.5
    assert world.look(["3", "4"], day=1, model_version=2).whole.unseen == 0.0


def test_without_categories_the_figure_is_absent_and_it_is_said_why() -> None:
    world = World(old=version(categories=None))
    assert world.look(["1A", "9"]).whole.unseen is None
    spec = world.monitor.spec
    columns = ["sensor", "slot", "value", "line", "model", "model_version"]
    assert "since trikk keeps their categories" in why_unknown(spec, world.journal, columns)
    known = World(new=version())
    assert "keep=[...]" in why_unknown(spec, known.journal, [c for c in columns if c != "line"])
    assert "does not say which model" in why_unknown(spec, known.journal, columns[:4])
    assert known.look(["1A", "9"], model_version=7).whole.unseen is None


STATES = (3, 20, 100)


def classifier(number: int, classes: Any, name: str = "state") -> ModelVersion:
    kind = "String" if isinstance(classes[0], str) else "Int64"
    known = Classes(tuple(classes))
    signature = Signature(
        (Field("hour", "Int64"),), Field("value", kind), "polars", task=known.task, classes=known
    )
    return ModelVersion(name, number, Artifact("0" * 64, "pickle", 9, {}), signature, created=float(number))


class Rig:
    """A monitor of a classifier, by device, whose truths come at will."""

    def __init__(self, *versions: ModelVersion, when: str = "unseen_class > 0", **alarm: Any) -> None:
        self.monitor = Monitor(
            "state",
            predictions=Table("p"),
            truth=Table("t"),
            key="device",
            slot="slot",
            observed="state",
            label_delay="3d",
            metrics=["accuracy"],
            slices=["device"],
            alarms=[Alarm("new_class", when=when, **alarm)],
        )
        self.journal, self.tables, self.writes = MemoryJournal(), MemoryTables(), 0
        for one in versions:
            Registry(self.journal).register(one)

    def add(self, table: str, day: int = 0, **columns: Any) -> None:
        self.writes += 1
        rows = pl.DataFrame(columns).with_columns(slot=pl.lit(START + timedelta(days=day)))
        self.tables.write(table, Write("append", rows), identity=str(self.writes), origin={})

    def predict(self, said: list[Any], version: int = 1, model: str = "state", day: int = 0) -> None:
        made = {"model": [model] * len(said), "model_version": [version] * len(said)}
        self.add("p", day, device=[f"{model}{version}.{n}" for n in range(len(said))], value=said, **made)

    def look(self, day: int = 0, *, now: int = 1) -> Any:
        self.now = START + timedelta(days=now)
        run = run_inline(self.monitor.pipeline, tables=self.tables, journal=self.journal, now=self.now)
        assert run.state == "succeeded", run.error
        return Records(self.journal, "state").window("day", f"{START + timedelta(days=day):%Y-%m-%d}")

    def readings(self) -> dict[str, list[bool]]:
        (alarm,) = self.monitor.spec.alarms
        rule: Any = read_rule(alarm)
        found = rule.judge(Records(self.journal, "state"), self.monitor.spec, self.now)
        return {one.part[1] if one.part else "": [point.bad for point in one.points] for one in found}


def test_truths_of_a_class_that_their_version_does_not_know_are_counted_and_named() -> None:
    rig = Rig(classifier(1, STATES), classifier(2, (*STATES, 55)), slice="device")
    rig.predict([3, 20, 100])
    rig.predict([55, 3], version=2)
    names = ["state1.0", "state1.1", "state1.2", "state2.0", "state2.1", "nobody"]
    rig.add("t", device=names, state=[55, 77, 100, 55, 77, 88])
    record = rig.look(now=5)
    assert (record.whole.unseen_class, record.whole.unseen_classes) == (3, {"77": 2, "55": 1})
    assert record.classes == ("3", "20", "100", "55")
    counts = {f.value: (f.unseen_class, f.unseen_classes) for f in record.figures[1:]}
    assert counts["state1.0"] == (1, {"55": 1})
    assert (counts["state2.0"], counts["nobody"]) == ((0, {}), (None, {}))
    again = type(record).read(record.to_json())
    assert again == record
    assert rig.readings() == {
        "state1.0": [True],
        "state1.1": [True],
        "state1.2": [False],
        "state2.0": [False],
        "state2.1": [True],
        "nobody": [],
    }


def test_before_any_label_of_a_window_no_class_is_new() -> None:
    rig = Rig(classifier(1, STATES))
    rig.predict([3, 20])
    rig.add("t", device=["state1.0"], state=[77], day=-3)
    assert (rig.look().state, rig.look().whole.unseen_class) == ("pending", 0)


def test_a_new_class_is_told_when_it_comes_and_none_is_told_when_all_labels_are_there() -> None:
    rig = Rig(classifier(1, STATES))
    rig.predict([3, 20, 100, 3])
    rig.add("t", device=["state1.0"], state=[3])
    assert (rig.look().state, rig.look().whole.unseen_class, rig.readings()) == ("partial", 0, {"": []})
    rig.add("t", device=["state1.1"], state=[55])
    assert (rig.look().state, rig.look().whole.unseen_classes, rig.readings()) == (
        "partial",
        {"55": 1},
        {"": [True]},
    )
    (alarm,) = rig.monitor.spec.alarms
    rule: Any = read_rule(alarm)
    (reading,) = rule.judge(Records(rig.journal, "state"), rig.monitor.spec, rig.now)
    assert reading.points[-1].facts["unseen classes"] == "55 1"
    rig.add("t", device=["state1.1"], state=[20])
    assert rig.look().whole.unseen_class == 0
    rig.look(now=5)
    assert rig.readings() == {"": [False]}


@pytest.mark.parametrize(
    ("classes", "truths", "new"),
    [
        (("ok", "leak"), ["leak", "ok", "burst"], {"burst": 1}),
        ((0, 1, 2), [1.0, 2.0, 3.0], {"3": 1}),
        ((0, 1), [True, False, True], {}),
        ((False, True), [1, 0, 2], {"2": 1}),
        (("ok", "leak"), pl.Series(["leak", "ok", "burst"], dtype=pl.Categorical), {"burst": 1}),
        (("ok", "leak"), ["leak", None, "leak"], {}),
    ],
)
def test_a_class_is_the_same_whatever_type_it_has(classes: Any, truths: Any, new: dict[str, int]) -> None:
    cases = pl.DataFrame({"truth": truths, "said": classes[:1] * 3, "model": "m", "model_version": 1})
    two = Classes(classes, classes[1] if len(classes) == 2 else None)
    journal = MemoryJournal()
    signature = Signature((Field("x", "Int64"),), Field("value", "Int64"), task=two.task, classes=two)
    Registry(journal).register(ModelVersion("m", 1, Artifact("0" * 64, "pickle", 9, {}), signature, created=1.0))
    found = Unseen(journal).with_classes(cases, "said", "truth")
    assert found["_unseen_class"].sum() == sum(new.values())
    assert new_classes(found, "truth", None).get(None, {}) == new


def test_where_no_version_s_classes_are_known_the_figure_is_absent_and_it_is_said_why() -> None:
    rig = Rig(version(name="state"))
    rig.predict([3, 20])
    rig.add("t", device=["state1.0", "state1.1"], state=[3, 55])
    record = rig.look(now=5)
    assert (record.whole.unseen_class, record.classes, rig.readings()) == (None, (), {"": []})
    assert not {"unseen_class", "unseen_classes", "classes"} & {*record.whole.to_json(), *record.to_json()}
    spec, columns = rig.monitor.spec, ["device", "slot", "value", "model", "model_version"]
    assert "registered with its classes" in why_class_unknown(spec, rig.journal, columns)
    assert "does not say which model" in why_class_unknown(spec, rig.journal, columns[:3])
    assert "are not known" in why_class_unknown(spec, Rig(classifier(1, STATES)).journal, columns)
