"""A monitor as an author declares it, and as the JSON that commands and the ledger have of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from trikk.core.digests import digest_json
from trikk.core.durations import seconds
from trikk.core.errors import DefinitionError, TrikkError, UsageError
from trikk.core.names import check_name
from trikk.core.values import JSON
from trikk.models.metrics.by_name import check_fit, metric_of
from trikk.models.metrics.metric import Metric
from trikk.models.metrics.own_metric import Metric as OwnMetric
from trikk.models.task import PROBABILITY, ClassValue, Task
from trikk.monitoring.cases.windows import KINDS, zone_of
from trikk.monitoring.estimates.classes import is_expected
from trikk.monitoring.figures.metric_names import Own, named, renewed
from trikk.monitoring.figures.titles import Slice, Titles, titles_of

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


@dataclass(frozen=True, slots=True)
class MonitorSpec:
    """What is watched, and how.

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
        alarms: rules on its figures, as JSON (`trikk.alerts.rules.rule`).
        expected_error: a column of the predictions with the absolute error to expect; "" for none.
        calibrated: whether probabilities are right as they are, so that they tell what metrics to expect.
        calibrate: of how many seconds before a day the labelled cases say how far probabilities are right; 0 if
            they are right, or nothing is to be expected.
        drift: what of its days is compared with earlier ones, as JSON (`trikk.Drift`); None for nothing.
        own: the metrics that are the author's own, by name: where to find them, and which way is better.
        task: what is predicted; None if the model or the data says so.
        positive: of two classes the one that probability, precision and recall are about; None if known otherwise.
        set_aside: the table of rows that could not be predicted; "" for none.
        probability: the predictions' column of that probability, and how those of several classes begin.
        titles: what people call it and its parts, as JSON (`called`).
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
    within: float | None = None
    delay: float = 0.0
    metrics: tuple[str, ...] = ("mae", "bias")
    slices: tuple[str, ...] = ()
    windows: tuple[str, ...] = ("day",)
    timezone: str = "UTC"
    baseline: str = ""
    interval: tuple[str, ...] = ()
    minimum: int = 30
    least: float = 0.5
    alarms: tuple[dict[str, JSON], ...] = ()
    expected_error: str = ""
    calibrated: bool = False
    calibrate: float = 0.0
    drift: dict[str, JSON] | None = None
    own: Own = field(default_factory=dict)
    task: Task | None = None
    positive: ClassValue | None = None
    probability: str = PROBABILITY
    set_aside: str = ""
    titles: dict[str, JSON] = field(default_factory=dict)

    @property
    def called(self) -> Titles:
        """What people call it and its parts."""
        return Titles(**self.titles)  # type: ignore[arg-type]

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
        facts = {name: self.to_json()[name] for name in _FIGURED} | {"made": self.made_at}
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
        return replace(metric_of(str(own["function"])), name=name, better=str(own["better"]))

    def better(self, name: str) -> str:
        """Whether "lower", "higher" or the nearer to "zero" is better of a metric; "" if that is not known."""
        if name in self.own:
            return str(self.own[name]["better"])
        return "" if name == "coverage" else "lower" if name == "ece" else metric_of(name).better

    def to_json(self) -> dict[str, JSON]:
        """The definition as JSON."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        found |= {"made": self.made.value, "task": self.task and self.task.value}  # no enums: they travel as such
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> MonitorSpec:
        """The definition that `to_json` wrote."""
        now = renewed(data) if "metrics" in data else data
        given = ((name, now[name]) for name in cls.__slots__ if name in now)
        found: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given}
        if "made_at" not in found and "made" in found:  # of a release in which `made` was the column
            found |= {"made_at": found["made"], "made": Made.BEFORE}
        task = found.get("task")
        found |= {"task": None if task is None else Task(task), "made": Made(found.get("made", Made.BEFORE))}
        return cls(**found)


class Alarmed(Protocol):
    """A rule on a monitor's figures; `trikk.Alarm` is one."""

    def of(self, spec: MonitorSpec) -> dict[str, JSON]:
        """The rule as JSON; UsageError if the monitor does not have what it names."""


