"""A rule as JSON knows it, and the one place that checks it, wherever it was written."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import time
from typing import TYPE_CHECKING, Any

from trikk.alerts.rules.language import parse
from trikk.alerts.rules.rule_condition import COUNTS, Condition
from trikk.core.durations import seconds
from trikk.core.errors import UnknownName, UsageError
from trikk.core.names import check_name
from trikk.core.values import JSON

if TYPE_CHECKING:
    from trikk.monitoring.monitor_definition import MonitorSpec

SEVERITIES = ("info", "warning", "alarm")
FIGURES, FAILED, MISSING, LABELS, GATE, LONG, DRIFT, COST, SILENT, CODE = (
    "figures",
    "run failed",
    "run did not come",
    "labels overdue",
    "gate warned",
    "took longer than",
    "drift",
    "cost more than",
    "data did not come",
    "code does not load",
)
OF_MONITORS = (FIGURES, LABELS, DRIFT)
OF_PIPELINES = (FAILED, MISSING, GATE, LONG, COST)
OF_TABLES = (SILENT,)
OF_PROJECT = (CODE,)
ALL_PIPELINES = "_all"
"""The subject of a rule on what all pipelines cost together; no pipeline can be called so."""

PERIODS = ("run", "day", "month")
_SEVERITY = {GATE: "warning", LONG: "warning", LABELS: "warning", DRIFT: "info", COST: "warning"}
_TEXTS = ("monitor", "pipeline", "when", "window", "slice", "starts", "by", "table", "time")
_FOR = re.compile(r"(?P<when>.*\S)\s+for\s+(?P<windows>\d+)\s+(?:windows?|runs?|days?)\s*\Z", re.DOTALL)
_COOLDOWN, _ESCALATE, _KNOWN_FOR = "6h", "1d", "30d"
_OWN = {COST: ("costs_more_than", "per"), SILENT: ("table", "time", "within", "known_for")}


@dataclass(frozen=True, slots=True)
class Rule:
    """When something is wrong, and what follows from it.

    Attributes:
        name: unique among the rules of a monitor or of the project.
        kind: see `OF_MONITORS`, `OF_PIPELINES`, `OF_TABLES` and `OF_PROJECT`.
        monitor: whose figures; "" for any monitor, or for a rule on something else.
        pipeline: whose runs; "" for any.
        when: the condition, for figures.
        window: hour, day or week; "" for the monitor's first.
        slice: a column: each of its values is a cause of its own.
        windows: how many in a row must be bad to open, and good to resolve.
        severity: info, warning or alarm.
        starts: a pipeline to run, once for each opening; "" for none.
        parameters: of that pipeline.
        cooldown: seconds between two messages on one incident, and before the same cause opens another.
        escalate_after: seconds unresolved and not acknowledged after which it is told again; 0 for never.
        min_labelled: labelled cases below which a window is not judged.
        by: "HH:MM", for runs that must come each day.
        budget: seconds that a run may take.
        costs_more_than: the currency's units that a run, or all runs of a period, may cost.
        per: run, day or month, for costs.
        table: whose rows must go on coming.
        time: its column with the rows' times.
        within: seconds that may have passed since the newest row.
        known_for: seconds after which a value of `slice` that is not seen any more is no longer expected.
    """

    name: str
    kind: str = FIGURES
    monitor: str = ""
    pipeline: str = ""
    when: str = ""
    window: str = ""
    slice: str = ""
    windows: int = 1
    severity: str = "alarm"
    starts: str = ""
    parameters: dict[str, JSON] = field(default_factory=dict)
    cooldown: float = 6 * 3600.0
    escalate_after: float = 0.0
    min_labelled: int = 30
    by: str = ""
    budget: float = 0.0
    costs_more_than: float = 0.0
    per: str = ""
    table: str = ""
    time: str = ""
    within: float = 0.0
    known_for: float = 0.0

    @property
    def subject(self) -> str:
        """What the rule names as its subject: a monitor, a pipeline or a table; "" if it is about any."""
        if self.kind == COST and self.per != "run":
            return self.pipeline or ALL_PIPELINES
        return self.monitor or self.pipeline or self.table

    def to_json(self) -> dict[str, JSON]:
        """The rule as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Rule:
        """The rule that `to_json` wrote; what a later trikk added is left out."""
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})

    @property
    def condition(self) -> Condition:
        """The condition, parsed."""
        return parse(self.when)


