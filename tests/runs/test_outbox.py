"""One process does it, and what is handed over arrives: whoever dies between which entries, at least once."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.errors import JournalError
from trikk.runs.back_off import BackOff
from trikk.runs.claims import UNKNOWN_FOR, Claim, Claims, is_at_it
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.ledger import Entry
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.runs.outbox import Do, Note, Progress, State, Step, hand_over, next_step

BACK_OFF = BackOff(first=60.0, longest=3600.0, give_up=86400.0)
ELSEWHERE = Holder("elsewhere", "", 1, 0.0)
GONE = Holder(Holder.current().host, "an earlier boot", 1, 0.0)
_ENDS = {"delivered": State.DELIVERED, "failed": State.FAILED, "given up": State.GIVEN_UP}


@dataclass
class Letter:
    """The simplest thing that can be handed over."""

    subject: str = "letter/1"
    lost: str = ""
    progress: Progress = field(default_factory=Progress)
    seq: int = 0

    @classmethod
    def read(cls, ledger: Any) -> Letter:
        letter = cls()
        for entry in ledger.entries(letter.subject):
            letter.take_in(entry)
        return letter

    def note(self, step: Step) -> Note:
        return Note("given up" if step.do is Do.GIVE_UP else "sending", {"why": step.why}, after=self.seq)

    def take_in(self, entry: Entry) -> None:
        self.seq = entry.seq
        if entry.kind == "sending":
            self.progress.begin(Claim.read(entry.at, entry.body), entry.at)
        else:
            self.progress.end(_ENDS[entry.kind], entry.at, str(entry.body.get("why", "")))


class Dying:
    """A ledger that fails before, or just after, its n-th entry, as a disk that is full or a process that dies."""

    def __init__(self, behind: Any, at: int, *, after: bool) -> None:
        self.behind, self.left, self.after = behind, at, after

    def add(self, *arguments: Any, **options: Any) -> Any:
        self.left -= 1
        if not self.left and not self.after:
            raise JournalError("the disk is full")
        added = self.behind.add(*arguments, **options)
        if not self.left:
            raise JournalError("the connection is gone")
        return added


def carrier(arrived: list[str], *answers: str) -> Any:
    """Hands letters over; fails for the reasons given, in turn, "" for none."""
    reasons = iter(answers)

    def send(letters: Sequence[Letter]) -> Iterator[tuple[Letter, Note]]:
        for letter in letters:
            why = next(reasons, "")
            if not why:
                arrived.append(letter.subject)
            yield letter, Note("failed" if why else "delivered", {"why": why})

    return send


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_whichever_entry_is_the_last_the_next_look_sends_what_may_not_have_arrived(at: int, after: bool) -> None:
    ledger, arrived = MemoryJournal(), []
    send = carrier(arrived)
    with pytest.raises(JournalError):
        hand_over(Dying(ledger, at, after=after), [Letter()], send, BACK_OFF, now=0.0)  # type: ignore[arg-type]
    for now in (1.0, 2.0):
        hand_over(ledger, [Letter.read(ledger)], send, BACK_OFF, now=now)
    kinds = [entry.kind for entry in ledger.entries("letter/1")]
    assert kinds[-1] == "delivered"
    assert kinds.count("delivered") == 1
    # twice only if it was sent and that was not written down
    assert len(arrived) == (2 if (at, after) == (2, False) else 1)


def test_pauses_grow_until_it_is_given_up() -> None:
    ledger, arrived, begun = MemoryJournal(), [], []
    send = carrier(arrived, *["away"] * 1000)
    for minute in range(60 * 26):
        ends = hand_over(ledger, [Letter.read(ledger)], send, BACK_OFF, now=1e9 + minute * 60.0)
        begun += [minute] * bool(ends)
    assert begun[:6] == [0, 1, 3, 7, 15, 31]
    assert {later - earlier for earlier, later in itertools.pairwise(begun[8:])} == {60}
    last = ledger.entries("letter/1")[-1]
    assert (last.kind, arrived) == ("given up", [])
    assert "attempts in 24 h 03 min failed; the last: away" in str(last.body["why"])


def test_somebody_who_asks_for_it_waits_for_no_pause_but_for_another_process() -> None:
    progress = Progress()
    progress.begin(Claim(GONE, 0.0), 0.0)
    assert next_step(progress, BACK_OFF, now=1.0, alive=True, is_patient=False).do is Do.WAIT
    progress.end(State.FAILED, 1.0, "away")
    assert next_step(progress, BACK_OFF, now=2.0, alive=False).do is Do.WAIT
    assert next_step(progress, BACK_OFF, now=2.0, alive=False, is_patient=False).do is Do.SEND


def test_what_can_never_be_sent_is_given_up_unless_it_was_sent() -> None:
    ledger = MemoryJournal()
    (ended,) = hand_over(ledger, [Letter(lost="there is no such channel")], carrier([]), BACK_OFF, now=0.0)
    assert (ended[1].kind, ended[1].body["why"]) == ("given up", "there is no such channel")
    ledger = MemoryJournal()
    hand_over(ledger, [Letter()], carrier([]), BACK_OFF, now=0.0)
    letter = Letter.read(ledger)
    letter.lost = "there is no such channel"
    assert hand_over(ledger, [letter], carrier([]), BACK_OFF, now=1.0) == []


def test_of_several_that_read_the_same_one_sends() -> None:
    ledger, arrived = MemoryJournal(), []
    letters = [Letter.read(ledger) for _ in range(3)]
    for letter in letters:
        hand_over(ledger, [letter], carrier(arrived), BACK_OFF, now=0.0)
    assert arrived == ["letter/1"]


def test_a_claim_counts_while_its_process_is_at_it() -> None:
    ledger = MemoryJournal()
    with Claims(ledger, 0.0) as claims:
        entry = claims.take("thing", "claimed", {}, after=0)
        assert entry is not None
        claim = Claim.read(entry.at, entry.body)
        assert claim.is_alive()
        threads: list[bool | None] = []
        reader = threading.Thread(target=lambda: threads.append(claim.is_alive()))
        reader.start()
        reader.join()
        assert threads == [True]
        assert claims.take("thing", "claimed", {}, after=0) is None
    assert claim.is_alive() is False  # its process lives, but has left it without an end


def test_claims_of_earlier_builds_are_read() -> None:
    body = {"holder": Holder.current().to_json()}
    assert Claim.read(5.0, body).is_alive()  # no token: as long as its process lives
    assert Claim.read(5.0, body).since == 5.0
    assert Claim.read(5.0, {**body, "since": 7.0}).since == 7.0
    assert Claim(GONE, 0.0).is_alive() is False
    assert Claim(ELSEWHERE, 0.0).is_alive() is None


def test_of_a_process_elsewhere_nothing_is_known_and_it_is_waited_for_a_while() -> None:
    assert is_at_it(None, 0.0, UNKNOWN_FOR - 1)
    assert not is_at_it(None, 0.0, UNKNOWN_FOR)
    assert is_at_it(True, 0.0, 1e9)
    assert not is_at_it(False, 0.0, 0.0)


@given(st.integers(1, 10_000), st.floats(0.1, 1e4), st.floats(0.1, 1e6))
def test_a_pause_is_never_shorter_than_the_one_before_nor_too_long(n: int, first: float, most: float) -> None:
    back_off = BackOff(first, most)
    assert back_off.pause(n) <= back_off.pause(n + 1) <= most
    assert not back_off.is_over(0.0, 1e12)
