"""The log of changes: a line for each, whatever happens in between, and a bound on what strangers can write."""

from __future__ import annotations

import pytest

from trikk.access.audit import SUBJECT, Outcome, Refusals, read_page, recorded
from trikk.access.identity import Identity, IdentityKind, Role
from trikk.core.errors import Conflict, JournalError
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.testing.manual_clock import ManualClock

ANNA = Identity("anna", IdentityKind.TOKEN, Role.OPERATOR, "main", "t0")


def test_a_change_is_written_down_before_it_is_made_and_its_outcome_after_it() -> None:
    ledger, clock = MemoryJournal(), ManualClock(1_000_000.0)
    with recorded(ledger, ANNA, "10.0.0.7", "pause_trigger", {"trigger": "nightly"}, clock) as change:
        (line,) = read_page(ledger, 10).lines
        assert (line.who, line.source, line.outcome) == ("anna", "10.0.0.7", Outcome.UNKNOWN)
        change.made["run"] = "abc"
    with pytest.raises(Conflict), recorded(ledger, ANNA, "", "cancel_run", {"run": "x" * 999}, clock):
        raise Conflict("it has ended", next="look at it")
    with pytest.raises(ZeroDivisionError), recorded(ledger, ANNA, "a\nb", "cancel_run", {}, clock):
        raise ZeroDivisionError("a secret")
    bug, failed, done = read_page(ledger, 10).lines
    assert (done.outcome, done.target) == (Outcome.DONE, {"trigger": "nightly", "run": "abc"})
    assert done.at == "1970-01-12T13:46:40.000Z"
    assert (failed.outcome, failed.error) == (Outcome.FAILED, "it has ended")
    assert len(failed.target["run"]) < 250
    assert (bug.error, bug.source) == ("ZeroDivisionError", "a\\nb")  # no text of an unforeseen error
    # A page goes on where the last one ended, whatever comes in between.
    first = read_page(ledger, 2)
    with recorded(ledger, ANNA, "", "cancel_run", {}, clock):
        pass
    assert first.lines == [bug, failed]
    assert read_page(ledger, 2, int(str(first.next))).lines == [done]


def test_what_can_not_be_written_down_is_not_done() -> None:
    ledger = MemoryJournal()
    ledger.close()
    with pytest.raises(JournalError), recorded(ledger, ANNA, "", "cancel_run", {}, ManualClock(0.0)):
        pytest.fail("it was done")


def test_strangers_fill_no_journal() -> None:
    ledger, clock = MemoryJournal(), ManualClock(1_000_000.0)
    refusals = Refusals(ledger, clock)
    for _ in range(5_000):
        refusals.note(None, "6.6.6.6", "start_run", {"run": "y" * 10_000}, Conflict("no" * 10_000))
    clock.advance(61.0)
    refusals.note(ANNA, "10.0.0.7", "start_run", {}, Conflict("no"))
    refusals._thread.shutdown(wait=True)
    entries = ledger.entries(SUBJECT)
    assert len(entries) == 51
    assert len(repr(entries)) < 51 * 1_000
    newest = read_page(ledger, 1).lines[0]
    assert (newest.who, newest.outcome, newest.left_out) == ("anna", Outcome.REFUSED, 4_950)
