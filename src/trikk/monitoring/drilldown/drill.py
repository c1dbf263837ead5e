"""From a figure to its cause: a window's cases, worst first, and everything about one prediction."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from trikk.core.errors import TrikkError, UnknownName, UsageError
from trikk.core.values import JSON
from trikk.core.zones import zone_of
from trikk.execution.project import Project
from trikk.models.registry import Registry
from trikk.monitoring.cases.case_columns import OBSERVED, PREDICTED
from trikk.monitoring.cases.case_join import cases, errors, moment_of, standings, with_texts
from trikk.monitoring.cases.class_cases import SAID, TRUTH, in_cell, with_classes, worst_first
from trikk.monitoring.cases.slices import slice_texts
from trikk.monitoring.cases.windows import window_named
from trikk.monitoring.drilldown.inputs import ID, Inputs
from trikk.monitoring.drilldown.source_rows import SourceRows, plain_value, source_rows
from trikk.monitoring.figures.records import Records, WindowRecord, names
from trikk.monitoring.monitor_definition import Made, MonitorSpec

if TYPE_CHECKING:
    import polars as pl

_SOME = 8
_DAY = timedelta(days=1)


def worst(
    project: Project,
    monitor: str,
    kind: str,
    label: str,
    *,
    slice_: tuple[str, str] | None = None,
    truth: str | None = None,
    predicted: str | None = None,
    most: int = 20,
) -> list[dict[str, JSON]]:
    """The cases behind a window's figures, the largest errors first, then those without truth or prediction.

    Of classes, mistakes come first, those first that the model was surest of. Cases are read at the versions of
    the tables that the figures were made of, as long as those can be read.

    Args:
        project: the project.
        monitor: the monitor's name.
        kind: hour, day or week.
        label: the window's label.
        slice_: a slice's column and value as text; all cases if None.
        truth: of classes, the one that was true, as text; any if None.
        predicted: the same of the one that was said.
        most: how many cases.

    Returns:
        Dicts of key, slot, predicted, observed, error and what else is known. The error is predicted - observed,
        or whether they differ if they are classes or no numbers; of classes, `probability_of_predicted` says how
        sure the model was.

    Raises:
        UnknownName: if there is no such monitor, window, slice or class.
        UsageError: if a class is named, and the monitor is of numbers.
    """
    records = Records(project.journal, monitor)
    spec, record = records.spec(), the_window(records, kind, label)
    registry = Registry(project.journal)
    joined = cases(spec, *_tables(project, spec, record), record.start, record.end, registry=registry)
    of_classes = with_classes(spec, joined, registry)
    joined = joined if of_classes is None else of_classes
    if slice_ is not None:
        column, value = slice_
        if column not in spec.slices:
            raise UnknownName("slice", column, spec.slices)
        joined = joined.filter(slice_texts(joined[column]) == value)
        if joined.is_empty():
            values = [f.value for f in record.figures if f.slice == column]
            raise UnknownName(f"{column}", value, values)
    if of_classes is not None:
        joined = in_cell(
            joined, truth, predicted, {*record.classes, *of_classes[TRUTH], *of_classes[SAID]} - {None}
        )
    elif truth is not None or predicted is not None:
        raise UsageError(f"monitor {monitor} is of numbers, not of classes", next="leave out --truth, --predicted")
    # A join has no order of its own: of errors as large as another, the key says which comes first.
    joined = joined.sort(*spec.key, spec.slot)
    shown = (worst_first if of_classes is not None else _largest_first)(joined).head(most)
    shown = shown.drop(TRUTH, SAID, strict=False).rename({PREDICTED: "predicted", OBSERVED: "observed"})
    return [_plain(row) for row in shown.rename({c: c[1:] for c in shown.columns if c[0] == "_"}).to_dicts()]


def _largest_first(cases_: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    error = errors(cases_[PREDICTED], cases_[OBSERVED]).alias("error")
    size = pl.col("error").cast(pl.Float64).abs()
    return cases_.with_columns(error).sort(size, descending=True, nulls_last=True, maintain_order=True)


def the_window(records: Records, kind: str, label: str) -> WindowRecord:
    """A window by its label, or by a time that lies in it.

    Raises:
        UnknownName: if it was not evaluated.
    """
    spec = records.spec()
    if kind not in spec.windows:
        raise UnknownName("kind of window", kind, spec.windows)
    window = window_named(kind, label, zone_of(spec.timezone))
    record = records.window(kind, window.label)
    if record is None:
        raise UnknownName(
            f"{kind}", label, [w.label for w in records.windows(kind)], next="trikk monitor lists them"
        )
    return record


def _tables(project: Project, spec: MonitorSpec, record: WindowRecord) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """The monitor's tables as they were when a window was evaluated, or as they are if that can't be read."""
    try:
        # The run that evaluated the window, not the last one: what its figures were made of is what explains them.
        locked = project.run(record.run).lock["tables"]
        return tuple(project.tables.scan(t, locked[t]) for t in (spec.predictions, spec.truth))  # type: ignore[return-value]
    except (TrikkError, KeyError):
        return tuple(project.tables.scan(t) for t in (spec.predictions, spec.truth))  # type: ignore[return-value]


@dataclass(slots=True)
class Explanation:
    """Everything that is known of one prediction.

    Attributes:
        prediction: its row.
        monitor: the monitor that watches it; "" for none.
        observed: the truth, or None.
        error: prediction minus truth; None where either is missing or they are classes.
        counts_as: of a prediction about now: counts, correction, too late or too early; else "".
        others: the other predictions for the same entity and slot, oldest first, each with its `counts_as`.
        inputs: the rows that the model was given, by the name of the step's argument.
        model: the registered version, as JSON; None if it was not registered.
        run: id, pipeline, state, parameters, when it was made, code, commit and versions of tables and models.
        replay: the command that executes the run again.
        sources: rows of the tables that its run and its model's run read, if they were asked for.
        notes: what could not be found, in sentences.
    """

    prediction: dict[str, JSON]
    monitor: str = ""
    observed: JSON = None
    error: float | None = None
    counts_as: str = ""
    others: list[dict[str, JSON]] = field(default_factory=list)
    inputs: dict[str, list[dict[str, JSON]]] = field(default_factory=dict)
    model: dict[str, JSON] | None = None
    run: dict[str, JSON] = field(default_factory=dict)
    replay: str = ""
    sources: list[SourceRows] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, JSON]:
        """The explanation as JSON."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return {**fields, "sources": [source.to_json() for source in self.sources]}


