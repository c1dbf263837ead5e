"""Figures of a monitor's windows, judged by a condition."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from trikk.alerts.rules.language import parse
from trikk.alerts.rules.monitor_rule import BACK, MonitorRule, recent
from trikk.alerts.rules.rule import Kind, Point, Reading
from trikk.alerts.rules.rule_condition import COUNTS, NOWCASTS, UNLABELLED, Compared, Condition, Name, Source
from trikk.core.errors import UnknownName, UsageError
from trikk.core.values import JSON
from trikk.models.metrics.own_metric import Better
from trikk.monitoring.cases.windows import WindowState
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    from trikk.monitoring.figures.records import Records, WindowRecord
    from trikk.monitoring.figures.window_figures import Figures

USUAL_WINDOWS, USUAL_LEAST = 28, 7
_AHEAD = timedelta(days=2)  # up to which windows are estimated that have yet to come
_REASONS = {
    Source.METRIC: ("{}", "{}"),
    Source.BASELINE: ("baseline({})", "baseline:{}"),
    Source.ESTIMATED: ("estimated({})", "estimated({})"),
}
"""By kind of name, what a figure is called, and where its reason is."""


@dataclass(frozen=True, slots=True)
class Judgeable:
    """A window of which enough is known to judge it."""

    window: WindowRecord
    figures: Figures  # its figures, of all cases or of one value of a slice
    is_measured: bool  # whether enough labels came; else they are judged by what is estimated


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to judge of one cause; it depends on which figures a condition names, not on its numbers."""

    part: tuple[str, str] | None  # the slice, as (column, value); None for all cases
    windows: Sequence[WindowRecord]  # the last windows in which all cases can be judged, oldest first
    judgeable: tuple[Judgeable, ...]  # those of them in which the part can be, oldest first
    newest: Sequence[WindowRecord]  # the window that should be judged last, if there is any


