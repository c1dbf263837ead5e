"""From numbers to a decision: pure functions, which see what was counted and never the rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trikk.core.durations import show_seconds
from trikk.core.errors import TrikkError
from trikk.core.text import printable
from trikk.quality.check import Check

_VALUES = re.compile(r"(?:; valid columns)?: \[.*")  # what polars could not convert
PROBLEM = 300  # characters of an error that are shown


@dataclass(frozen=True, slots=True)
class Seen:
    """What was counted for one check.

    Attributes:
        rows: the rows that were looked at.
        failing: how many of them fail; None for a check of the whole frame.
        facts: what was measured, by the kind of check.
        problem: why the check could not run; None if it ran.
    """

    rows: int = 0
    failing: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


def judge(check: Check, seen: Seen, *, allow_empty: bool = False) -> dict[str, Any]:
    """A check's result, without its sample of rows.

    Args:
        check: with its settings known.
        seen: what was counted.
        allow_empty: whether a check of rows passes where there are none.
    """
    passed, observed = _decide(check, seen, allow_empty=allow_empty)
    failing = None if seen.facts.get("whole") else seen.failing
    return finding(
        check.name,
        check.kind,
        check.columns,
        check.severity,
        passed=passed,
        ran=seen.problem is None,
        expected=expected(check),
        observed=observed,
        failing=failing,
        share=failing / seen.rows if failing is not None and seen.rows else None,
    )


def finding(
    name: str,
    kind: str,
    columns: Iterable[str],
    severity: str,
    *,
    passed: bool,
    ran: bool = True,
    expected: str,
    observed: str,
    failing: int | None = None,
    share: float | None = None,
    sample: Iterable[Any] = (),
) -> dict[str, Any]:
    """One check's result, as it is stored and shown."""
    return {
        "name": printable(name),
        "kind": kind,
        "columns": list(columns),
        "severity": severity,
        "passed": passed,
        "ran": ran,
        "expected": printable(expected),
        "observed": printable(observed),
        "failing": failing,
        "share": share,
        "sample": list(sample),
    }


def conclude(
    rows: int | None, findings: Iterable[Mapping[str, Any]], set_aside: int | None = None
) -> dict[str, Any]:
    """The gate's result from those of its checks: one failed "block" blocks, one failed "warn" warns.

    A check whose failing rows are set aside warns. If the gate blocks all the same, none are.

    Args:
        rows: how many there are; None if that could not be found out.
        findings: as `judge` gives them, with `set_aside` where failing rows of the check are.
        set_aside: how many rows are; None if the gate sets none aside.
    """
    found = [dict(one) for one in findings]
    if any(_blocks(one) for one in found):
        found = [{key: value for key, value in one.items() if key != "set_aside"} for one in found]
        set_aside = None if set_aside is None else 0
    failed = {"warn" if one.get("set_aside") else one["severity"] for one in found if not one["passed"]}
    failed |= {"warn"} if set_aside else set()
    verdict = "blocked" if "block" in failed else "warned" if "warn" in failed else "passed"
    return {
        "verdict": verdict,
        "passed": verdict != "blocked",
        "warned": "warn" in failed,
        "rows": rows,
        "checks": found,
        **({} if set_aside is None else {"set_aside": set_aside}),
    }


def share_set_aside(bad: int, rows: int, at_most: float, *, allow_empty: bool) -> dict[str, Any]:
    """The result that says how many rows are set aside, and blocks where they are too many or all."""
    limit = f"at most {share_text(at_most)} of the rows set aside" if at_most < 1 else "some rows left"
    return finding(
        "quarantine",
        "quarantine",
        (),
        "block",
        passed=bad / rows <= at_most and (bad < rows or allow_empty),
        expected=limit,
        observed=f"{bad:,} of {rows:,} rows to set aside" + (f", {share_text(bad / rows)}" if bad else ""),
        failing=bad,
        share=bad / rows,
    )


def _blocks(found: Mapping[str, Any]) -> bool:
    return not found["passed"] and found["severity"] == "block" and not found.get("set_aside")