def explain(
    project: Project,
    prediction_id: str,
    table: str | None = None,
    *,
    rows: int = 0,
    window: tuple[datetime, datetime] | None = None,
) -> Explanation:
    """Find a prediction and everything behind it.

    Args:
        project: the project.
        prediction_id: as in the predictions table, or its beginning.
        table: the table to look in; those that monitors watch, then all, if not given.
        rows: how many rows of each table to give that the run and the model's run read; 0 for none.
        window: from when until before when its slot may be, with zones: of a table that is named and watched that
            part is looked through first, which takes a tenth of the time.

    Raises:
        UnknownName: if no table has it, or several begin so.
    """
    specs = [Records(project.journal, name).spec() for name in names(project.journal)]
    spec = next((spec for spec in specs if spec.predictions == table), None)
    near = _find_near(project, prediction_id, spec, window) if spec and window else None
    name, row = near or _find(project, prediction_id, table, [spec.predictions for spec in specs])
    explanation = Explanation(_plain(row))
    spec = next((spec for spec in specs if spec.predictions == name), None)
    if spec is None:
        explanation.notes.append(f"no monitor watches table {name}, so its truth is not known")
    else:
        _add_truth(project, spec, row, explanation)
    _add_run(project, spec, row, explanation)
    signature: Any = (explanation.model or {}).get("signature")
    if signature and "classes" in signature:
        explanation.error = None  # 3 instead of 20 is no error of -17
    if rows:
        _add_sources(project, spec, row, explanation, rows)
    return explanation


def _add_sources(
    project: Project, spec: MonitorSpec | None, row: dict[str, Any], explanation: Explanation, most: int
) -> None:
    makers: dict[str, Any] = {
        "prediction": explanation.run.get("id"),
        "training": (explanation.model or {}).get("run"),
    }
    runs = {}
    for use, run in makers.items():
        if run is not None:
            try:
                runs[use] = project.run(run)
            except TrikkError as error:
                explanation.notes.append(f"what run {run} read is not known: {error.what}")
    entity = {name: row[name] for name in spec.key} if spec else {}
    explanation.sources, notes = source_rows(project, runs, entity, slot=spec.slot if spec else "", most=most)
    explanation.notes += notes


def _find_near(
    project: Project, wanted: str, spec: MonitorSpec, window: tuple[datetime, datetime]
) -> tuple[str, dict[str, Any]] | None:
    """The table and the row of a prediction whose slot is in a window; None if there is none."""
    import polars as pl

    rows = project.tables.scan(spec.predictions)
    schema, slot, (start, end) = rows.collect_schema(), pl.col(spec.slot), window
    kind = schema.get(spec.slot)
    if schema.get(ID) != pl.String or not isinstance(kind, pl.Datetime):
        return None
    if kind.time_zone is None:  # a clock may be put on or back meanwhile: a day more is looked through
        zone = zone_of(spec.timezone)
        start, end = (moment.astimezone(zone).replace(tzinfo=None) for moment in (start - _DAY, end + _DAY))
    matching = rows.filter((slot >= start) & (slot < end) & (pl.col(ID) == wanted)).tail(1).collect()
    return (spec.predictions, matching.row(0, named=True)) if matching.height else None


