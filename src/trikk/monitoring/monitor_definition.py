"""A monitor as an author declares it, and as the JSON that commands and the ledger have of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol, Self

import msgspec
from msgspec.structs import replace

from trikk.core.digests import digest_json
from trikk.core.durations import Duration, seconds
from trikk.core.errors import UsageError
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.core.zones import zone_of
from trikk.models.metrics.by_name import check_fit, metric_of
from trikk.models.metrics.metric import Metric
from trikk.models.metrics.own_metric import Better
from trikk.models.task import PROBABILITY, ClassValue, Task
from trikk.monitoring.cases.windows import KINDS
from trikk.monitoring.estimates.classes import is_expected
from trikk.monitoring.figures.metric_names import Own, renewed
from trikk.monitoring.figures.titles import Titles

Number = int | float
"""A number as its author wrote it: JSON tells 1 from 1.0, and definitions are compared and digested as JSON."""

TIME_PARTS = ("hour", "weekday", "month", "date")
"""Slices that are made of the slot's local time where no column has that name."""

_FIGURED = (
    "predictions",
    "truth",
    "key",
    "slot",
    "observed",
    "prediction",
    "made",
    "timezone",
    "baseline",
    "interval",
    "expected_error",
    "calibrated",
)


class Made(StrEnum):
    """When predictions are made: before their slot, which they foretell, or after it, which they tell apart."""

    BEFORE = "before"
    AFTER = "after"


class MonitorSpec(Record, frozen=True):
    """What is watched, and how; a record in graphs and in the ledger, where older builds have left out fields.

    Attributes:
        name: the monitor.
        predictions: the table of predictions.
        truth: the table of ground truth.
        key: columns that name an entity, in both tables.
        slot: the column with the time that a prediction is for, in both tables.
        prediction: the column of predicted values.
        observed: the truth table's column of values.
        made: of several predictions for a slot the last one before it counts, or the first after it.
        made_at: the predictions' column of the time at which they were made.
        within: seconds after a slot in which predictions count that are made after it; None for any time.
        delay: seconds after a window's end by which its labels are expected.
        metrics: names, the first is the one that matters most.
        slices: columns of either table, or hour, weekday, month, date of the slot's local time.
        windows: hour, day, week, month.
        timezone: whose days.
        baseline: a column of the predictions with another prediction, such as a naive rule's; "" for none.
        interval: columns of the predictions with the lower and upper end of an interval; empty for none.
        minimum: labelled cases below which a figure is not to be relied on.
        least: the share of labelled cases below which a window is overdue when its time is over.
        alarms: rules on its figures, as JSON (`trikk.alerts.rules.kinds`).
        expected_error: a column of the predictions with the absolute error to expect; "" for none.
        calibrated: whether probabilities are right as they are, so that they tell what metrics to expect.
        calibrate: of how many seconds before a day the labelled cases say how far probabilities are right; 0 if
            they are right, or nothing is to be expected.
        drift: what of its days is compared with earlier ones, as JSON (`trikk.Drift`); None for nothing.
        own: the metrics that are the author's own, by name: where to find them, and which way is better.
        task: what is predicted; None if the model or the data says so.
        positive: of two classes the one that probability, precision and recall are about; None if known otherwise.
        set_aside: the table of rows that could not be predicted; "" for none.
        figures: the table that gets the figures as rows; "" for none.
        probability: the predictions' column of that probability, and how those of several classes begin.
        titles: what people call it and its parts.
    """

    name: str
    predictions: str
    truth: str
    key: tuple[str, ...]
    slot: str
    observed: str
    prediction: str = "value"
    made: Made = Made.BEFORE
    made_at: str = "predicted_at"
    within: Number | None = None
    delay: Number = 0.0
    metrics: tuple[str, ...] = ("mae", "bias")
    slices: tuple[str, ...] = ()
    windows: tuple[str, ...] = ("day",)
    timezone: str = "UTC"
    baseline: str = ""
    interval: tuple[str, ...] = ()
    minimum: int = 30
    least: Number = 0.5
    alarms: tuple[dict[str, Any], ...] = ()
    expected_error: str = ""
    calibrated: bool = False
    calibrate: Number = 0.0
    drift: dict[str, Any] | None = None
    own: Own = msgspec.field(default_factory=dict)
    task: Task | None = None
    positive: ClassValue | None = None
    probability: str = PROBABILITY
    set_aside: str = ""
    figures: str = ""
    titles: Titles = Titles()

    @property
    def label_delay(self) -> timedelta:
        """How long after a window's end its labels are expected: not before its predictions."""
        return max(timedelta(seconds=self.delay), self.settling)

    @property
    def settling(self) -> timedelta:
        """How long after a window's end predictions may come in that count."""
        return timedelta(seconds=self.within or 0)

    @property
    def is_probable(self) -> bool:
        """Whether metrics of classes are estimated from probabilities."""
        return self.calibrated or self.calibrate > 0

    @property
    def figured(self) -> str:
        """Names everything that figures depend on, and nothing else: no alarms, drift, delays, limits, titles."""
        definition = self.to_json()
        facts = {name: definition[name] for name in _FIGURED} | {"made": self.made_at}
        metrics: list[JSON] = [
            f"{name}={self.own[name]['function']}" if name in self.own else name for name in sorted(self.metrics)
        ]
        facts |= {"metrics": metrics, "slices": [*sorted(self.slices)]}
        facts |= {name: value for name, value in self._newer().items() if value is not None}
        return digest_json(facts)[:16]

    def _newer(self) -> dict[str, JSON]:
        """What figures depend on since later releases; None where they are as they were before."""
        probability = None if self.probability == PROBABILITY else self.probability
        nowcasts: list[JSON] | None = None if self.made is Made.BEFORE else [self.made, self.within]
        return {
            "task": self.task,
            "positive": self.positive,
            "probability": probability,
            "nowcasts": nowcasts,
            "set_aside": self.set_aside or None,
            "calibrate": self.calibrate or None,
        }

    def metric(self, name: str) -> Metric:
        """A metric by its name.

        Raises:
            UnknownName: if the monitor has none of that name, and trikk neither.
            UsageError: if the author's own can't be imported.
        """
        own = self.own.get(name)
        if own is None:
            return metric_of(name)
        return dataclasses.replace(metric_of(str(own["function"])), name=name, better=Better(own["better"]))

    def better(self, name: str) -> str:
        """Whether "lower", "higher" or the nearer to "zero" is better of a metric; "" if that is not known."""
        if name in self.own:
            return str(self.own[name]["better"])
        return "" if name == "coverage" else "lower" if name == "ece" else metric_of(name).better

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """The definition that `to_json` wrote, of this build or an earlier one."""
        fields = renewed(data) if "metrics" in data else {**data}
        if "made_at" not in fields and "made" in fields:  # of a release in which `made` was the column
            fields |= {"made_at": fields["made"], "made": Made.BEFORE}
        return super().read({name: value for name, value in fields.items() if value is not None})


