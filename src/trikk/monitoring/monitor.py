"""`Monitor`: what an author declares beside a pipeline, and the pipeline that evaluates it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from trikk.core.values import JSON
from trikk.pipeline.graph import Role
from trikk.pipeline.location import caller
from trikk.pipeline.pipeline import Pipeline
from trikk.pipeline.step import Step
from trikk.pipeline.table_reference import Table
from trikk.runs.context import step_context

if TYPE_CHECKING:
    import polars as pl

    from trikk.models.metrics.own_metric import Metric
    from trikk.models.task import ClassValue
    from trikk.monitoring.day_drift.drift_definition import Drift
    from trikk.monitoring.figures.titles import Slice
    from trikk.monitoring.monitor_definition import Alarmed, MonitorSpec


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

    Raises:
        DefinitionError: if something in it can't work.
    """

    def __init__(
        self,
        name: str,
        *,
        predictions: Table,
        truth: Table,
        key: str | Sequence[str],
        slot: str,
        observed: str,
        prediction: str = "value",
        made: str = "before",
        made_at: str = "",
        within: float | str | timedelta | None = None,
        label_delay: float | str | timedelta = 0,
        metrics: Sequence[str | Metric | Callable[..., float]] = ("mae", "bias"),
        slices: Sequence[str | Slice] = (),
        windows: Sequence[str] = ("day",),
        timezone: str = "UTC",
        baseline: str = "",
        interval: Sequence[str] = (),
        minimum: int = 30,
        least: float = 0.5,
        alarms: Sequence[Alarmed] = (),
        expected_error: str = "",
        calibrated: bool = False,
        calibrate: float | str | timedelta = 0,
        drift: Drift | None = None,
        task: str | None = None,
        positive: ClassValue | None = None,
        probability: str = "probability",
        set_aside: Table | None = None,
        title: str = "",
        unit: str = "",
        customer_name: str = "",
        baseline_title: str = "",
    ) -> None:
        from trikk.monitoring.monitor_definition import specified, with_alarms

        self.spec: MonitorSpec = specified(
            name,
            predictions=predictions.table_name,
            truth=truth.table_name,
            key=key,
            slot=slot,
            observed=observed,
            prediction=prediction,
            made=made,
            made_at=made_at,
            within=within,
            label_delay=label_delay,
            metrics=metrics,
            slices=slices,
            windows=windows,
            timezone=timezone,
            baseline=baseline,
            interval=tuple(interval),
            minimum=minimum,
            least=least,
            expected_error=expected_error,
            calibrated=calibrated,
            calibrate=calibrate,
            drift=None if drift is None else drift.to_json(),
            task=task,
            positive=positive,
            probability=probability,
            set_aside="" if set_aside is None else set_aside.table_name,
            titles={"title": title, "unit": unit, "customer_name": customer_name, "baseline": baseline_title},
            where=(where := caller()),
        )
        self.spec = with_alarms(self.spec, alarms, where)
        self.name = name

        def watch(now: datetime | None = None) -> None:
            features = drift.table if drift else None
            aside = {} if set_aside is None else {"aside": Table(set_aside.table_name, optional=True)}
            _EVALUATE(self.spec.to_json(), predictions, truth, now, features, **aside)

        watch.__doc__ = f"Evaluate monitor {name}: predictions against what has come in by now."
        self.pipeline = Pipeline(watch, name=f"watch_{name}", where=where)

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

    context = step_context("evaluating a monitor")
    read = MonitorSpec.read(spec)
    moment = now or context.now
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    created: Any = context.journal.events(context.recorded_in)[0].body
    records = Records(context.journal, read.name)
    records.define(read, moment.timestamp())
    aside = predictions.clear() if read.set_aside and aside is None else aside
    source = Source(predictions, truth, context.tables, created["lock"]["tables"], aside)
    found = evaluate(read, source, records, now=moment, run=context.run, identity=context.identity)
    windows: list[JSON] = [
        {"kind": w.kind, "label": w.label, "state": w.state, "why": w.why, **w.whole.to_json()}
        for w in found.changed
    ]
    answer: dict[str, Any] = {"monitor": read.name, "now": moment.isoformat(), "windows": windows}
    answer["unchanged"] = found.unchanged
    context.notes.append(f"{read.name}: {len(windows)} windows with something new, {found.unchanged} as they were")
    if read.drift is not None:
        from trikk.monitoring.day_drift.day_comparison import drifting
        from trikk.monitoring.day_drift.drift_records import DriftRecords

        kept, run = DriftRecords(context.journal, read.name), context.run
        days = drifting(read, source, features, kept, now=moment, run=run, identity=context.identity)
        answer["drift"] = [{"label": d.label, "verdict": d.verdict, "headline": d.headline} for d in days]
    return answer


_EVALUATE: Step[..., Any] = Step(evaluate_monitor, name="evaluate", effect=True, role=Role.MONITOR)