def _find(project: Project, wanted: str, table: str | None, likely: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The table and the row of a prediction; by its beginning if no id is exactly what is wanted."""
    import polars as pl

    names_ = [table] if table else list(dict.fromkeys([*likely, *project.tables.names()]))
    having = [(name, project.tables.scan(name)) for name in names_]
    having = [(name, rows) for name, rows in having if rows.collect_schema().get(ID) == pl.String]
    for name, rows in having:
        matching = rows.filter(pl.col(ID) == wanted).tail(1).collect()
        if matching.height:
            return name, matching.row(0, named=True)
    for name, rows in having if wanted else []:
        matching = rows.filter(pl.col(ID).str.starts_with(wanted)).collect()
        ids = sorted(set(matching[ID]))
        if len(ids) > 1:
            some = ", ".join(ids[:_SOME]) + (", ..." if len(ids) > _SOME else "")
            raise UnknownName("prediction", wanted, ids[:_SOME], next=f"several begin so: {some}")
        if ids:
            return name, matching.row(-1, named=True)
    searched = ", ".join(names_) or "no table"
    raise UnknownName("prediction", wanted, [], next=f"looked in {searched}; name one: --table")


def _add_truth(project: Project, spec: MonitorSpec, row: dict[str, Any], explanation: Explanation) -> None:
    import polars as pl

    explanation.monitor = spec.name
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.lit(row[name])) for name in (*spec.key, spec.slot))
    predictions = project.tables.scan(spec.predictions)
    alike = predictions.filter(same).collect()
    if spec.made_at in row:
        alike = alike.sort(spec.made_at, maintain_order=True)
    if spec.made is Made.AFTER:
        alike = alike.with_columns(
            counts_as=pl.Series(standings(spec, alike, predictions, Registry(project.journal)))
        )
        explanation.counts_as = alike.filter(pl.col(ID) == row[ID])["counts_as"][-1]
    explanation.others = [_plain(prediction) for prediction in alike.filter(pl.col(ID) != row[ID]).to_dicts()]
    try:
        truth = _truth_of(spec, project.tables.scan(spec.truth), row)
    except UnknownName:
        explanation.notes.append(f"there is no table {spec.truth} yet")
        return
    value = truth[-1] if truth else None
    if value is None or value != value:  # noqa: PLR0124 - NaN is no value
        explanation.notes.append("its truth has not come in" if len(truth) < 2 else "its truth was taken back")
        return
    explanation.observed = plain_value(value)
    numbers = isinstance(value, int | float) and isinstance(row[spec.prediction], int | float)
    if numbers and not _is_class(project, spec, row):
        explanation.error = float(row[spec.prediction]) - float(value)


def _is_class(project: Project, spec: MonitorSpec, row: dict[str, Any]) -> bool:
    """Whether a prediction is a class, so that 100 less 3 is no error of 97."""
    signature = None
    if row.get("model") and row.get("model_version"):
        with contextlib.suppress(TrikkError):
            signature = Registry(project.journal).get(str(row["model"]), int(row["model_version"])).signature
    task = spec.task or (signature.task if signature is not None else None)
    gives_chances = signature is not None and signature.method != "predict"
    return task is not None and task.has_classes and not gives_chances


def _truth_of(spec: MonitorSpec, truth: pl.LazyFrame, row: dict[str, Any]) -> list[Any]:
    """What the truth has of a prediction, found as `cases` joins them."""
    import polars as pl

    own, schema = pl.DataFrame([{name: row[name] for name in (*spec.key, spec.slot)}]), truth.collect_schema()
    rows, _ = with_texts(spec, truth, own.schema, schema)
    same = (pl.col(name).eq_missing(pl.lit(row[name])) for name in spec.key)
    at = own.select(moment_of(spec, own.schema)).item()
    truths = rows.filter(*same, moment_of(spec, schema) == at).select(spec.observed).collect()
    return truths[spec.observed].to_list()


def _add_run(project: Project, spec: MonitorSpec | None, row: dict[str, Any], explanation: Explanation) -> None:
    if row.get("model") and row.get("model_version"):
        try:
            explanation.model = (
                Registry(project.journal).get(str(row["model"]), int(row["model_version"])).to_json()
            )
        except TrikkError as error:
            explanation.notes.append(error.what)
    try:
        run = project.run(project.find_run(str(row.get("run"))))
    except TrikkError as error:
        explanation.notes.append(f"the run that made it is not known: {error.what}")
        return
    lock = run.lock
    models: dict[str, Any] = {ref: v and v["version"] for ref, v in lock.get("models", {}).items()}
    explanation.run = {
        "id": run.id,
        "pipeline": run.pipeline,
        "state": run.state,
        "created": run.created,
        "parameters": run.parameters,
        "code": lock.get("code"),
        "git": lock.get("git"),
        "tables": lock.get("tables"),
        "models": models,
    }
    explanation.replay = f"trikk replay {run.id}"
    key = [*(spec.key if spec else ()), *([spec.slot] if spec else [])]
    given = Inputs(project, run, row, key, zone_of(spec.timezone if spec else "UTC"))
    explanation.inputs = {where: [_plain(one) for one in rows] for where, rows in given.rows.items()}
    explanation.notes += given.notes


def _plain(row: dict[str, Any]) -> dict[str, JSON]:
    return {name: plain_value(value) for name, value in row.items()}


def slice_named(text: str) -> tuple[str, str]:
    """A slice as written on a command line, `sensor=north`.

    Raises:
        UsageError: if it is not written so.
    """
    column, sign, value = text.partition("=")
    if not sign or not column:
        raise UsageError(f"--slice {text!r} is not column=value", next="such as --slice sensor=north")
    return column, value
