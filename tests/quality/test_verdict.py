"""The decision, which sees numbers only."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from trikk.quality import between, fresh, has_columns, holds, like, not_null, row_count
from trikk.quality.check_verdict import conclude, finding, judge, why_blocked
from trikk.quality.plan import Seen


def result(name: str, severity: str, *, passed: bool) -> dict[str, Any]:
    return finding(name, "holds", (), severity, passed=passed, expected="good", observed="bad")


@pytest.mark.parametrize("states", list(itertools.product([True, False], repeat=3)))
def test_the_gravest_failure_decides(states: tuple[bool, bool, bool]) -> None:
    info, warn, block = states
    found = conclude(
        3,
        [
            result("i", "info", passed=info),
            result("w", "warn", passed=warn),
            result("b", "block", passed=block),
        ],
    )
    assert found["verdict"] == ("blocked" if not block else "warned" if not warn else "passed")
    assert found["passed"] == block
    assert found["warned"] == (not warn)


@pytest.mark.parametrize(
    ("failing", "rows", "allow", "passed"),
    [(0, 10, 0.0, True), (1, 10, 0.0, False), (1, 10, 0.1, True), (2, 10, 0.1, False), (0, 0, 0.5, False)],
)
def test_a_share_is_allowed_and_nothing_to_look_at_is_no_success(
    failing: int, rows: int, allow: float, passed: bool
) -> None:
    assert judge(not_null("a", allow=allow), Seen(rows, failing))["passed"] == passed


def test_no_rows_pass_only_where_that_is_said() -> None:
    for check in (not_null("a"), fresh("a", "1h"), like("a", object())):
        assert judge(check, Seen(0, 0))["observed"] == "no rows"
        assert not judge(check, Seen(0, 0))["passed"]
        assert judge(check, Seen(0, 0), allow_empty=True)["passed"]


def test_the_number_of_rows_and_the_schema_are_judged_without_rows() -> None:
    assert judge(row_count(0, 0), Seen(0, facts={"rows": 0}))["passed"]
    facts = {"missing": [], "wrong": {}, "extra": ["b"], "columns": 2}
    assert judge(has_columns(["a"]), Seen(0, facts=facts))["passed"]
    assert judge(has_columns(["a"], only=True), Seen(0, facts=facts))["observed"] == "unexpected: b"


def test_a_check_that_could_not_run_fails_whatever_its_share() -> None:
    found = judge(not_null("a", allow=0.9), Seen(10, 0, problem="ValueError: boom"), allow_empty=True)
    assert (found["passed"], found["ran"], found["observed"]) == (False, False, "could not run: ValueError: boom")


def test_limits_count_as_good() -> None:
    now = {"newest": "then", "now": "now", "later": 0}
    assert judge(fresh("a", "1h"), Seen(1, facts={"age": 3600, **now}))["passed"]
    assert not judge(fresh("a", "1h"), Seen(1, facts={"age": 3601, **now}))["passed"]
    assert judge(like("a", object(), 0.2), Seen(1, facts={"distance": 0.2}))["passed"]
    assert not judge(like("a", object(), 0.2), Seen(1, facts={"distance": 0.2001}))["passed"]


def test_a_statement_about_the_whole_frame_has_no_share() -> None:
    found = judge(holds("a > 1"), Seen(7, 1, {"whole": True}))
    assert (found["passed"], found["failing"], found["share"]) == (False, None, None)


def test_a_small_share_is_never_shown_as_nothing() -> None:
    assert "less than 0.01 %" in judge(between("a", 0), Seen(10**7, 1))["observed"]


def test_the_reason_names_the_checks_that_block_and_no_others() -> None:
    checks = [result(f"c{n}", "block", passed=False) for n in range(7)] + [result("w", "warn", passed=False)]
    text = why_blocked(conclude(1, checks))
    assert text.splitlines()[0] == "blocked by 7 of 8 checks: c0, c1, c2, c3, c4 and 2 more"
    assert text.splitlines()[1] == "  c0: bad; expected: good"
    assert "w" not in text.split()