class FigureRule(MonitorRule, frozen=True, kw_only=True):
    """Bad is a window for which the condition holds."""

    kind: ClassVar[Kind] = Kind.FIGURES
    needs_subject: ClassVar[bool] = True

    when: str = ""

    @property
    def condition(self) -> Condition:
        """The condition, parsed."""
        return parse(self.when)

    @property
    def figures(self) -> frozenset[str]:
        """The names of the figures that it judges."""
        return frozenset(name.name for name in self.condition.names())

    @property
    def is_foretelling(self) -> bool:
        """Whether it can be judged before labels: it names an estimate, and no figure that is measured."""
        kinds = {name.kind for name in self.condition.names()}
        return Source.ESTIMATED in kinds and not kinds & {Source.METRIC, Source.BASELINE}

    @property
    def names_usual(self) -> bool:
        """Whether it compares with what was usual."""
        return any(name.kind == Source.USUAL for name in self.condition.names())

    def check(self) -> None:
        """Check the condition; UsageError if it is not one."""
        if not self.when:
            self.refuse("needs a condition", 'when = "mae > 1.3 * baseline"')
        parse(self.when)

    def check_against(self, spec: MonitorSpec) -> None:
        """Check the rule against what the monitor has; UsageError if it lacks something."""
        from trikk.monitoring.estimates.estimated_figures import estimable

        super().check_against(spec)
        for name in self.condition.names():
            if name.kind != Source.COUNT and name.name not in spec.metrics:
                # first, since a metric that can't fit the task is not mended by adding it
                self._check_fits(name.name, spec)
                raise UsageError(
                    f"rule {self.name} names {name.name!r}, which the monitor does not measure",
                    next=f"there are: {', '.join((*spec.metrics, *COUNTS, 'baseline', 'usual', 'estimated'))}",
                )
            if name.kind == Source.BASELINE and not spec.baseline:
                raise UsageError(
                    f"rule {self.name} names the baseline, and the monitor has none",
                    next="give the monitor baseline=, or compare with `usual`",
                )
            if name.kind == Source.ESTIMATED and name.name not in estimable(spec):
                raise UsageError(
                    f"rule {self.name} names the estimate of {name.name}, which the monitor does not make",
                    next='give the monitor expected_error= (for mae), calibrate="84d" or calibrated=True',
                )

    def _check_fits(self, metric: str, spec: MonitorSpec) -> None:
        """Refuse a metric that would not fit the monitor's task; UsageError that names those that do."""
        from trikk.models.metrics.by_name import metric_of, misfit
        from trikk.models.metrics.own_metric import is_place

        if is_place(metric):
            return
        with suppress(UnknownName):
            problem, _, instead = misfit(metric_of(metric), spec.task).partition("; ")
            if problem:
                raise UsageError(f"rule {self.name}: {problem}", next=f"{instead}: Monitor(metrics=[...])")

    def judge(self, records: Records, spec: MonitorSpec, now: datetime) -> list[Reading]:
        """A reading of all cases, or one for each value of the rule's slice."""
        return [self._reading(spec, look) for look in self.looks(records, spec, now)]

    def looks(self, records: Records, spec: MonitorSpec, now: datetime) -> list[Look]:
        """What there is to judge of all cases, or of each value of the rule's slice.

        Windows that have too few labels to be judged are left out, as if they were not there. A condition on
        estimates needs none: it sees windows that were predicted, even before they begin.
        """
        kind = self.kind_of_window(spec)
        back = BACK if self.names_usual else self.least
        windows = recent(records, spec, kind, now, back, lambda w: self._is_judged(spec, w, w.whole))
        newest: list[WindowRecord] = []
        if self.is_foretelling:
            newest = recent(records, spec, kind, now, 1, lambda w: w.whole.predicted > 0, _AHEAD)
            ahead = recent(records, spec, kind, now, self.least, lambda w: self._is_foretold(w.whole), _AHEAD)
            windows = sorted({w.label: w for w in (*windows, *ahead)}.values(), key=lambda w: w.start)
        if not self.slice:
            return [self._look(spec, windows, newest, None)]
        values = dict.fromkeys(f.value for w in (*windows, *newest) for f in w.figures if f.slice == self.slice)
        return [self._look(spec, windows, newest, (self.slice, value)) for value in values]

    def _look(
        self,
        spec: MonitorSpec,
        windows: Sequence[WindowRecord],
        newest: Sequence[WindowRecord],
        part: tuple[str, str] | None,
    ) -> Look:
        judgeable = []
        for window in windows:
            figures = _of_part(window, part)
            if figures is None:
                continue
            is_measured = self._is_judged(spec, window, figures)
            if is_measured or (self.is_foretelling and self._is_foretold(figures)):
                judgeable.append(Judgeable(window, figures, is_measured))
        return Look(part, windows, tuple(judgeable), newest or windows[-1:])

    def verdicts(
        self, spec: MonitorSpec, judgeable: Iterable[Judgeable]
    ) -> Iterator[tuple[Judgeable, bool | None, list[Compared]]]:
        """Judge windows by the condition: whether it holds (None: not known), and what each comparison came to."""
        condition, zero = self.condition, nearest_zero(spec)
        good: deque[Figures] = deque(maxlen=USUAL_WINDOWS)
        for one in judgeable:
            values = functools.partial(value_of, figures=one.figures, good=good, zero=zero)
            holds, compared = condition.judge(values)
            yield one, holds, compared
            # what is usual must not learn from what it calls bad, nor from estimates: it would follow them
            if one.is_measured and not holds:
                good.append(one.figures)

    def _reading(self, spec: MonitorSpec, look: Look) -> Reading:
        part = look.part
        facts: dict[str, JSON] = {}
        if self.is_foretelling:
            from trikk.monitoring.estimates.trust import trusts

            facts = {f"the estimate of {t.metric}": f"{t.state}: {t.reason}" for t in trusts(spec, look.windows)}
        points = tuple(
            _point(spec, one.window, one.figures, compared, facts, bad=holds)
            for one, holds, compared in self.verdicts(spec, look.judgeable)
            if holds is not None
        )
        where = "" if part is None else f" at {part[0]} {_named(part[1], spec.titles.value(*part))}"
        judged = {point.mark for point in points}
        left = [window for window in look.newest if window.label not in judged]
        unknown = "; ".join(filter(None, (self._unknown(spec, window, part) for window in left)))
        return Reading(self, spec.name, f"{spec.name}{where}: {self.when}", points, part, unknown)

    def _unknown(self, spec: MonitorSpec, window: WindowRecord, part: tuple[str, str] | None) -> str:
        """Why a window is not judged: of figures that are not known; "" if there are too few cases."""
        figures = _of_part(window, part)
        if figures is None or not (self.is_foretelling or self._is_judged(spec, window, figures)):
            return ""
        if figures.predicted < self.min_labelled:
            return ""
        notes = []
        for name in dict.fromkeys(self.condition.names()):
            if name.kind in _REASONS and value_of(name, figures) is None:
                shown_as, key = (form.format(name.name) for form in _REASONS[name.kind])
                reason = figures.reasons.get(key)
                notes.append(f"{shown_as} is not known" + (f": {reason}" if reason else ""))
        return f"{window.kind} {window.label}: {', '.join(notes)}" if notes else ""

    def _is_judged(self, spec: MonitorSpec, window: WindowRecord, figures: Figures) -> bool:
        """Whether enough is known; a rule on counts alone needs no labels but that their time is over.

        One on categories that are new needs nothing but predictions; a class that is new is so whatever labels
        come.
        """
        if all(name.name in UNLABELLED for name in self.condition.names()):
            late = figures.nowcasts.get("too_late", 0) + figures.nowcasts.get("too_early", 0)
            aside = figures.sums.get("set_aside", [0])[0]
            return figures.predicted + late + aside >= max(1, self.min_labelled)
        if all(name.kind == Source.COUNT and name.name != "interval_coverage" for name in self.condition.names()):
            is_new = "unseen_class" in self.figures and figures.unseen_class
            return bool(is_new) or window.state.is_over
        enough = window.state is WindowState.FINAL or (figures.coverage or 0.0) >= spec.least
        return enough and figures.labelled >= self.min_labelled

    def _is_foretold(self, figures: Figures) -> bool:
        """Whether there are predictions enough to say what their error is likely to be."""
        return figures.predicted >= self.min_labelled and any(v is not None for v in figures.estimated.values())