def with_alarms(spec: MonitorSpec, alarms: Sequence[Alarmed], where: str) -> MonitorSpec:
    """The definition with its alarms.

    Raises:
        DefinitionError: if one can't work, or two have one name.
    """
    try:
        found = tuple(alarm.of(spec) for alarm in alarms)
        names = [str(one["name"]) for one in found]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"two alarms are named {name!r}", next="rename one")
        return replace(spec, alarms=found)
    except TrikkError as error:
        raise DefinitionError(error.what, where=where, next=error.next) from error


def specified(
    name: str,
    *,
    predictions: str,
    truth: str,
    key: str | Sequence[str],
    label_delay: float | str | timedelta,
    metrics: Sequence[str | OwnMetric | Callable[..., float]],
    slices: Sequence[str | Slice],
    windows: Sequence[str],
    task: str | None,
    titles: Mapping[str, str],
    made: str,
    made_at: str,
    within: float | str | timedelta | None,
    where: str,
    **more: Any,
) -> MonitorSpec:
    """Check an author's definition; arguments as of `Monitor`.

    Raises:
        DefinitionError: if something in it can't work.
    """
    try:
        check_name("monitor", name)
        keys = (key,) if isinstance(key, str) else tuple(key)
        if not keys:
            raise UsageError("a monitor needs a key", next='name the columns of an entity: key=["sensor"]')
        names, own = named(metrics)
        meant = _task(task, more.get("positive"))
        for one in names:
            if one not in own:
                check_fit(metric_of(one), meant)
        for kind in windows:
            if kind not in KINDS:
                raise UsageError(f"windows has {kind!r}", next=f"use {', '.join(KINDS)}")
        zone_of(more.get("timezone", "UTC"))
        if len(tuple(more.get("interval", ()))) not in (0, 2):
            raise UsageError("interval takes two columns", next='interval=("lower", "upper")')
        more["calibrate"] = seconds(more.get("calibrate", 0), what="calibrate")
        _check_estimates(names, more)
        delay = seconds(label_delay, what="label_delay")
        return MonitorSpec(
            name=name,
            predictions=predictions,
            truth=truth,
            key=keys,
            delay=delay,
            metrics=names,
            own=own,
            slices=tuple(one.column if isinstance(one, Slice) else one for one in slices),
            titles=titles_of(metrics, slices, **titles).to_json(),
            windows=tuple(dict.fromkeys(windows)),
            task=meant,
            **_timing(made, made_at, within),
            **more,
        )
    except TrikkError as error:
        raise DefinitionError(error.what, where=where, next=error.next) from error


def _task(given: str | None, positive: ClassValue | None) -> Task | None:
    """The task that an author names; a positive class alone says that there are two."""
    if given is not None and given not in [*Task]:
        raise UsageError(f"task={given!r} is none", next=f"use {', '.join(Task)}")
    task = None if given is None else Task(given)
    if positive is not None and task not in (None, Task.BINARY):
        raise UsageError(f"positive={positive!r} is for two classes, not for {task}", next="leave it out")
    return task if positive is None else Task.BINARY


def _timing(made: str, made_at: str, within: float | str | timedelta | None) -> dict[str, Any]:
    """When predictions are made; `made` was the column of that time in earlier releases, and still may be."""
    if made not in [*Made]:
        if made_at or str(made).lower() in [*Made]:
            raise UsageError(f"made={made!r} is no time to predict", next='use made="before" or made="after"')
        made, made_at = Made.BEFORE, made
    if within is not None and made != Made.AFTER:
        raise UsageError("within= is for predictions that are made after their slot", next='add made="after"')
    limit = None if within is None else seconds(within, what="within")
    return {"made": Made(made), "made_at": made_at or "predicted_at", "within": limit}


def _check_estimates(metrics: Sequence[str], more: Mapping[str, Any]) -> None:
    if more.get("expected_error") and "mae" not in metrics:
        raise UsageError("expected_error estimates mae, which is not among the metrics", next='add "mae"')
    ways = [name for name in ("calibrated", "calibrate") if more.get(name)]
    if len(ways) > 1:
        raise UsageError(
            "calibrated says that probabilities are right, and calibrate that they need correcting",
            next="leave one of them out",
        )
    if ways and not any(map(is_expected, metrics)):
        raise UsageError(
            f"{ways[0]} estimates none of {', '.join(metrics)}", next='add one, such as "f1" or "auc"'
        )
