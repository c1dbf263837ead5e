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
    """A metric over the period."""

    name: str  # as the monitor calls it
    title: str  # for people
    value: float | None = None  # None where there is none
    before: float | None = None  # over the period before
    baseline: float | None = None  # the baseline's, over the cases that have one
    own: float | None = None  # the prediction's over these same cases
    change: float | None = None  # how much larger than before, as a share; None where that has no meaning
    gain: float | None = None  # how much better than the baseline, as a share; negative if worse
    verdict: Verdict = Verdict.UNKNOWN  # against the period before
    better: str = ""  # whether lower, higher or the nearer to zero is better; "" if that is not known
    # False if it is a mean of the windows' values, weighted by cases, as of records of older builds
    exact: bool = True
    unit: str = ""  # what is written behind its figures; "" for none
    error: float = 0.0  # what the value is off by at most; 0 if it is exact
    reason: str = ""  # why there is no value; "" if that needs no word


class Point(Record, frozen=True):
    """One window in the picture."""

    label: str  # the window's label
    tick: str  # what stands under it
    state: PointState  # what it is worth
    value: float | None = None  # the main metric
    baseline: float | None = None
    predicted: int = 0  # cases with a prediction
    observed: int = 0  # cases with a truth
    labelled: int = 0  # cases with both
    restated: int = 0  # how many times the main metric was final and has changed, in the digits that are shown


class Slice(Record, frozen=True):
    """One value of a slice over the period."""

    value: str  # the value as text
    metric: float | None  # the main metric; None where nothing is labelled
    before: float | None  # over the period before
    change: float | None  # as of `Metric`, as is `verdict`
    verdict: Verdict
    labelled: int  # labelled cases
    share: float  # of the worst one's metric, for a bar
    few: bool  # fewer cases than the monitor relies on
    name: str = ""  # what people call the value; "" if nothing is said of it
    error: float = 0.0  # what the metric is off by at most; 0 if it is exact


class SliceTable(Record, frozen=True):
    """All values of a slice, the worst first; and what people call the slice, "" for the column's name."""

    column: str
    rows: tuple[Slice, ...]
    title: str = ""


class Restated(Record, frozen=True):
    """Figures that were final and changed later."""

    label: str  # the window's label
    at: str  # when, in the report's time zone, as text
    why: str  # what changed them
    was: float | None  # the main metric before
    now: float | None  # the main metric after
    moved: bool = True  # whether these differ in the digits that are shown


class Section(Record, frozen=True):
    """What one monitor has found."""

    monitor: str  # its name; `title` is what people call it
    watches: str  # which tables, in words
    window: str  # the kind of window in the picture
    sentence: str  # how good it was, in words
    metric: Metric  # the one that matters most
    metrics: tuple[Metric, ...]  # all, that one first
    baseline: str  # the name of the baseline; "" without
    points: tuple[Point, ...]  # the windows in the picture
    predicted: int  # cases with a prediction
    observed: int  # cases with a truth
    labelled: int  # cases with both
    coverage: float | None  # the share of predicted cases that are labelled; None if nothing was predicted
    waiting: int  # predicted cases without a truth
    unpredicted: int  # cases with a truth that nobody predicted
    states: dict[str, int]  # how many windows are in which state
    worst: str  # the label of the worst window; "" if there is none
    worst_text: str = ""  # the same with its figure, for people
    slices: tuple[SliceTable, ...] = ()  # the tables of slices
    restated: tuple[Restated, ...] = ()  # figures that changed after they were final
    notes: tuple[str, ...] = ()  # what to keep in mind about the figures
    title: str = ""
    # of classes, how often which was said where which was true; of many those with most mistakes
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
    """A page."""

    report: str  # the report's name
    title: str  # what stands on top
    project: str  # the project's name
    customer: str  # for whom; "*" for everything
    kind: str  # month, week or day
    period: str  # the period's label
    period_title: str  # for people
    before_title: str  # the period before, for people
    timezone: str  # of every day and time on it
    as_of: str  # when the newest of its facts was written down, ISO in UTC; "" if there are no facts
    as_of_text: str  # the same for people
    sections: tuple[Section, ...]  # one for each monitor
    models: tuple[Holder, ...] = ()  # champions; empty on a customer's page
    incidents: tuple[Trouble, ...] = ()  # empty on a customer's page
    actions: tuple[Action, ...] = ()  # empty on a customer's page
    again: str = ""  # the command that makes this very page again
    customer_name: str = ""  # what people call them; "" for the same
