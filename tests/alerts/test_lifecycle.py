"""Incidents over time: one for each cause, opened and resolved for good reasons, told seldom, started once."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.alerts.incidents.book import Book, subject_of
from trikk.alerts.incidents.decision import Change, Mute, mute_end
from trikk.alerts.incidents.incident import STARTING, Incident
from trikk.alerts.incidents.lifecycle import decide, start_is_due
from trikk.alerts.rules.figures import FigureRule
from trikk.alerts.rules.rule import Point, Reading
from trikk.core.errors import Conflict, JournalError, UsageError, WrongState
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.ledger import Entry
from trikk.runs.journals.memory_journal import MemoryJournal

OPENED, UPDATED, ESCALATED = Change.OPENED, Change.UPDATED, Change.ESCALATED
SUPPRESSED, RESOLVED = Change.SUPPRESSED, Change.RESOLVED
HOUR, DAY = 3600.0, 86400.0


def rule(**more: Any) -> FigureRule:
    return FigureRule(
        **{
            "name": "loss",
            "when": "mae > 1",
            "windows": 2,
            "cooldown": 6 * HOUR,
            "escalate_after": 2 * DAY,
            **more,
        }
    )


class Life:
    """A cause that is looked at, in a ledger in memory."""

    def __init__(self, of: FigureRule) -> None:
        self.rule = of
        self.journal = MemoryJournal()
        self.points: list[Point] = []
        self.now = 1e9

    def reading(self) -> Reading:
        return Reading(self.rule, "people", "people: mae > 1", tuple(self.points))

    def add(self, bad: bool, badness: float = 1.0) -> None:
        mark = str(len(self.points))
        self.points.append(Point(mark, self.now - DAY, self.now, bad, f"{mark} {bad}", badness if bad else 0.0))

    def look(self, book: Book | None = None) -> list[str]:
        book, kinds = book or Book(self.journal), []
        for _ in range(20):
            latest = book.latest("people.loss")
            decision = decide(latest, self.reading(), self.now)
            if decision is None:
                return kinds
            assert decision.why
            if book.apply(latest, "people.loss", decision, at=self.now, channels=["team"]):
                kinds.append(decision.kind.rpartition(".")[2])
        raise AssertionError("decisions do not end")

    def after(self, seconds: float, *points: bool, badness: float = 1.0) -> list[str]:
        self.now += seconds
        for bad in points:
            self.add(bad, badness)
        return self.look()

    def incidents(self) -> list[Any]:
        return Book(self.journal).all()


def test_it_opens_after_as_many_bad_points_as_the_rule_says_and_resolves_after_as_many_good_ones() -> None:
    life = Life(rule(escalate_after=0.0))
    assert life.after(DAY, True) == []
    assert life.after(DAY, True) == ["opened"]
    assert life.after(0) == []
    assert life.after(DAY, False) == ["updated"]
    assert life.after(DAY, True) == ["updated"]
    assert life.after(DAY, False) == ["updated"]
    assert life.after(DAY, False) == ["resolved"]
    assert life.after(DAY, False) == []
    (incident,) = life.incidents()
    assert incident.state == "resolved"
    assert [told.kind for told in incident.told] == [OPENED, RESOLVED]


def test_only_what_is_clearly_worse_is_told_again() -> None:
    life = Life(rule(escalate_after=0.0))
    life.after(DAY, True, True)
    life.after(DAY, True, badness=1.05)
    life.after(DAY, True, badness=3.0)
    life.after(DAY, True, badness=2.0)
    (incident,) = life.incidents()
    assert [told.kind for told in incident.told] == [OPENED, UPDATED]
    assert incident.updates == 3


class Beaten(Book):
    """A book in which somebody else acknowledges an incident just after it was read for the first time."""

    def get(self, incident: str) -> Incident:
        known = super().get(incident)
        if not known.acknowledged:
            Book(self.ledger).acknowledge(incident, by="bob", why="", at=known.opened)
        return known


def test_of_two_who_acknowledge_at_once_one_is_first_and_neither_is_told_to_try_again() -> None:
    life = Life(rule())
    life.after(DAY, True, True)
    known = Beaten(life.journal).acknowledge("people.loss-1", by="ada", why="", at=life.now)
    assert known.acknowledged == "bob"
    assert known.is_open


def test_what_is_worse_within_the_cool_down_is_told_when_it_is_over() -> None:
    life = Life(rule(escalate_after=0.0))
    life.after(DAY, True, True)
    assert life.after(HOUR, True, badness=3.0) == ["updated"]
    assert len(life.incidents()[0].told) == 1
    assert life.after(4 * HOUR) == []
    assert life.after(HOUR) == ["updated"]
    assert len(life.incidents()[0].told) == 2
    assert life.after(DAY) == []


def test_it_escalates_while_nobody_acts_and_not_after_somebody_has_said_so() -> None:
    life = Life(rule())
    life.after(DAY, True, True)
    assert life.after(2 * DAY - 1) == []
    assert life.after(1) == ["escalated"]
    assert life.after(DAY) == []
    assert life.after(DAY) == ["escalated"]
    Book(life.journal).acknowledge("people.loss-1", by="ada", why="", at=life.now)
    assert life.after(9 * DAY) == []
    assert life.after(DAY, True, badness=9.0) == ["updated"]
    assert life.after(DAY, False, False) == ["resolved"]
    assert [told.kind for told in life.incidents()[0].told] == [
        OPENED,
        ESCALATED,
        ESCALATED,
        RESOLVED,
    ]


def test_an_escalation_that_came_late_is_not_followed_by_those_that_it_stands_for() -> None:
    life = Life(rule())
    life.after(DAY, True, True)
    assert life.after(9 * DAY) == ["escalated"]
    assert life.after(8 * DAY) == []
    assert life.after(DAY) == ["escalated"]


def test_what_comes_back_within_the_cool_down_opens_when_that_is_over() -> None:
    life = Life(rule(windows=1))
    life.after(DAY, True)
    assert life.after(HOUR, False) == ["resolved"]
    assert life.after(HOUR, True) == ["suppressed"]
    assert life.after(HOUR) == []
    assert life.after(4 * HOUR) == ["opened"]
    assert [incident.id for incident in life.incidents()] == ["people.loss-1", "people.loss-2"]


def test_what_was_resolved_by_hand_opens_for_newer_points_only() -> None:
    life = Life(rule(windows=1, escalate_after=0.0))
    life.after(DAY, True)
    Book(life.journal).resolve("people.loss-1", by="ada", why="known", at=life.now)
    assert life.after(9 * DAY) == ["suppressed"]
    assert life.after(9 * DAY) == []
    assert life.after(DAY, True) == ["opened"]


def test_a_figure_that_is_restated_as_good_resolves() -> None:
    life = Life(rule(windows=1))
    life.after(DAY, True)
    last = life.points[-1]
    life.points[-1] = Point(last.mark, last.start, last.at, False, "better")
    assert life.after(HOUR) == ["resolved"]


def test_a_look_at_an_earlier_time_or_at_less_changes_nothing() -> None:
    life = Life(rule(windows=1))
    life.after(DAY, True)
    life.after(DAY, False)
    del life.points[-1]
    assert life.look() == []
    life.after(9 * DAY, False, True)
    life.now -= 5 * DAY
    life.points = [Point("9", life.now, life.now + 9 * DAY, False, "good")]
    assert life.look() == []


class Dying(MemoryJournal):
    """A ledger in front of another, whose process dies at one of its writes, before or after it."""

    def __init__(self, behind: MemoryJournal, at: int, after: bool) -> None:
        self.behind, self.left, self.after = behind, at, after

    def __getattribute__(self, name: str) -> Any:
        if name in ("add", "behind", "left", "after") or name.startswith("__"):
            return object.__getattribute__(self, name)
        return getattr(self.behind, name)

    def add(self, *given: Any, **more: Any) -> Any:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise JournalError("killed")
        found = self.behind.add(*given, **more)
        if self.left == 0:
            raise JournalError("killed")
        return found


def mute(life: Life, incident: str, seconds: float) -> None:
    Book(life.journal).mute(incident, Mute(until=life.now + seconds, by="ada", why="known"), at=life.now)


def told_of(life: Life) -> list[list[str]]:
    return [[told.kind.word for told in incident.told] for incident in life.incidents()]


def test_nobody_is_told_of_a_muted_incident_nor_of_the_next_of_its_cause() -> None:
    life = Life(rule(windows=1))
    life.after(DAY, True)
    mute(life, "people.loss-1", 9 * DAY)
    assert life.after(DAY, True, badness=9.0) == ["updated"]
    assert life.incidents()[0].is_muted(life.now)
    assert life.after(3 * DAY) == []  # it would have escalated
    assert life.after(DAY, False) == ["resolved"]
    assert life.after(DAY, True) == ["opened"]
    assert told_of(life) == [["opened"], []]
    assert life.incidents()[1].mute == life.incidents()[0].mute
    assert life.after(DAY, False) == ["resolved"]  # of which nobody had heard
    assert told_of(life) == [["opened"], []]


def test_what_is_bad_when_a_mute_is_over_is_told_once() -> None:
    life = Life(rule(windows=1, escalate_after=0.0))
    life.after(DAY, True)
    mute(life, "people.loss-1", DAY)
    assert life.after(DAY - 1) == []
    assert life.after(1) == ["unmuted"]
    assert life.after(DAY) == []
    (incident,) = life.incidents()
    assert incident.mute is None
    assert "no longer muted by ada" in incident.told[-1].why
    assert life.after(DAY, False) == ["resolved"]
    assert told_of(life) == [["opened", "unmuted", "resolved"]]


def test_a_mute_that_is_over_within_the_cool_down_waits_for_its_end() -> None:
    life = Life(rule(windows=1, escalate_after=0.0))
    life.after(DAY, True)
    mute(life, "people.loss-1", HOUR)
    assert life.after(5 * HOUR) == []
    assert life.after(HOUR) == ["unmuted"]


def test_a_mute_is_taken_back_and_who_knows_already_is_not_told() -> None:
    life = Life(rule(windows=1, escalate_after=0.0))
    life.after(DAY, True)
    mute(life, "people.loss-1", 9 * DAY)
    mute(life, "people.loss-1", 9 * DAY)  # its button was pressed twice
    life.now += DAY
    book = Book(life.journal)
    known = book.unmute("people.loss-1", by="bob", why="", at=life.now)
    assert not known.is_muted(life.now)
    assert book.unmute("people.loss-1", by="bob", why="", at=life.now).seq == known.seq
    assert (known.mutes, known.unmutes) == (1, 1)
    assert life.look() == ["unmuted"]
    mute(life, "people.loss-1", DAY)
    Book(life.journal).acknowledge("people.loss-1", by="bob", why="", at=life.now)
    assert life.after(9 * DAY) == []
    assert life.after(DAY, False) == ["resolved"]
    assert told_of(life) == [["opened", "unmuted", "resolved"]]


def test_notes_are_kept_once_and_after_the_end_too() -> None:
    life = Life(rule(windows=1))
    life.after(DAY, True)
    book = Book(life.journal)
    for by, text in (("ada", "a fair"), ("ada", "a fair"), ("bob", "a fair")):
        book.note("people.loss-1", text, by=by, at=life.now)
    life.after(DAY, False)
    noted = book.note("people.loss-1", "it was a fair", by="ada", at=life.now)
    assert [(note.by, note.text) for note in noted.notes] == [
        ("ada", "a fair"),
        ("bob", "a fair"),
        ("ada", "it was a fair"),
    ]
    assert noted.to_json()["notes"][0] == {"at": life.now - DAY, "by": "ada", "text": "a fair"}
    with pytest.raises(WrongState):
        mute(life, "people.loss-1", DAY)


@pytest.mark.parametrize("text", ["2001-09-09T01:46:39", "yesterday", "", "2001-09-09"])
def test_a_mute_ends_in_the_future(text: str) -> None:
    with pytest.raises(UsageError):
        mute_end(text, "UTC", 1e9)
    assert mute_end("2001-09-09T04:46:41", "Europe/Oslo", 1e9) == 1e9 + 3600 + 1


steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 600.0, HOUR, 7 * HOUR, DAY]),
        st.lists(st.booleans(), max_size=2),
        st.floats(0.5, 9.0),
        st.sampled_from(
            ["look", "look", "look", "die", "race", "ack", "resolve", "mute", "mute", "unmute", "note"]
        ),
        st.integers(1, 4),
    ),
    max_size=25,
)


@given(steps, st.integers(1, 3), st.sampled_from([0.0, DAY]))
@settings(max_examples=150)
def test_whatever_happens_incidents_keep_their_promises(
    happened: list[Any], windows: int, escalate: float
) -> None:
    life = Life(rule(windows=windows, escalate_after=escalate, starts="train"))
    for wait, points, badness, what, number in happened:
        life.now += wait
        for bad in points:
            life.now += 1.0
            life.add(bad, badness)
        if what == "die":
            with contextlib.suppress(JournalError):
                life.look(Book(Dying(life.journal, number, after=bool(number % 2))))
        elif what == "race":
            first, second = Book(life.journal), Book(life.journal)
            seen = first.latest("people.loss"), second.latest("people.loss")
            made = [decide(one, life.reading(), life.now) for one in seen]
            applied = [
                book.apply(one, "people.loss", decision, at=life.now, channels=["team"])
                for book, one, decision in zip((first, second), seen, made, strict=True)
                if decision is not None
            ]
            assert sum(one is not None for one in applied) <= 1
        elif what in ("ack", "resolve", "mute", "unmute", "note"):
            for one in Book(life.journal).unfinished():
                if one.is_open:
                    by_hand(life, what, one.id, number)
        start(life)
        life.look() if what != "die" else None
        check(life)


def by_hand(life: Life, what: str, incident: str, number: int) -> None:
    book = Book(life.journal)
    if what == "mute":
        mute(life, incident, number * 10 * HOUR)
    elif what == "note":
        book.note(incident, f"note {number}", by="ada", at=life.now)
    else:
        does = {"ack": book.acknowledge, "resolve": book.resolve, "unmute": book.unmute}[what]
        does(incident, by="ada", why="x", at=life.now)


def start(life: Life) -> None:
    """Two processes want to start what is due, of which the second has not seen the first's claim."""
    books = [Book(life.journal), Book(life.journal)]
    seen = [[i for i in book.unfinished() if start_is_due(i)] for book in books]
    for due in seen:
        for one in due:
            number = len(one.starts) + 1
            body: dict[str, Any] = {"pipeline": "train", "parameters": {}, "holder": Holder.current().to_json()}
            with contextlib.suppress(Conflict):
                identity, subject = f"start/{number}", subject_of(one.id)
                life.journal.add(subject, STARTING, body, at=life.now, identity=identity, after=one.seq)


