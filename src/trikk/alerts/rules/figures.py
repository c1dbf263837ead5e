"""Readings of monitors: their windows' figures judged by a rule's condition, and labels that are overdue."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from trikk.alerts.rules.reading import Point, Reading
from trikk.alerts.rules.rule import Rule
from trikk.alerts.rules.rule_condition import NOWCASTS, UNLABELLED, Compared, Name
from trikk.core.values import JSON
from trikk.monitoring.cases.windows import window_at, zone_of
from trikk.monitoring.estimates.trust import trusts
from trikk.monitoring.figures.records import Records, WindowRecord
from trikk.monitoring.figures.window_figures import Figures
from trikk.monitoring.monitor_definition import MonitorSpec

USUAL_WINDOWS, USUAL_LEAST = 28, 7
_BACK = 84  # windows that are looked at for what is usual
_AHEAD = timedelta(days=2)  # up to which windows are estimated that have yet to come
_FARTHEST = 2000


def of_figures(records: Records, spec: MonitorSpec, rule: Rule, now: datetime) -> list[Reading]:
    """A reading of all cases, or one for each value of the rule's slice.

    Windows that have too few labels to be judged are left out, as if they were not there. A condition on estimates
    needs none: it sees windows that were predicted, even before they begin.
    """
    kind = rule.window or spec.windows[0]
    back = _BACK if any(name.kind == "usual" for name in rule.condition.names()) else _least(rule)
    windows = recent(records, spec, kind, now, back, lambda w: _is_judged(spec, rule, w, w.whole))
    newest: list[WindowRecord] = []
    if _is_foretelling(rule):
        newest = recent(records, spec, kind, now, 1, lambda w: w.whole.predicted > 0, _AHEAD)
        ahead = recent(records, spec, kind, now, _least(rule), lambda w: _is_foretold(rule, w.whole), _AHEAD)
        windows = sorted({w.label: w for w in (*windows, *ahead)}.values(), key=lambda w: w.start)
    if not rule.slice:
        return [_reading(spec, rule, windows, newest, None)]
    values = dict.fromkeys(f.value for w in (*windows, *newest) for f in w.figures if f.slice == rule.slice)
    return [_reading(spec, rule, windows, newest, (rule.slice, value)) for value in values]


def of_labels(records: Records, spec: MonitorSpec, rule: Rule, now: datetime) -> list[Reading]:
    """A reading of windows whose time is over: good if their labels came, bad if too few did."""
    kind = rule.window or spec.windows[0]
    points = []
    over = recent(
        records, spec, kind, now, _least(rule), lambda w: w.state in ("final", "overdue") and w.whole.predicted > 0
    )
    for window in over:
        whole = window.whole
        due = window.end + spec.label_delay
        share = whole.coverage or 0.0
        bad = window.state == "overdue"
        text = f"{whole.labelled:,} of {whole.predicted:,} labels came ({share:.0%})"
        points.append(
            Point(
                mark=window.label,
                start=due.timestamp(),
                at=window.end.timestamp(),
                bad=bad,
                text=f"{kind} {window.label}: {text}",
                badness=1 - share if bad else 0.0,
                facts={"window": window.label, "labels": text, "needed": f"{spec.least:.0%}"},
            )
        )
    return [Reading(rule, spec.name, f"{spec.name}: labels are overdue", tuple(points))]


def recent(
    records: Records,
    spec: MonitorSpec,
    kind: str,
    now: datetime,
    most: int,
    wanted: Callable[[WindowRecord], bool],
    ahead: timedelta = timedelta(),
) -> list[WindowRecord]:
    """The last windows that are over by `now` and wanted, at most so many, oldest first.

    With `ahead`, those too that begin no later than so long after now.

    They are looked up by name, backwards, so that it costs the same however long the history is; a gap of 84
    windows that were never evaluated ends it.
    """
    zone = zone_of(spec.timezone)
    found: list[WindowRecord] = []
    window = window_at(kind, now + ahead, zone)
    gap = looked = 0
    while len(found) < most and gap < _BACK and looked < _FARTHEST:
        record = records.window(kind, window.label)
        gap, looked = (gap + 1 if record is None else 0), looked + 1
        if record is not None and (ahead or record.end <= now) and wanted(record):
            found.append(record)
        window = window_at(kind, window.start - timedelta(seconds=1), zone)
    return found[::-1]


def _least(rule: Rule) -> int:
    """How many windows to look at, so that neither side of a change is missed."""
    return max(14, 2 * rule.windows + 1)


def _reading(
    spec: MonitorSpec,
    rule: Rule,
    windows: Sequence[WindowRecord],
    newest: Sequence[WindowRecord],
    part: tuple[str, str] | None,
) -> Reading:
    points = []
    condition = rule.condition
    foretells = _is_foretelling(rule)
    facts: dict[str, JSON] = {}
    if foretells:
        facts = {f"the estimate of {t.metric}": f"{t.state}: {t.reason}" for t in trusts(spec, windows)}
    good: deque[Figures] = deque(maxlen=USUAL_WINDOWS)
    zero = nearest_zero(spec)
    for window in windows:
        figures = window.whole if part is None else window.of(*part)
        if figures is None:
            continue
        measured = _is_judged(spec, rule, window, figures)
        if not measured and not (foretells and _is_foretold(rule, figures)):
            continue
        holds, compared = condition.judge(functools.partial(value_of, figures=figures, good=good, zero=zero))
        if holds is not None:
            points.append(_point(spec, window, figures, compared, facts, bad=holds))
        if measured and not holds:
            good.append(figures)
    where = "" if part is None else f" at {part[0]} {_named(part[1], spec.called.value(*part))}"
    judged = {point.mark for point in points}
    left = [window for window in newest or windows[-1:] if window.label not in judged]
    unknown = "; ".join(filter(None, (_unknown(spec, rule, window, part) for window in left)))
    return Reading(rule, spec.name, f"{spec.name}{where}: {rule.when}", tuple(points), part, unknown)


def _unknown(spec: MonitorSpec, rule: Rule, window: WindowRecord, part: tuple[str, str] | None) -> str:
    """Why a window that could be judged is not: of figures that are not known; "" if there are too few cases."""
    figures = window.whole if part is None else window.of(*part)
    if figures is None or not (_is_foretelling(rule) or _is_judged(spec, rule, window, figures)):
        return ""
    if figures.predicted < rule.min_labelled:
        return ""
    said = []
    for name in dict.fromkeys(rule.condition.names()):
        if name.kind in _REASONS and value_of(name, figures) is None:
            shown_as, key = (form.format(name.name) for form in _REASONS[name.kind])
            reason = figures.reasons.get(key)
            said.append(f"{shown_as} is not known" + (f": {reason}" if reason else ""))
    return f"{window.kind} {window.label}: {', '.join(said)}" if said else ""


_REASONS = {
    "metric": ("{}", "{}"),
    "baseline": ("baseline({})", "baseline:{}"),
    "estimated": ("estimated({})", "estimated({})"),
}
"""By kind of name, what a figure is called, and where its reason is."""


def _is_judged(spec: MonitorSpec, rule: Rule, window: WindowRecord, figures: Figures) -> bool:
    """Whether enough is known; a rule on counts alone needs no labels but that their time is over.

    One on categories that are new needs nothing but predictions; a class that is new is so whatever labels come.
    """
    if all(name.name in UNLABELLED for name in rule.condition.names()):
        late = figures.nowcasts.get("too_late", 0) + figures.nowcasts.get("too_early", 0)
        aside = figures.sums.get("set_aside", [0])[0]
        return figures.predicted + late + aside >= max(1, rule.min_labelled)
    if all(name.kind == "count" and name.name != "interval_coverage" for name in rule.condition.names()):
        is_new = any(name.name == "unseen_class" for name in rule.condition.names()) and figures.unseen_class
        return bool(is_new) or window.state in ("final", "overdue")
    enough = window.state == "final" or (figures.coverage or 0.0) >= spec.least
    return enough and figures.labelled >= rule.min_labelled


def _is_foretelling(rule: Rule) -> bool:
    """Whether a condition can be judged before labels: it names an estimate, and no figure that is measured."""
    kinds = {name.kind for name in rule.condition.names()}
    return "estimated" in kinds and not kinds & {"metric", "baseline"}


def _is_foretold(rule: Rule, figures: Figures) -> bool:
    """Whether there are predictions enough to say what their error is likely to be."""
    return figures.predicted >= rule.min_labelled and any(v is not None for v in figures.estimated.values())


def nearest_zero(spec: MonitorSpec) -> frozenset[str]:
    """The metrics of a monitor that are the better the nearer they are to zero."""
    return frozenset(name for name in spec.metrics if spec.better(name) == "zero")


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
    if name.kind == "count":
        found = _count(name.name, figures)
        return None if found is None else float(found)
    if name.kind == "baseline":
        return figures.baseline.get(name.name)
    if name.kind == "estimated":
        return (figures.estimated_labelled if name.paired else figures.estimated).get(name.name)
    if name.kind == "usual":
        known = [f.metrics.get(name.name) for f in good]
        values = [value for value in known if value is not None]
        return median(values) if len(values) >= USUAL_LEAST else None
    return (figures.own if name.paired else figures.metrics).get(name.name)


def _count(name: str, figures: Figures) -> float | None:
    if name in NOWCASTS:
        return figures.nowcasts.get(name)
    found: float | None = (
        figures.metrics.get("coverage") if name == "interval_coverage" else getattr(figures, name)
    )
    return found


def _sizes(figures: Figures, metric: str) -> Figures:
    """Figures with the size of a metric in the place of its value."""
    found: dict[str, Any] = {}
    for where in ("metrics", "own", "baseline", "estimated", "estimated_labelled"):
        values = getattr(figures, where)
        value = values.get(metric)
        found[where] = values if value is None else {**values, metric: abs(value)}
    return replace(figures, **found)


def _point(
    spec: MonitorSpec,
    window: WindowRecord,
    figures: Figures,
    compared: list[Compared],
    more: dict[str, JSON],
    *,
    bad: bool,
) -> Point:
    told = [one for one in compared if one.holds is bad] or compared
    titles = spec.called
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
        text=f"{window.kind} {window.label}: " + ", ".join(_said(one, bad=bad) for one in told),
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