class Alarmed(Protocol):
    """A rule on a monitor's figures; `trikk.Alarm` is one."""

    def of(self, spec: MonitorSpec) -> dict[str, JSON]:
        """The rule as JSON; UsageError if the monitor does not have what it names."""


def checked(spec: MonitorSpec, alarms: Sequence[Alarmed]) -> MonitorSpec:
    """An author's definition with its alarms.

    Only what an author declares is checked: a definition of an earlier build is read as it is, whatever rules have
    come since.

    Raises:
        TrikkError: if a rule is broken.
    """
    for check in _RULES:
        check(spec)
    rules = tuple(alarm.of(spec) for alarm in alarms)
    names = [str(rule["name"]) for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two alarms are named {name!r}", next="rename one")
    return replace(spec, alarms=rules)


def task_of(name: str | None, positive: ClassValue | None) -> Task | None:
    """The task that an author names; a positive class alone says that there are two."""
    if name is not None and name not in [*Task]:
        raise UsageError(f"task={name!r} is none", next=f"use {', '.join(Task)}")
    task = None if name is None else Task(name)
    if positive is not None and task not in (None, Task.BINARY):
        raise UsageError(f"positive={positive!r} is for two classes, not for {task}", next="leave it out")
    return task if positive is None else Task.BINARY


def timing_of(made: str, made_at: str, within: Duration | None) -> dict[str, Any]:
    """When predictions are made; `made` was the column of that time in earlier releases, and still may be."""
    if made not in [*Made]:
        if made_at or str(made).lower() in [*Made]:
            raise UsageError(f"made={made!r} is not a time to predict", next='use made="before" or made="after"')
        made, made_at = Made.BEFORE, made
    if within is not None and made != Made.AFTER:
        raise UsageError("within= is for predictions that are made after their slot", next='add made="after"')
    limit = None if within is None else seconds(within, what="within")
    return {"made": Made(made), "made_at": made_at or "predicted_at", "within": limit}


def _has_key(spec: MonitorSpec) -> None:
    if not spec.key:
        raise UsageError("a monitor needs a key", next='name the columns of an entity: key=["sensor"]')


def _metrics_fit_task(spec: MonitorSpec) -> None:
    for name in spec.metrics:
        if name not in spec.own:  # what an author's own metric is of, only its code knows
            check_fit(metric_of(name), spec.task)


def _windows_exist(spec: MonitorSpec) -> None:
    for kind in spec.windows:
        if kind not in KINDS:
            raise UsageError(f"windows has {kind!r}", next=f"use {', '.join(KINDS)}")


def _zone_exists(spec: MonitorSpec) -> None:
    zone_of(spec.timezone)


def _interval_has_two_ends(spec: MonitorSpec) -> None:
    if len(spec.interval) not in (0, 2):
        raise UsageError("interval takes two columns", next='interval=("lower", "upper")')


def _estimates_have_metrics(spec: MonitorSpec) -> None:
    if spec.expected_error and "mae" not in spec.metrics:
        raise UsageError("expected_error estimates mae, which is not among the metrics", next='add "mae"')
    ways = [name for name in ("calibrated", "calibrate") if getattr(spec, name)]
    if len(ways) > 1:
        raise UsageError(
            "calibrated says that probabilities are right, and calibrate that they need correcting",
            next="leave one of them out",
        )
    if ways and not any(map(is_expected, spec.metrics)):
        raise UsageError(
            f"{ways[0]} estimates none of {', '.join(spec.metrics)}", next='add one, such as "f1" or "auc"'
        )


def _figures_go_elsewhere(spec: MonitorSpec) -> None:
    if spec.figures and spec.figures in (spec.predictions, spec.truth, spec.set_aside):
        raise UsageError(
            f"figures would go into table {spec.figures}, from which they are made",
            next='name another: figures=Table("figures")',
        )


_RULES = (
    _has_key,
    _metrics_fit_task,
    _windows_exist,
    _zone_exists,
    _interval_has_two_ends,
    _estimates_have_metrics,
    _figures_go_elsewhere,
)
