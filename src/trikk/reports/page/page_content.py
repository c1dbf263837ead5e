"""What is on a report's page: the one thing that page, mail, PDF and the file of figures are made from."""

from __future__ import annotations

from enum import StrEnum

from trikk.core.record import Record
from trikk.monitoring.figures.matrix import Matrix


class Verdict(StrEnum):
    """How a figure is beside that of the period before."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    UNKNOWN = ""


class PointState(StrEnum):
    """What a window of the picture is worth: its state as the monitor has it, or that it was not evaluated."""

    FINAL = "final"
    PARTIAL = "partial"
    PENDING = "pending"
    OVERDUE = "overdue"
    EMPTY = "empty"
    MISSING = "missing"


class Metric(Record, frozen=True):
    """A metric over the period.

    Attributes:
        name: as the monitor calls it.
        title: for people.
        value: None where there is none.
        before: over the period before.
        baseline: the baseline's, over the cases that have one.
        own: the prediction's over these same cases.
        change: how much larger than before, as a share; None where that has no meaning.
        gain: how much better than the baseline, as a share; negative if worse.
        verdict: against the period before.
        better: whether lower, higher or the nearer to zero is better; "" if that is not known.
        exact: False if it is a mean of the windows' values, weighted by cases, as of records of older builds.
        error: what the value is off by at most; 0 if it is exact.
        reason: why there is no value; "" if that needs no word.
        unit: what is written behind its figures; "" for none.
    """

    name: str
    title: str
    value: float | None = None
    before: float | None = None
    baseline: float | None = None
    own: float | None = None
    change: float | None = None
    gain: float | None = None
    verdict: Verdict = Verdict.UNKNOWN
    better: str = ""
    exact: bool = True
    unit: str = ""
    error: float = 0.0
    reason: str = ""


class Point(Record, frozen=True):
    """One window in the picture.

    Attributes:
        label: the window's label.
        tick: what stands under it.
        state: what it is worth.
        value: the main metric.
        baseline: the baseline's.
        predicted: cases with a prediction.
        observed: cases with a truth.
        labelled: cases with both.
        restated: how many times the main metric was final and has changed, in the digits that are shown.
    """

    label: str
    tick: str
    state: PointState
    value: float | None = None
    baseline: float | None = None
    predicted: int = 0
    observed: int = 0
    labelled: int = 0
    restated: int = 0


class Slice(Record, frozen=True):
    """One value of a slice over the period.

    Attributes:
        value: the value as text.
        metric: the main metric; None where nothing is labelled.
        before: over the period before.
        change: as of `Metric`, as is `verdict`.
        labelled: labelled cases.
        share: of the worst one's metric, for a bar.
        few: fewer cases than the monitor relies on.
        name: what people call the value; "" if nothing is said of it.
        error: what the metric is off by at most; 0 if it is exact.
    """

    value: str
    metric: float | None
    before: float | None
    change: float | None
    verdict: Verdict
    labelled: int
    share: float
    few: bool
    name: str = ""
    error: float = 0.0


class SliceTable(Record, frozen=True):
    """All values of a slice, the worst first; and what people call the slice, "" for the column's name."""

    column: str
    rows: tuple[Slice, ...]
    title: str = ""


class Restated(Record, frozen=True):
    """Figures that were final and changed later.

    Attributes:
        label: the window's label.
        at: when, in the report's time zone, as text.
        why: what changed them.
        was: the main metric before.
        now: the main metric after.
        moved: whether these differ in the digits that are shown.
    """

    label: str
    at: str
    why: str
    was: float | None
    now: float | None
    moved: bool = True


class Section(Record, frozen=True):
    """What one monitor has found.

    Attributes:
        monitor: its name; `title` is what people call it.
        watches: which tables, in words.
        window: the kind of window in the picture.
        sentence: how good it was, in words.
        metric: the one that matters most.
        metrics: all, that one first.
        baseline: the name of the baseline; "" without.
        points: the windows in the picture.
        predicted: cases with a prediction.
        observed: cases with a truth.
        labelled: cases with both.
        coverage: the share of predicted cases that are labelled; None if nothing was predicted.
        waiting: predicted cases without a truth.
        unpredicted: cases with a truth that nobody predicted.
        states: how many windows are in which state.
        worst: the label of the worst window; "" if there is none.
        worst_text: the same with its figure, for people.
        slices: the tables of slices.
        restated: figures that changed after they were final.
        notes: what to keep in mind about the figures.
        confusion: of classes, how often which was said where which was true; of many those with most mistakes.
    """

    monitor: str
    watches: str
    window: str
    sentence: str
    metric: Metric
    metrics: tuple[Metric, ...]
    baseline: str
    points: tuple[Point, ...]
    predicted: int
    observed: int
    labelled: int
    coverage: float | None
    waiting: int
    unpredicted: int
    states: dict[str, int]
    worst: str
    worst_text: str = ""
    slices: tuple[SliceTable, ...] = ()
    restated: tuple[Restated, ...] = ()
    notes: tuple[str, ...] = ()
    title: str = ""
    confusion: Matrix | None = None


class Holder(Record, frozen=True):
    """A version of a model that was champion in the period: since when, and why it became so."""

    model: str
    version: int
    since: str
    moved: bool
    why: str
    by: str


class Trouble(Record, frozen=True):
    """An incident that was open in the period."""

    id: str
    title: str
    severity: str
    opened: str
    resolved: str
    why: str


class Action(Record, frozen=True):
    """Something to do, and the command for it ("" for none)."""

    text: str
    command: str


class Content(Record, frozen=True):
    """A page.

    Attributes:
        report: the report's name.
        title: what stands on top.
        project: the project's name.
        customer: for whom; "*" for everything.
        customer_name: what people call them; "" for the same.
        kind: month, week or day.
        period: the period's label.
        period_title: for people.
        before_title: the period before, for people.
        timezone: of every day and time on it.
        as_of: when the newest of its facts was written down, ISO in UTC; "" if there are no facts.
        as_of_text: the same for people.
        sections: one for each monitor.
        models: champions; empty on a customer's page.
        incidents: empty on a customer's page.
        actions: empty on a customer's page.
        again: the command that makes this very page again.
    """

    report: str
    title: str
    project: str
    customer: str
    kind: str
    period: str
    period_title: str
    before_title: str
    timezone: str
    as_of: str
    as_of_text: str
    sections: tuple[Section, ...]
    models: tuple[Holder, ...] = ()
    incidents: tuple[Trouble, ...] = ()
    actions: tuple[Action, ...] = ()
    again: str = ""
    customer_name: str = ""
