"""A trigger's state, as the last entry of its subject in the ledger has it, and the entries there are. Pure.

Subject `trigger/NAME`. Every entry carries the whole state, so that the last one is all that is read:

trigger.adopted     a server has seen it for the first time, or otherwise than before
trigger.retired     it is no longer declared
trigger.paused      by, why, until: when the pause ends by itself, if it does
trigger.unpaused    by, why
tick.started        tick, run: a moment or an event has its run                       identity tick/TICK
tick.skipped        tick, why: it has none                                            identity tick/TICK
tick.passed         tick, run: it had its run before it came due, by hand
ticks.missed        first, last, count, why: moments that came while no server was there

TICK is the scheduled moment in UTC, or the event's id. Its run and its entry are written in one transaction, and
the identity lets only one in: so a tick has one run, whoever sees it how often.

`cursor` is the last scheduled moment that was decided. It only moves on, but for an adoption and the end of a
pause, which set it to their moment: what came before is not due. That a pause has ended by itself is no entry:
whoever reads the state reads it as of a time (`TriggerState.at`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from msgspec.structs import replace

from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.runs.journals.ledger import Entry
from trikk.triggers.declaration import Overlap
from trikk.triggers.declared import Declared

_REMEMBERED = 20  # runs that may not be over: `trikk fire` by hand adds to them without end
_BY_OTHERS = (Overlap.SKIP, Overlap.CANCEL)  # where it matters whether earlier runs are over


TRIGGERS = "trigger/"
"""What the subjects of triggers begin with."""


class TriggerEntry(StrEnum):
    """The kinds of a trigger's entries."""

    ADOPTED = "trigger.adopted"
    RETIRED = "trigger.retired"
    PAUSED = "trigger.paused"
    UNPAUSED = "trigger.unpaused"
    STARTED = "tick.started"
    SKIPPED = "tick.skipped"
    PASSED = "tick.passed"
    MISSED = "ticks.missed"


class TriggerState(Record, frozen=True):
    """What is known of a trigger.

    Attributes:
        declaration: the `Declared` that was adopted, as JSON.
        adopted: when it began to count, ISO in UTC; changes that leave alone when it comes due do not touch it.
        cursor: the last scheduled moment that was decided, ISO in UTC.
        paused: whether nothing is started by it but by hand.
        paused_until: when the pause ends by itself, ISO in UTC; "" if it does not, or there is none.
        last_tick: the tick of its newest run; "" for none.
        last_run: its newest run; "" for none.
        unfinished: its newest run; with `overlap` of skip or cancel all that were not over when last looked at.
    """

    declaration: dict[str, Any]
    adopted: str
    cursor: str
    paused: bool = False
    last_tick: str = ""
    last_run: str = ""
    unfinished: tuple[str, ...] = ()
    paused_until: str = ""

    @property
    def decided(self) -> datetime:
        """`cursor` as a moment."""
        return datetime.fromisoformat(self.cursor)

    @property
    def declared(self) -> Declared:
        """The declaration as a value; RecordError if another build wrote what this one does not know."""
        return Declared.read(self.declaration)

    @classmethod
    def of(cls, entry: Entry | None) -> Self | None:
        """The state after an entry, the last one of a trigger; None without one."""
        if entry is None:
            return None
        state = cls.read(entry.body)
        if entry.kind != TriggerEntry.STARTED:
            return state
        run = str(entry.body["run"])
        remembered = _REMEMBERED if state.declaration["trigger"].get("overlap") in _BY_OTHERS else 1
        unfinished = (*state.unfinished, run)[-remembered:]
        return replace(state, last_tick=str(entry.body["tick"]), last_run=run, unfinished=unfinished)

    def at(self, now: datetime) -> Self:
        """The state at a time: that of a pause whose end has come is that of one which somebody has ended then."""
        if not self.paused_until or datetime.fromisoformat(self.paused_until) > now:
            return self
        return replace(self, paused=False, paused_until="", cursor=self._end_of_pause())

    def due_after(self, now: datetime) -> datetime:
        """The moment after which it comes due; of one that is paused for good, as if it were not."""
        return max(now, datetime.fromisoformat(self._end_of_pause() if self.paused_until else self.cursor))

    def _end_of_pause(self) -> str:
        """The last moment of the pause: a tick at its very end comes due."""
        return tick_text(datetime.fromisoformat(self.paused_until) - timedelta(microseconds=1))

    def moved(self, tick: str) -> Self:
        """The state with the cursor at a scheduled moment, unless it was decided already."""
        return replace(self, cursor=max(self.cursor, tick))

    def without(self, over: Collection[str]) -> Self:
        """The state without some runs that are over."""
        return replace(self, unfinished=tuple(run for run in self.unfinished if run not in over))


def subject_of(trigger: str) -> str:
    """The ledger's subject of a trigger."""
    return f"{TRIGGERS}{trigger}"


def tick_text(moment: datetime) -> str:
    """A scheduled moment as a tick: ISO in UTC, whose texts are in the order of their moments."""
    return moment.astimezone(UTC).isoformat()


def adoption(state: TriggerState | None, declared: Declared, now: datetime) -> TriggerState | None:
    """The state in which a trigger is taken in as it is declared now; None if that is how it is.

    It comes due from now on. Only if it comes due as it did before, what has come since then stays due: a changed
    parameter loses no tick.
    """
    declaration, at = described(declared), tick_text(now)
    if state is None:
        return TriggerState(declaration=declaration, adopted=at, cursor=at)
    if state.declaration == declaration:
        return None
    if _when(state.declaration) == _when(declaration):
        return replace(state, declaration=declaration)
    return replace(state, declaration=declaration, adopted=at, cursor=at)


def described(declared: Declared) -> dict[str, Any]:
    """A declaration as states have it: without its place in the code, which moves with every line above it."""
    return {**declared.to_json(), "where": ""}


_HOW = {
    *("name", "day_offset", "overlap", "parameters", "missed", "at_most"),
    *("settle", "id", "batch", "within", "secret", "former_secret"),
}
"""What does not decide when a trigger comes due."""


def _when(declaration: Mapping[str, Any]) -> dict[str, JSON]:
    return {key: value for key, value in declaration["trigger"].items() if key not in _HOW}


def body_of(state: TriggerState, **more: JSON) -> dict[str, JSON]:
    """The body of an entry: the whole state, and what the entry tells."""
    return {**state.to_json(), **more}