def _of_part(window: WindowRecord, part: tuple[str, str] | None) -> Figures | None:
    """A window's figures: of all cases, or of one value of a slice; None if it has none of that."""
    return window.whole if part is None else window.of(*part)


def nearest_zero(spec: MonitorSpec) -> frozenset[str]:
    """The metrics of a monitor that are the better the nearer they are to zero."""
    return frozenset(name for name in spec.metrics if spec.better(name) == Better.ZERO)


def value_of(
    name: Name, figures: Figures, good: Sequence[Figures] = (), zero: Container[str] = ()
) -> float | None:
    """The value of a name in a window's figures; None if it is not known.

    Args:
        name: the name.
        figures: the window's.
        good: figures of earlier windows that were not bad, from which `usual` is made.
        zero: metrics whose sizes are compared with the baseline's, and with what is usual.
    """
    if name.beside and name.name in zero:
        sizes = [_sizes(one, name.name) for one in (figures, *good)]
        return value_of(replace(name, beside=False), sizes[0], sizes[1:])
    if name.kind == Source.COUNT:
        count = _count(name.name, figures)
        return None if count is None else float(count)
    if name.kind == Source.BASELINE:
        return figures.baseline.get(name.name)
    if name.kind == Source.ESTIMATED:
        return (figures.estimated_labelled if name.paired else figures.estimated).get(name.name)
    if name.kind == Source.USUAL:
        # Late, since it takes longer to import than all rules, and who declares one needs no median.
        from statistics import median

        known = [f.metrics.get(name.name) for f in good]
        values = [value for value in known if value is not None]
        return median(values) if len(values) >= USUAL_LEAST else None
    return (figures.own if name.paired else figures.metrics).get(name.name)


def _count(name: str, figures: Figures) -> float | None:
    if name in NOWCASTS:
        return figures.nowcasts.get(name)
    value: float | None = (
        figures.metrics.get("coverage") if name == "interval_coverage" else getattr(figures, name)
    )
    return value


def _sizes(figures: Figures, metric: str) -> Figures:
    """Figures with the size of a metric in the place of its value."""
    sizes: dict[str, Any] = {}
    for group in ("metrics", "own", "baseline", "estimated", "estimated_labelled"):
        values = getattr(figures, group)
        value = values.get(metric)
        sizes[group] = values if value is None else {**values, metric: abs(value)}
    return replace(figures, **sizes)


def _point(
    spec: MonitorSpec,
    window: WindowRecord,
    figures: Figures,
    compared: list[Compared],
    more: dict[str, JSON],
    *,
    bad: bool,
) -> Point:
    decisive = [one for one in compared if one.holds is bad] or compared
    titles = spec.titles
    facts: dict[str, JSON] = {"title": titles.monitor()} if titles.monitor() else {}
    facts |= {"window": window.label, "state": window.state}
    facts |= {"labelled": f"{figures.labelled:,} of {figures.predicted:,}"}
    if figures.unseen_classes:
        facts |= {"unseen classes": ", ".join(f"{name} {n:,}" for name, n in figures.unseen_classes.items())}
    facts |= {n: _named(_fact(figures, n, value), titles.metric(n)) for n, value in figures.metrics.items()}
    facts |= {f"{n} of the baseline": _fact(figures, f"baseline:{n}", v) for n, v in figures.baseline.items()}
    facts |= {
        f"{n} as estimated": _fact(figures, f"estimated({n})", v) for n, v in figures.estimated.items()
    } | more
    return Point(
        mark=window.label,
        start=window.start.timestamp() if window.end.timestamp() <= window.at else window.at,
        at=window.end.timestamp(),
        bad=bad,
        text=f"{window.kind} {window.label}: " + ", ".join(_said(one, bad=bad) for one in decisive),
        badness=max((one.excess for one in compared), default=0.0) if bad else 0.0,
        facts=facts,
    )


def _fact(figures: Figures, name: str, value: float | None) -> str:
    """A figure for people; where there is none, with the reason."""
    why = figures.reasons.get(name, "") if value is None else ""
    return f"{shown(value)} ({why})" if why else shown(value)


def _named(text: str, title: str) -> str:
    return f"{text} ({title})" if title else text


def _said(one: Compared, *, bad: bool) -> str:
    """A comparison with what it came to: "wape > 0.3 (it is 0.611)", "mae > 1.5 * usual (148 against 88.8)"."""
    limit = shown(one.limit)
    is_plain = one.text.rstrip().endswith(limit)
    numbers = f"it is {shown(one.value)}" if is_plain else f"{shown(one.value)} against {limit}"
    return f"{'' if bad else 'not '}{one.text} ({numbers})"


def shown(value: float | None) -> str:
    """A figure for people."""
    return "-" if value is None else f"{value:.4g}"