def checked(given: Mapping[str, Any], *, default_minimum: int = 30) -> Rule:
    """A rule from what somebody wrote: an `Alarm`'s arguments, or a table of trikk.toml.

    Durations may be texts, `when` may end with "for 2 windows", `longer_than` is the budget.

    Raises:
        UsageError: if something in it can't work.
    """
    known = (set(Rule.__slots__) - {"budget"}) | {"longer_than"}
    unknown = sorted(set(given) - known)
    if unknown:
        raise UsageError(f"a rule has no {unknown[0]!r}", next=f"there are: {', '.join(sorted(known))}")
    data = {key: value for key, value in given.items() if value is not None}
    check_name("rule", data.get("name"))
    _check_texts(data)
    kind = _kind(data)
    if match := _FOR.fullmatch(data.get("when", "")):
        if "windows" in data:
            raise UsageError("`windows` is given twice", next='either when="... for 2 windows" or windows=2')
        data |= {"when": match["when"], "windows": int(match["windows"])}
    severity = data.get("severity", _SEVERITY.get(kind, "alarm"))
    if severity not in SEVERITIES:
        raise UsageError(f"rule {data['name']} has severity = {severity!r}", next=f"use {', '.join(SEVERITIES)}")
    rule = Rule(
        name=data["name"],
        kind=kind,
        **{key: data[key] for key in _TEXTS if key in data},
        windows=_count(data, "windows", 1),
        severity=severity,
        parameters=dict(data.get("parameters", {})),
        cooldown=seconds(data.get("cooldown", _COOLDOWN), what="cooldown"),
        escalate_after=seconds(
            data.get("escalate_after", _ESCALATE if severity == "alarm" else 0), what="escalate_after"
        ),
        min_labelled=_count(data, "min_labelled", default_minimum),
        budget=seconds(data.get("longer_than", 0), what="longer_than"),
        **_own(kind, data),
    )
    _check_kind(rule)
    return rule


def check_against(rule: Rule, spec: MonitorSpec) -> None:
    """Check a rule on figures against what the monitor has.

    Raises:
        UsageError: if the monitor does not have what the rule names.
    """
    from trikk.monitoring.estimates.estimated_figures import estimable

    if rule.window and rule.window not in spec.windows:
        raise UsageError(
            f"rule {rule.name} looks at each {rule.window}, which the monitor does not make",
            next=f"it makes: {', '.join(spec.windows)}",
        )
    if rule.slice and rule.slice not in spec.slices:
        raise UsageError(
            f"rule {rule.name} looks at each {rule.slice!r}, by which the monitor does not slice",
            next=f"it slices by: {', '.join(spec.slices) or 'nothing'}",
        )
    for name in rule.condition.names() if rule.kind == FIGURES else ():
        if name.kind != "count" and name.name not in spec.metrics:
            _check_fits(rule, name.name, spec)
            raise UsageError(
                f"rule {rule.name} names {name.name!r}, which the monitor does not measure",
                next=f"there are: {', '.join((*spec.metrics, *COUNTS, 'baseline', 'usual', 'estimated'))}",
            )
        if name.kind == "baseline" and not spec.baseline:
            raise UsageError(
                f"rule {rule.name} names the baseline, and the monitor has none",
                next="give the monitor baseline=, or compare with `usual`",
            )
        if name.kind == "estimated" and name.name not in estimable(spec):
            raise UsageError(
                f"rule {rule.name} names the estimate of {name.name}, which the monitor does not make",
                next='give the monitor expected_error= (for mae), calibrate="84d" or calibrated=True',
            )


def _check_fits(rule: Rule, metric: str, spec: MonitorSpec) -> None:
    """Refuse a metric that would not fit the monitor's task; UsageError that names those that do."""
    from trikk.models.metrics.by_name import metric_of, misfit
    from trikk.models.metrics.own_metric import is_place

    if is_place(metric):
        return
    with suppress(UnknownName):
        wrong, _, instead = misfit(metric_of(metric), spec.task).partition("; ")
        if wrong:
            raise UsageError(f"rule {rule.name}: {wrong}", next=f"{instead}: Monitor(metrics=[...])")


def _kind(data: Mapping[str, Any]) -> str:
    kind = str(data.get("kind", FIGURES if "when" in data else ""))
    if kind not in (*OF_MONITORS, *OF_PIPELINES, *OF_TABLES, *OF_PROJECT):
        known = ", ".join((*OF_PIPELINES, *OF_TABLES, *OF_PROJECT, LABELS, DRIFT))
        raise UsageError(
            f"rule {data['name']} is of no kind that is known: {kind!r}",
            next=f'give it when="mae > 1.3 * baseline", or a kind: {known}',
        )
    return kind


