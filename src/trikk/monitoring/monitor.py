"""`Monitor`: what an author declares beside a pipeline, and the pipeline that evaluates it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trikk.core.durations import Duration, seconds
from trikk.core.errors import UsageError
from trikk.core.names import check_name
from trikk.core.settings import project_zone
from trikk.core.values import JSON
from trikk.core.zones import moment_of
from trikk.pipeline.graph import Role
from trikk.pipeline.location import caller, defining, explained
from trikk.pipeline.pipeline import Pipeline
from trikk.pipeline.step import Step
from trikk.pipeline.table_reference import Table
from trikk.runs.context import step_context

if TYPE_CHECKING:
    import polars as pl

    from trikk.models.metrics.own_metric import Metric
    from trikk.models.task import ClassValue
    from trikk.monitoring.cases.slices import Slice
    from trikk.monitoring.day_drift.drift_definition import Drift
    from trikk.monitoring.monitor_definition import Alarmed, MonitorSpec


@explained
@dataclass(frozen=True, eq=False, repr=False)
class Monitor:
    """Watches predictions against a ground truth that comes later.

    Declared at the top level of a module of the project, it adds a pipeline `watch_NAME` that `trikk watch` runs,
    and that can be run, scheduled and backfilled like any other.

    Args:
        name: the monitor's name.
        predictions: the table of predictions; of several for one entity and slot, `made` says which counts.
        truth: the table of ground truth.
        key: the columns that name an entity, in both tables.
        slot: the column with the time that a prediction is for, in both tables.
        observed: the truth's column of values.
        prediction: the predictions' column of values.
        made: "before": predictions foretell their slot, and of several the last one before it counts; "after":
            they say what was the case then, and the first one from the slot on counts.
        made_at: the predictions' column of the time at which they were made.
        within: how long after its slot a prediction counts that is made after it, such as "1h".
        label_delay: how long after a window's end its labels are expected, such as "1d".
        metrics: names (see `trikk.models.metrics.by_name`), or your own (`trikk.Metric`, or just a function of
            truths and predictions, numpy arrays); the first is the one that matters most.
        slices: columns of either table; or hour, weekday, month or date of the slot's local time; `trikk.Slice`
            says what people call one.
        windows: hour, day, week, month.
        timezone: whose days and hours.
        baseline: a column of the predictions with what another rule or model predicts.
        interval: two columns of the predictions, a lower and an upper end; adds the metric `coverage`.
        minimum: labelled cases below which a figure is not to be relied on.
        least: the share of labelled cases below which a window is overdue when its time is over.
        alarms: when its figures are wrong, and what follows (`trikk.Alarm`).
        expected_error: a column of the predictions with the absolute error to expect (`trikk.estimate_error`), so
            that `mae` is estimated before labels.
        calibrated: probabilities are right as they are, so that metrics of classes are estimated from them before
            labels; adds the metric `ece`.
        calibrate: how long before a day the labelled cases are its reference, such as "84d": probabilities are
            made right by them, and metrics of classes estimated before labels. Instead of `calibrated`.
        drift: compare each day's values with those of earlier days (`trikk.Drift`).
        task: "regression", "binary" or "multiclass", if neither the models that made the predictions nor the
            metrics say so.
        positive: of two classes the one that probability, precision and recall are about, if the model does not
            say so.
        probability: the predictions' column with the probability of the positive class; those of several classes
            are called so with `_` and the class behind it.
        title: what reports call it; its name if not given.
        unit: of the values, such as "persons": reports write it behind mae, rmse, bias, median_error, quantiles.
        customer_name: what a customer's page calls it; its title if not given.
        baseline_title: what reports call the baseline; its column's name if not given.
        set_aside: the table of rows that could not be predicted (`predict(..., invalid=...)`); their share is the
            figure `set_aside`.
        figures: a table that gets every figure as a row, for tools that read tables; monitors may share it.

    Raises:
        DefinitionError: if something in it can't work.
    """

    name: str
    _: KW_ONLY
    predictions: Table
    truth: Table
    key: str | Sequence[str]
    slot: str
    observed: str
    prediction: str = "value"
    made: str = "before"
    made_at: str = ""
    within: Duration | None = None
    label_delay: Duration = 0
    metrics: Sequence[str | Metric | Callable[..., float]] = ("mae", "bias")
    slices: Sequence[str | Slice] = ()
    windows: Sequence[str] = ("day",)
    timezone: str = "UTC"
    baseline: str = ""
    interval: Sequence[str] = ()
    minimum: int = 30
    least: float = 0.5
    alarms: Sequence[Alarmed] = ()
    expected_error: str = ""
    calibrated: bool = False
    calibrate: Duration = 0
    drift: Drift | None = None
    task: str | None = None
    positive: ClassValue | None = None
    probability: str = "probability"
    set_aside: Table | None = None
    figures: Table | None = None
    title: str = ""
    unit: str = ""
    customer_name: str = ""
    baseline_title: str = ""
    spec: MonitorSpec = field(init=False)
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        where = caller()
        with defining(where):
            object.__setattr__(self, "spec", self._specified())
        pipeline = Pipeline(self._watching(), name=f"watch_{self.name}", where=where)
        object.__setattr__(self, "pipeline", pipeline)

    def _specified(self) -> MonitorSpec:
        """The definition as it is recorded, checked; raises the errors of each rule that it breaks."""
        from trikk.monitoring import monitor_definition as definition
        from trikk.monitoring.figures.metric_names import named
        from trikk.monitoring.figures.titles import columns_of, titles_of

        as_given = {name: getattr(self, name, None) for name in definition.MonitorSpec.__struct_fields__}
        names, own = named(self.metrics)
        delays = {"delay": seconds(self.label_delay, what="label_delay")}
        delays |= {"calibrate": seconds(self.calibrate, what="calibrate")}
        titles = {"title": self.title, "unit": self.unit, "customer_name": self.customer_name}
        in_other_form: dict[str, Any] = {
            "predictions": self.predictions.table_name,
            "truth": self.truth.table_name,
            "set_aside": "" if self.set_aside is None else self.set_aside.table_name,
            "figures": "" if self.figures is None else self.figures.table_name,
            "key": (self.key,) if isinstance(self.key, str) else tuple(self.key),
            "interval": tuple(self.interval),
            "windows": tuple(dict.fromkeys(self.windows)),
            "metrics": names,
            "own": own,
            "slices": columns_of(self.slices),
            "titles": titles_of(self.metrics, self.slices, baseline=self.baseline_title, **titles),
            "task": definition.task_of(self.task, self.positive),
            "drift": None if self.drift is None else self.drift.to_json(),
            "alarms": (),
        }
        timing = definition.timing_of(self.made, self.made_at, self.within)
        parts = {**as_given, **in_other_form, **delays, **timing}
        check_name("monitor", self.name)
        for name in ("slot", "observed"):
            if not isinstance(parts[name], str):
                raise UsageError(f"{name}={parts[name]!r} is not a column", next=f'name one: {name}="..."')
        spec = definition.MonitorSpec(**{name: part for name, part in parts.items() if part is not None})
        return definition.checked(spec, self.alarms)

    def _watching(self) -> Callable[..., None]:
        """The body of its pipeline."""

        def watch(now: datetime | None = None) -> None:
            features = self.drift.table if self.drift else None
            aside = {} if self.set_aside is None else {"aside": Table(self.set_aside.table_name, optional=True)}
            evaluated = _EVALUATE(self.spec.to_json(), self.predictions, self.truth, now, features, **aside)
            if self.figures is not None:
                _KEEP(self.name, self.figures.table_name, after=evaluated)

        watch.__doc__ = f"Evaluate monitor {self.name}: predictions against what has come in by now."
        return watch

    def trikk_pipelines(self) -> list[Pipeline]:
        """The pipelines that come with it."""
        return [self.pipeline]

    def __repr__(self) -> str:
        return f"Monitor({self.name!r})"


def evaluate_monitor(
    spec: dict[str, Any],
    predictions: pl.LazyFrame,
    truth: pl.LazyFrame,
    now: datetime | None,
    features: pl.LazyFrame | None = None,
    aside: pl.LazyFrame | None = None,
) -> dict[str, Any]:
    """The step that evaluates a monitor; see `trikk.monitoring.window_evaluation`.

    Returns:
        monitor, now, unchanged (how many windows are as they were), and windows: for each that has new figures or
        a new state its kind, label, state, why, and the counts and metrics of all its cases; and drift, if that is
        declared: for each day with a new verdict its label, verdict and headline.
    """
    from trikk.monitoring.cases.changes import Source
    from trikk.monitoring.figures.records import Records
    from trikk.monitoring.monitor_definition import MonitorSpec
    from trikk.monitoring.window_evaluation import evaluate
    from trikk.runs.run_state import RunState

    context = step_context("evaluating a monitor")
    read = MonitorSpec.read(spec)
    moment = moment_of(now or context.now, project_zone(context.root))
    # Of the run as a whole, not of its first event: one that waited in a queue was locked when it started.
    lock = RunState.fold(context.recorded_in, context.journal.events(context.recorded_in)).lock
    records = Records(context.journal, read.name)
    records.define(read, moment.timestamp())
    aside = predictions.clear() if read.set_aside and aside is None else aside
    source = Source(predictions, truth, context.tables, lock["tables"], aside)
    evaluation = evaluate(read, source, records, now=moment, run=context.run, identity=context.identity)
    windows: list[JSON] = [
        # The result is stored: as a member of the enum it would be an object of this build's class, not a text.
        {"kind": w.kind, "label": w.label, "state": w.state.value, "why": w.why, **w.whole.to_json()}
        for w in evaluation.changed
    ]
    answer: dict[str, Any] = {"monitor": read.name, "now": moment.isoformat(), "windows": windows}
    answer["unchanged"] = evaluation.unchanged
    context.notes.append(
        f"{read.name}: {len(windows)} windows with something new, {evaluation.unchanged} as they were"
    )
    if read.drift is not None:
        from trikk.drift import Verdict
        from trikk.monitoring.day_drift.day_comparison import drifting
        from trikk.monitoring.day_drift.drift_records import DriftRecords

        kept, run = DriftRecords(context.journal, read.name), context.run
        days = drifting(read, source, features, kept, now=moment, run=run, identity=context.identity)
        answer["drift"] = [
            {"label": d.label, "verdict": Verdict(d.verdict).value, "headline": d.headline} for d in days
        ]
    return answer


def figures_to_table(monitor: str, table: str) -> dict[str, Any]:
    """The step that brings figures into a table; see `trikk.monitoring.figures.figure_table`.

    Returns:
        windows and rows: how many were written.
    """
    from trikk.monitoring.figures.figure_table import keep_in_table

    return keep_in_table(monitor, table, step_context("keeping a monitor's figures"))


_EVALUATE: Step[..., Any] = Step(evaluate_monitor, name="evaluate", effect=True, role=Role.MONITOR)
_KEEP: Step[..., Any] = Step(figures_to_table, name="figures", effect=True)