def check(life: Life) -> None:
    incidents = life.incidents()
    assert Book(life.journal).open() == [one for one in incidents if one.is_open]
    assert sum(one.is_open for one in incidents) <= 1
    assert [one.number for one in incidents] == list(range(1, len(incidents) + 1))
    by_mark = {point.mark: number for number, point in enumerate(life.points)}
    for one in incidents:
        assert len(one.starts) <= 1
        entries = life.journal.entries(f"incident/{one.id}")
        kinds = [entry.kind for entry in entries]
        assert kinds[0] == OPENED
        assert kinds.count(OPENED) == 1
        assert kinds.count(RESOLVED) <= 1
        assert set(kinds[kinds.index(RESOLVED) + 1 :]) <= {SUPPRESSED} if RESOLVED in kinds else True
        assert not any("tell" in entry.body for entry in muted(entries))
        told = [entry.at for entry in entries if "tell" in entry.body and entry.kind != RESOLVED]
        assert all(b - a >= life.rule.cooldown for a, b in itertools.pairwise(told))
        for entry in entries:
            body: Any = entry.body
            assert body.get("why", "x")
            if entry.kind in (OPENED, RESOLVED) and not body.get("by"):
                last = by_mark[body["point"]["mark"]]
                recent = life.points[last + 1 - life.rule.windows : last + 1]
                assert len(recent) == life.rule.windows
                assert all(point.bad is (entry.kind == OPENED) for point in recent)
    for before, after in itertools.pairwise(incidents):
        assert after.opened - before.resolved >= life.rule.cooldown


def muted(entries: list[Entry]) -> list[Entry]:
    """The entries of an incident that were written while it was muted."""
    while_muted, until = [], 0.0
    for entry in entries:
        body: Any = entry.body
        while_muted += [entry] if entry.at < until else []
        if entry.kind == Change.UNMUTED:
            until = 0.0
        elif "mute" in body:
            until = body["mute"]["until"]
    return while_muted


@pytest.mark.parametrize("windows", [1, 3])
def test_a_look_that_is_repeated_writes_nothing(windows: int) -> None:
    life = Life(rule(windows=windows))
    life.after(DAY, *[True] * windows)
    before = life.journal.history("incident")
    life.look()
    life.look(Book(life.journal))
    assert life.journal.history("incident") == before