def summary(result: Mapping[str, Any], most: int = 5) -> str:
    """The verdict in one line: which checks failed, and on how many rows."""
    checks, rows = result["checks"], result["rows"]
    failed = [c for c in checks if not c["passed"]]
    blocking = [c for c in failed if _blocks(c)]
    counted = f"{rows:,} rows" if rows is not None else "rows"
    aside = result.get("set_aside")
    moved = f"{aside:,} of {counted} set aside: " if aside else ""
    if blocking:
        return f"blocked by {len(blocking)} of {len(checks)} checks: {_names(blocking, rows, most)}"
    if failed:
        word = "failed" if result["warned"] else "failed, for information"
        return f"{moved}{len(failed)} of {len(checks)} checks {word}: {_names(failed, rows, most)}"
    return f"{moved}all of {len(checks)} checks passed{'' if moved else f' on {counted}'}"


def _names(checks: Sequence[Mapping[str, Any]], rows: int | None, most: int) -> str:
    named = []
    for check in checks[:most]:
        on = "" if check["failing"] is None or rows is None else f" on {check['failing']:,} of {rows:,} rows"
        named.append(f"{check['name']}{on if check['ran'] else ' could not run'}")
    more = len(checks) - most
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def why_blocked(result: Mapping[str, Any], most: int = 5) -> str:
    """Which checks block, in a first line of its own, and then for each what was observed and expected."""
    failed = [c for c in result["checks"] if _blocks(c)]
    lines = [f"  {c['name']}: {c['observed']}; expected: {c['expected']}" for c in failed[:most]]
    return "\n".join([summary(result, most), *lines])


def problem_of(error: BaseException) -> str:
    """What an exception says, in one short line; of polars' own the reason only, without values of rows."""
    try:
        text = error.what if isinstance(error, TrikkError) else str(error)
    except Exception:  # noqa: BLE001 - the author's __str__ may do anything
        text = ""
    line = in_short(text)
    name = type(error).__name__
    if isinstance(error, TrikkError):
        return line
    if type(error).__module__.partition(".")[0] == "polars":
        reason = _VALUES.sub("", line)
        return f"it can't be computed: {reason}" if reason else "it can't be computed"
    return f"{name}: {line}" if line else name


def in_short(text: str) -> str:
    """The first paragraph of a text, as one line that is not too long; polars adds a plan after a blank line."""
    line = " ".join(text.strip().partition("\n\n")[0].split())
    return line if len(line) <= PROBLEM else line[:PROBLEM] + "..."


def expected(check: Check) -> str:
    """What a check asks for, in words."""
    text = _EXPECTED[check.kind](check)
    return f"{text}, but for {share_text(check.allow)} of the rows" if check.allow else text


def _decide(check: Check, seen: Seen, *, allow_empty: bool) -> tuple[bool, str]:
    if seen.problem is not None:
        return False, f"could not run: {seen.problem}"
    whole = _WHOLE.get(check.kind)
    if whole is not None and (seen.rows or check.kind in ("has_columns", "row_count")):
        return whole(check, seen.facts)
    if not seen.rows and not seen.facts.get("whole"):
        return allow_empty, "no rows"
    failing = seen.failing or 0
    if seen.facts.get("null"):
        return False, "it is null, neither true nor false: there is no value to tell it from"
    if seen.facts.get("whole"):
        return failing == 0, "it is not so" if failing else "it is so"
    passed = failing <= check.allow * seen.rows
    detail = f" ({seen.facts['detail']})" if failing and seen.facts.get("detail") else ""
    share = f", {share_text(failing / seen.rows)}" if failing else ""
    return passed, f"{failing:,} of {seen.rows:,} rows fail{share}{detail}"


def _columns(check: Check, facts: Mapping[str, Any]) -> tuple[bool, str]:
    wrong = [f"{name} is {found}, not {wanted}" for name, (found, wanted) in facts["wrong"].items()]
    parts = [f"no column {', '.join(facts['missing'])}"] if facts["missing"] else []
    parts += [", ".join(wrong)] if wrong else []
    parts += [f"unexpected: {', '.join(facts['extra'])}"] if facts["extra"] and check.settings["only"] else []
    return not parts, "; ".join(parts) or f"{facts['columns']} columns"