def _own(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The options that only one kind of rule takes."""
    for owner, keys in _OWN.items():
        stray = next((key for key in keys if key in data and kind != owner), "")
        if stray:
            raise UsageError(
                f"rule {data['name']} ({kind}) takes no `{stray}`", next=f'it belongs to kind = "{owner}"'
            )
    if kind == COST:
        return {"costs_more_than": _amount(data), "per": data.get("per", "run")}
    if kind == SILENT:
        known_for = data.get("known_for", _KNOWN_FOR if data.get("slice") else 0)
        return {
            "within": seconds(data.get("within", 0), what="within"),
            "known_for": seconds(known_for, what="known_for"),
        }
    return {}


def _check_kind(rule: Rule) -> None:
    groups = {"monitor": OF_MONITORS, "pipeline": OF_PIPELINES, "table": OF_TABLES}
    own = next((group for group, kinds in groups.items() if rule.kind in kinds), "")
    for other in groups:
        if other != own and getattr(rule, other):
            what, mend = (f"a {own}", f"name a {own}") if own else ("the project", f"leave out {other}")
            raise UsageError(f"rule {rule.name} ({rule.kind}) is about {what}, not a {other}", next=mend)
    if rule.kind == FIGURES:
        if not rule.when:
            raise _needs(rule, "a condition", 'when = "mae > 1.3 * baseline"')
        parse(rule.when)
    elif rule.when:
        raise UsageError(f"rule {rule.name} ({rule.kind}) takes no `when`", next="leave out kind, or when")
    if rule.kind in _CHECKS:
        _CHECKS[rule.kind](rule)


def _needs(rule: Rule, what: str, mend: str) -> UsageError:
    return UsageError(f"rule {rule.name} ({rule.kind}) needs {what}", next=mend)


def _check_missing(rule: Rule) -> None:
    if not rule.pipeline or not rule.by:
        what = "a pipeline and the time of day by which it comes"
        raise _needs(rule, what, 'pipeline = "nightly", by = "04:30"')
    try:
        time.fromisoformat(rule.by)
    except ValueError as error:
        raise UsageError(f"by = {rule.by!r} is no time of day", next='write "04:30"') from error


def _check_long(rule: Rule) -> None:
    if not rule.budget:
        raise _needs(rule, "a budget", 'longer_than = "20m"')


def _check_cost(rule: Rule) -> None:
    if not rule.costs_more_than:
        raise _needs(rule, "a budget", "costs_more_than = 2.5")
    if rule.per not in PERIODS:
        raise UsageError(f"per = {rule.per!r}", next=f"use {', '.join(PERIODS)}")


def _check_silent(rule: Rule) -> None:
    if not (rule.table and rule.time and rule.within):
        what = "a table, its column with times, and how old the newest row may be"
        raise _needs(rule, what, 'table = "readings", time = "at", within = "2h"')
    check_name("table", rule.table)
    if rule.windows > 1:
        raise UsageError(f"rule {rule.name} ({rule.kind}) takes no `windows`", next="give it more time: within")
    if rule.known_for and not rule.slice:
        raise UsageError(
            f"rule {rule.name} ({rule.kind}) takes `known_for` with `slice` only",
            next='slice = "device", or leave out known_for',
        )
    if rule.slice and rule.known_for <= rule.within:
        raise UsageError(
            f"rule {rule.name} ({rule.kind}) forgets a {rule.slice} before it is silent for too long",
            next="make known_for longer than within",
        )


_CHECKS: dict[str, Callable[[Rule], None]] = {
    MISSING: _check_missing,
    LONG: _check_long,
    COST: _check_cost,
    SILENT: _check_silent,
}


def _check_texts(data: Mapping[str, Any]) -> None:
    for key in ("kind", "severity", "per", *_TEXTS):
        if not isinstance(data.get(key, ""), str):
            raise UsageError(f"{key} = {data[key]!r} is no text", next=f'write {key} = "..."')
    if not isinstance(data.get("parameters", {}), Mapping):
        raise UsageError("parameters must be names and values", next="parameters = { weeks = 4 }")


def _amount(data: Mapping[str, Any]) -> float:
    value = data.get("costs_more_than", 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise UsageError(f"costs_more_than = {value!r} is no amount", next="use a number: costs_more_than = 2.5")
    return float(value)


def _count(data: Mapping[str, Any], key: str, default: int) -> int:
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"rule {data['name']} has {key} = {value!r}", next="use a whole number of at least 1")
    return value
