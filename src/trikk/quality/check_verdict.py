"""From numbers to a decision: pure functions, which see what was counted and never the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from trikk.core.text import printable
from trikk.quality.check import CountedCheck, Severity
from trikk.quality.plan import Seen
from trikk.quality.result_texts import share_text


class Verdict(StrEnum):
    """What a gate comes to."""

    PASSED = "passed"
    WARNED = "warned"
    BLOCKED = "blocked"


def judge(check: CountedCheck, seen: Seen, *, allow_empty: bool = False) -> dict[str, Any]:
    """A check's result, without its sample of rows."""
    if seen.problem is not None:
        passed, observed = False, f"could not run: {seen.problem}"
    elif check.needs_rows and not seen.rows and not seen.facts.get("whole"):
        passed, observed = allow_empty, "no rows"
    else:
        passed, observed = check.verdict(seen)
    failing = None if seen.facts.get("whole") else seen.failing
    return finding(
        check.name,
        check.kind,
        check.columns,
        check.severity,
        passed=passed,
        ran=seen.problem is None,
        expected=check.expected(),
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
        "severity": str(severity),
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
    """
    checks = [dict(one) for one in findings]
    # a blocked run writes no quarantine, so that nothing was set aside
    if any(_blocks(one) for one in checks):
        checks = [{key: value for key, value in one.items() if key != "set_aside"} for one in checks]
        set_aside = None if set_aside is None else 0
    failed = {Severity.WARN if one.get("set_aside") else one["severity"] for one in checks if not one["passed"]}
    failed |= {Severity.WARN} if set_aside else set()
    warned = Severity.WARN in failed
    verdict = Verdict.BLOCKED if Severity.BLOCK in failed else Verdict.WARNED if warned else Verdict.PASSED
    return {
        "verdict": verdict.value,
        "passed": verdict is not Verdict.BLOCKED,
        "warned": warned,
        "rows": rows,
        "checks": checks,
        **({} if set_aside is None else {"set_aside": set_aside}),
    }


def share_set_aside(bad: int, rows: int, at_most: float, *, allow_empty: bool) -> dict[str, Any]:
    """The result that says how many rows are set aside, and blocks where they are too many or all."""
    limit = f"at most {share_text(at_most)} of the rows set aside" if at_most < 1 else "some rows left"
    return finding(
        "quarantine",
        "quarantine",
        (),
        Severity.BLOCK,
        passed=bad / rows <= at_most and (bad < rows or allow_empty),
        expected=limit,
        observed=f"{bad:,} of {rows:,} rows to set aside" + (f", {share_text(bad / rows)}" if bad else ""),
        failing=bad,
        share=bad / rows,
    )


def _blocks(check: Mapping[str, Any]) -> bool:
    return not check["passed"] and check["severity"] == Severity.BLOCK and not check.get("set_aside")


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