def _rows(check: Check, facts: Mapping[str, Any]) -> tuple[bool, str]:
    low, high, rows = check.settings["at_least"], check.settings["at_most"], facts["rows"]
    good = (low is None or rows >= low) and (high is None or rows <= high)
    return good, f"{rows:,} rows"


def _fresh(check: Check, facts: Mapping[str, Any]) -> tuple[bool, str]:
    age, later = facts["age"], facts["later"]
    note = f"; in the future: {later:,} rows" if later else ""
    if age is None:
        return False, f"no time up to {facts['now']}{note}"
    shown = f"newest {facts['newest']}, {_age(age)} before {facts['now']}{note}"
    return age <= check.settings["within"], shown


def _like(check: Check, facts: Mapping[str, Any]) -> tuple[bool, str]:
    distance = facts["distance"]
    return distance <= check.settings["at_most"], f"{check.settings['measure'].upper()} {distance:.4f}"


_WHOLE: dict[str, Callable[[Check, Mapping[str, Any]], tuple[bool, str]]] = {
    "has_columns": _columns,
    "row_count": _rows,
    "fresh": _fresh,
    "like": _like,
}


def _expected_columns(check: Check) -> str:
    types = check.settings.get("types", {})
    listed = ", ".join(f"{name} ({types[name]})" if name in types else name for name in check.columns)
    return f"columns {listed}{' and no other' if check.settings['only'] else ''}"


def _expected_range(check: Check) -> str:
    low, high = check.settings["low"], check.settings["high"]
    if low is None:
        return f"{check.columns[0]} at most {high}"
    return f"{check.columns[0]} at least {low}" if high is None else f"{check.columns[0]} from {low} to {high}"


def _expected_count(check: Check) -> str:
    low, high = check.settings["at_least"], check.settings["at_most"]
    if low == high:
        return f"{low:,} rows"
    if low is None:
        return f"at most {high:,} rows"
    return f"at least {low:,} rows" if high is None else f"{low:,} to {high:,} rows"


def _expected_set(check: Check) -> str:
    values = [str(v) for v in check.settings["values"]]
    more = f", ... ({len(values)} values)" if len(values) > 10 else ""
    return f"{check.columns[0]} one of {', '.join(values[:10])}{more}"


def _expected_own(check: Check) -> str:
    return str(check.settings.get("says") or next(iter(check.settings.values())))


_EXPECTED: dict[str, Callable[[Check], str]] = {
    "has_columns": _expected_columns,
    "not_null": lambda c: f"no value missing in {', '.join(c.columns)}",
    "unique": lambda c: f"{', '.join(c.columns)} unique{' together' if len(c.columns) > 1 else ''}",
    "between": _expected_range,
    "one_of": _expected_set,
    "matches": lambda c: f"{c.columns[0]} like {c.settings['pattern']}",
    "row_count": _expected_count,
    "fresh": lambda c: f"newest {c.columns[0]} no older than {_age(c.settings['within'])}",
    "refers_to": lambda c: f"{', '.join(c.columns)} found in the reference's {', '.join(c.settings['to'])}",
    "like": lambda c: (
        f"{c.columns[0]} distributed as in the reference, "
        f"{c.settings['measure'].upper()} at most {c.settings['at_most']:g}"
    ),
    "seen_in_training": lambda c: f"{', '.join(c.columns) or 'inputs'} known from training",
    "holds": _expected_own,
}


def share_text(share: float) -> str:
    """A share for people; never rounded to nothing."""
    return f"{share * 100:.2f} %" if share >= 0.0001 or share == 0 else "less than 0.01 %"


def _age(value: float) -> str:
    days, rest = divmod(value, 86400)
    hours = round(rest / 3600)
    return show_seconds(rest) if not days else f"{days:.0f} d {hours} h" if hours else f"{days:.0f} d"
