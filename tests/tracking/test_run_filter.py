"""Which runs a filter lets through, and what a look for rare ones costs."""

from __future__ import annotations

from typing import Any

import pytest

from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.tracking import run_filter
from trikk.tracking.run_filter import RunFilter, filtered_runs, parameter_word

RUNS = 450
ODD = 'it\'s "odd" = x'


@pytest.fixture(scope="module")
def journal() -> MemoryJournal:
    journal = MemoryJournal()
    for number in range(RUNS):
        run = f"r{number:03d}"
        parameters: dict[str, Any] = {"day": f"2026-01-{1 + number % 28:02d}", "n": number, "note": ODD}
        environment = "dev" if number % 100 == 7 else "main"
        body: dict[str, Any] = {"parameters": parameters, "environment": environment}
        journal.create(run, "even" if number % 2 == 0 else "odd", body, at=float(number))
        journal.append(run, "run.started", {"lock": {"code": f"{number // 50}abc"}, "graph": ""}, at=float(number))
        if number % 10 == 0:
            journal.append(run, "run.failed", {"error": "boom"}, at=float(number))
    return journal


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (RunFilter(pipeline="odd", parameters="n=3"), [3]),
        (RunFilter(parameters="2026-01-02 n=29"), [29]),
        (RunFilter(parameters="n=9 n=8"), []),
        (RunFilter(parameters=f"n=9 {parameter_word('note', ODD)}"), [9]),
        (RunFilter(parameters="note='it"), []),
        (RunFilter(parameters="nothing=3"), []),
        (RunFilter(since=440.0, state="failed"), [440]),
        (RunFilter(since=3.0, until=6.0), [5, 4, 3]),
        (RunFilter(environment="dev", pipeline="odd"), [407, 307, 207, 107, 7]),
        (RunFilter(code="8a", state="failed", until=425.0), [420, 410, 400]),
        (RunFilter(pipeline="none"), []),
    ],
)
def test_what_a_filter_lets_through(journal: MemoryJournal, wanted: RunFilter, numbers: list[int]) -> None:
    page = filtered_runs(journal, wanted, 10)
    assert [int(row.id[1:]) for row in page.rows] == numbers
    assert (page.next, page.is_cut) == (None, False)


def test_pages_follow_on_each_other(journal: MemoryJournal) -> None:
    cursor, numbers = None, []
    while True:
        page = filtered_runs(journal, RunFilter(pipeline="even", state="failed"), 7, cursor)
        numbers += [int(row.id[1:]) for row in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert numbers == list(range(440, -1, -10))


def test_a_look_for_what_is_rare_ends_and_leads_on(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_filter, "_LOOKED", 100)
    page = filtered_runs(journal, RunFilter(parameters="n=340"), 5)
    assert (page.rows, page.next, page.is_cut) == ([], "r350", True)
    (row,) = filtered_runs(journal, RunFilter(parameters="n=340"), 5, page.next).rows
    assert row.id == "r340"


def test_a_run_that_was_cancelled_while_it_waited_has_the_code_it_began_with() -> None:
    journal = MemoryJournal()
    journal.create("r", "one", {"environment": "main"}, at=0.0)

    def listed(code: str) -> list[str]:
        return [row.id for row in filtered_runs(journal, RunFilter(code=code), 5).rows]

    for kind, body in (
        ("run.cancel_requested", {"by": "ada"}),
        ("run.cancelled", {"error": "cancelled by ada"}),
        ("run.resume_requested", {"by": "ada", "why": "", "code": "locked"}),
    ):
        journal.append("r", kind, body, at=1.0)
        assert listed("") == ["r"]
        assert listed("1a") == []
    journal.append("r", "run.started", {"lock": {"code": "1abc"}, "graph": ""}, at=2.0)
    journal.append("r", "run.failed", {"error": "boom"}, at=3.0)
    journal.append("r", "run.resumed", {"lock": {"code": "2abc"}, "graph": "", "code": "current"}, at=4.0)
    assert listed("1a") == ["r"]
    assert listed("2a") == []
