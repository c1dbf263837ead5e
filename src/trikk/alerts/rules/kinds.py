"""All kinds of rules: a rule from what somebody wrote, and from its JSON.

An author's `Alarm` imports this in every process that loads the project, so that a kind's class is imported when
there is a rule of it, and what rules only need to make readings by the functions that make them.
"""

from __future__ import annotations

import functools
import importlib
import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trikk.alerts.rules.rule import KEYS, Kind, Rule, Severity
from trikk.core.durations import seconds
from trikk.core.errors import UsageError
from trikk.core.names import check_name

if TYPE_CHECKING:
    from trikk.alerts.rules.costs import Per

_CLASSES = {
    Kind.FIGURES: "figures.FigureRule",
    Kind.FAILED: "runs.FailureRule",
    Kind.MISSING: "runs.AbsenceRule",
    Kind.GATE: "runs.GateRule",
    Kind.LONG: "runs.LengthRule",
    Kind.COST: "costs.CostRule",
    Kind.SILENT: "silence.SilenceRule",
    Kind.CODE: "code.CodeRule",
    Kind.LABELS: "labels.LabelRule",
    Kind.DRIFT: "drift.DriftRule",
    Kind.TICK: "serving.trigger_rules.TickRule",
    Kind.USUAL: "serving.trigger_rules.UsualRule",
    Kind.ASKS: "runs.AskRule",
    Kind.WAITS: "serving.trigger_rules.WaitRule",
    Kind.AWAY: "serving.server_rules.AwayRule",
    Kind.SET_ASIDE: "serving.server_rules.SetAsideRule",
    Kind.LATE: "serving.stream_rules.LateRule",
    Kind.UNPUBLISHED: "serving.stream_rules.PublishedRule",
    Kind.TROUBLE: "serving.server_rules.TroubleRule",
}
_KEYS_OF = {
    **dict.fromkeys(("costs_more_than", "per"), (Kind.COST,)),
    **dict.fromkeys(("table", "time", "known_for"), (Kind.SILENT,)),
    "within": (Kind.SILENT, Kind.UNPUBLISHED),
    "stream": (Kind.UNPUBLISHED,),
}
"""What no other kind may be given."""
_FOR = re.compile(r"(?P<when>.*\S)\s+for\s+(?P<windows>\d+)\s+(?:windows?|runs?|days?)\s*\Z", re.DOTALL)


def read_rule(data: Mapping[str, Any]) -> Rule:
    """The rule that `to_json` wrote; of a kind that only a newer trikk knows, what all kinds have in common."""
    kind = data["kind"]
    return class_of(Kind(kind)).read(data) if kind in _CLASSES else Rule.read(data)


@functools.cache
def class_of(kind: Kind) -> type[Rule]:
    """The class of a kind's rules."""
    module, _, name = _CLASSES[kind].rpartition(".")
    cls: type[Rule] = getattr(importlib.import_module(f"trikk.alerts.rules.{module}"), name)
    return cls


def checked(given: Mapping[str, Any], *, default_minimum: int = 30) -> Rule:
    """A rule from what somebody wrote: an `Alarm`'s arguments, or a table of trikk.toml.

    Durations may be texts, `when` may end with "for 2 windows", `longer_than` is the budget.

    Raises:
        UsageError: if something in it can't work.
    """
    # First, so that a misspelt key is not taken for a missing one.
    unknown = sorted(set(given) - KEYS)
    if unknown:
        raise UsageError(f"a rule has no {unknown[0]!r}", next=f"there are: {', '.join(sorted(KEYS))}")
    data = {key: value for key, value in given.items() if value is not None}
    check_name("rule", data.get("name"))
    data = _without_for(data)  # before anything is read, since it brings `windows`
    written = {key: _value(data, key) for key in data}
    cls = class_of(_kind(written))
    _check_keys(cls, written)
    values = {"min_labelled": default_minimum, **written}
    if "longer_than" in written:
        values["budget"] = written["longer_than"]
    rule = cls.read(values).with_defaults(written)
    rule.check()
    return rule


def _kind(written: Mapping[str, Any]) -> Kind:
    kind = written.get("kind", Kind.FIGURES if "when" in written else "")
    if kind in _CLASSES:
        return Kind(kind)
    by_name = ", ".join(kind for kind in _CLASSES if kind != Kind.FIGURES)
    raise UsageError(
        f"rule {written['name']} is of no kind that is known: {kind!r}",
        next=f'give it when="mae > 1.3 * baseline", or a kind: {by_name}',
    )


def _without_for(data: Mapping[str, Any]) -> dict[str, Any]:
    """With "... for 2 windows" of the condition as an option of its own."""
    match = _FOR.fullmatch(str(data.get("when", "")))
    if match is None:
        return dict(data)
    if "windows" in data:
        raise UsageError("`windows` is given twice", next='either when="... for 2 windows" or windows=2')
    return {**data, "when": match["when"], "windows": int(match["windows"])}


def _check_keys(cls: type[Rule], data: Mapping[str, Any]) -> None:
    for key, owners in _KEYS_OF.items():
        if key in data and cls.kind not in owners:
            raise UsageError(
                f"rule {data['name']} ({cls.kind}) takes no `{key}`", next=f'it belongs to kind = "{owners[0]}"'
            )
    cls.check_keys(data)


def _value(data: Mapping[str, Any], key: str) -> Any:
    reader = _READ.get(key)
    return _text(data, key) if reader is None else reader(data, key)


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data[key]
    if not isinstance(value, str):
        raise UsageError(f"{key} = {value!r} is not a text", next=f'write {key} = "..."')
    return value


def _count(data: Mapping[str, Any], key: str) -> int:
    value = data[key]
    # `windows = true` is 1 to Python.
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"rule {data['name']} has {key} = {value!r}", next="use a whole number of at least 1")
    return value


def _duration(data: Mapping[str, Any], key: str) -> float:
    return seconds(data[key], what=key)


def _amount(data: Mapping[str, Any], key: str) -> float:
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise UsageError(f"{key} = {value!r} is not an amount", next=f"use a number: {key} = 2.5")
    return float(value)


def _parameters(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = data[key]
    if not isinstance(value, Mapping):
        raise UsageError(f"{key} must be names and values", next=f"{key} = {{ weeks = 4 }}")
    return dict(value)


def _severity(data: Mapping[str, Any], key: str) -> Severity:
    text = _text(data, key)
    if text not in list(Severity):
        raise UsageError(f"rule {data['name']} has {key} = {text!r}", next=f"use {', '.join(reversed(Severity))}")
    return Severity(text)


def _per(data: Mapping[str, Any], key: str) -> Per:
    from trikk.alerts.rules.costs import Per

    text = _text(data, key)
    if text not in list(Per):
        raise UsageError(f"{key} = {text!r}", next=f"use {', '.join(Per)}")
    return Per(text)


_READ: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
    **dict.fromkeys(("windows", "min_labelled"), _count),
    **dict.fromkeys(("cooldown", "escalate_after", "longer_than", "within", "known_for"), _duration),
    "costs_more_than": _amount,
    "parameters": _parameters,
    "severity": _severity,
    "per": _per,
}
"""How what somebody wrote is read, by key; other keys are texts."""
