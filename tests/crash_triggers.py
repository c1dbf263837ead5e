"""Kill engines of triggers at random moments while the clock is put forward; each tick must have one run.

    python -m tests.crash_triggers --ticks 20000 [--journal sqlite|postgresql|URL] [--queue 100] [--seed N]

Several processes look after the triggers of one journal, each by a clock of its own that is a few seconds off. The
time that they see is put forward, by minutes, hours and a day, across the change of clocks in spring. All the
while one of them is killed, and another takes its place. They fire by hand, before a moment comes and after it,
give each event several times, and let runs end. At the end each scheduled moment must have been decided once, as
its trigger declares, each tick and each event have one run, and the journal's checksums must hold. A moment that
was skipped must say why, and that must have been so: as many runs waited as may (`--queue`, few here, so that it
happens), or an earlier run was not over. If not, what the journal has of the trigger is kept in a file, and shown
around the moments in question.
"""

from __future__ import annotations

import argparse
import json
import logging
import mmap
import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from tests.server.schedule.places import GRAPHS, by_hand, declared, project_of
from tests.servers.postgres import PostgresServer, start_postgres

from trikk.core.errors import JournalError
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.ledger import Entry
from trikk.runs.journals.open_journal import open_journal
from trikk.runs.states import OVER, RunStatus
from trikk.server.schedule import trigger_actions
from trikk.server.schedule.engine import Engine
from trikk.server.schedule.trigger_standing import standing_of
from trikk.triggers import Cron, Event, FileArrived, Interval
from trikk.triggers.clock_triggers import ClockTrigger
from trikk.triggers.due_ticks import FULL
from trikk.triggers.trigger_state import TriggerEntry, tick_text

START = datetime(2026, 3, 28, 20, tzinfo=UTC)
EVERY = 300.0
CLOCK_TRIGGERS: dict[str, ClockTrigger] = {
    "all": Interval("5m", missed="all", at_most=10_000),
    "oslo": Cron("*/20 * * * *", timezone="Europe/Oslo", missed="all", at_most=10_000, overlap="allow"),
    "latest": Interval("5m"),
    "skipping": Cron("30 * * * *", timezone="Europe/Oslo", overlap="skip"),
}
TRIGGERS = declared(**CLOCK_TRIGGERS, files=FileArrived("inbox/*.csv"))
PATIENCE = 120.0
"""Seconds after which engines that are left in peace must have decided everything."""
SLOWEST = 1.0
"""Seconds after which the clock is put forward whatever engines do."""
SHOWN = 10
"""Entries that are shown before and after a moment in question."""


class SharedClock:
    """A time that all processes read from one page of memory, and how many turns of theirs it has seen."""

    def __init__(self, page: mmap.mmap) -> None:
        self._page = page

    def set(self, moment: float) -> None:
        self._page[:8] = struct.pack("d", moment)

    def now(self) -> float:
        return float(struct.unpack("d", self._page[:8])[0])

    def note_turn(self) -> None:
        """Two at once may count as one: it is only a sign of life."""
        self._page[8:16] = struct.pack("q", self.turns() + 1)

    def turns(self) -> int:
        return int(struct.unpack("q", self._page[8:16])[0])


def engine_process(location: str, clock: SharedClock, seed: int) -> NoReturn:
    """Look after the triggers until it is killed."""
    rng = random.Random(seed)
    skew = rng.uniform(-3, 3)
    project = project_of(open_journal(location))
    engine = Engine(project)
    is_adopted = False
    while True:
        now = clock.now() + skew
        try:
            if not is_adopted:
                engine.adopt(TRIGGERS, GRAPHS, now)
                is_adopted = True
            engine.turn(now)
            clock.note_turn()
            _meddle(project, engine, now, rng)
        except JournalError:  # locked: it is done again, as a server would
            pass
        time.sleep(rng.uniform(0, 0.01))


def _meddle(project: Any, engine: Engine, now: float, rng: random.Random) -> None:
    """What people, sources and drivers do meanwhile."""
    number = int(now // EVERY)
    if rng.random() < 0.5:
        engine.deliver("files", event_of(number - rng.randrange(4)), now)
    if rng.random() < 0.1:
        tick = datetime.fromtimestamp((number + rng.randrange(-2, 4)) * EVERY, UTC)
        by_hand(project, engine, datetime.fromtimestamp(now, UTC), tick, rng.choice(["all", "latest"]))
    if rng.random() < 0.1:
        standing = standing_of(project.journal, "skipping", datetime.now(UTC))
        run = standing.state.last_run if standing else ""
        if run and project.journal.row(run).state not in OVER:
            project.journal.append(run, EventKind.RUN_SUCCEEDED, {}, at=now)
    if rng.random() < 0.1:  # else nothing more would be started once the queue is full
        for row in project.journal.runs(state=RunStatus.QUEUED, limit=200):
            if row.origin["trigger"] != "skipping":
                project.journal.append(row.id, EventKind.RUN_SUCCEEDED, {}, at=now)


def event_of(number: int) -> Event:
    path = f"inbox/{number}.csv"
    return Event(id=path, kind="file-arrived", at=datetime.fromtimestamp(number * EVERY, UTC), path=path)


def disturb(location: str, ticks: int, engines: int, seed: int) -> dict[str, Any]:
    """Run engines, kill them, put the clock forward until so many ticks of "all" have come; what was seen."""
    rng = random.Random(seed)
    clock = SharedClock(mmap.mmap(-1, 16))
    clock.set(START.timestamp())
    open_journal(location).close()  # its tables, before processes meet
    living = [_fork(location, clock, rng.randrange(1 << 30)) for _ in range(engines)]
    end, kills, jumps = START.timestamp() + ticks * EVERY, 0, 0
    began = time.monotonic()
    try:
        _wait_until_adopted(location)  # before the time moves: what comes earlier is not due
        while clock.now() < end:
            _wait_for_a_turn(clock)  # on a busy machine engines would only be killed as they start otherwise
            time.sleep(rng.uniform(0, 0.03))
            # most often by a tick, at times by hours, as when a machine wakes up
            step = rng.choices([60.0, EVERY, 2 * EVERY, 6 * 3600.0, 86400.0], [30, 40, 25, 2, 0.2])[0]
            clock.set(min(end, clock.now() + step))
            jumps += 1
            if rng.random() < 0.5:
                _end(living.pop(rng.randrange(len(living))))
                living.append(_fork(location, clock, rng.randrange(1 << 30)))
                kills += 1
        clock.set(end + 3)  # for those whose clock is behind
        with_journal = open_journal(location)
        try:
            _wait_until_decided(with_journal, clock, end)
        finally:
            with_journal.close()
    finally:
        for pid in living:
            _end(pid)
    return {"kills": kills, "jumps": jumps, "seconds": round(time.monotonic() - began, 1)}


def _fork(location: str, clock: SharedClock, seed: int) -> int:
    """Fork rather than start an interpreter: more kills in less time. This process has no thread, no journal."""
    pid = os.fork()
    if pid == 0:
        try:
            engine_process(location, clock, seed)
        finally:
            os._exit(1)
    return pid


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"an engine has ended by itself: {status}"


def _wait_for_a_turn(clock: SharedClock) -> None:
    before, until = clock.turns(), time.monotonic() + SLOWEST
    while clock.turns() == before and time.monotonic() < until:
        time.sleep(0.002)


def _wait_until_adopted(location: str) -> None:
    until = time.monotonic() + PATIENCE
    journal = open_journal(location)
    try:
        while any(standing_of(journal, name, datetime.now(UTC)) is None for name in TRIGGERS):
            assert time.monotonic() < until, "no engine has taken the triggers in"
            time.sleep(0.01)
    finally:
        journal.close()


def _wait_until_decided(journal: Journal, clock: SharedClock, end: float) -> None:
    until = time.monotonic() + PATIENCE
    moment = datetime.fromtimestamp(end, UTC)
    for name, trigger in CLOCK_TRIGGERS.items():
        last = trigger.newest(START - timedelta(days=1), moment, 1)[0]
        while (standing := standing_of(journal, name, datetime.now(UTC))) is None or standing.state.decided < last:
            assert time.monotonic() < until, f"{name} has not been decided to its end"
            time.sleep(0.02)
            clock.set(clock.now() + 1.0)  # what waits for room is looked at again after some seconds


def judge(location: str, queue: int, engines: int, seed: int) -> dict[str, Any]:
    """Whether each moment was decided once and each tick has one run; the figures."""
    journal = open_journal(location)
    try:
        assert journal.check() == []
        rows = journal.runs(limit=None)
        runs = Counter((row.origin["trigger"], row.origin["tick"]) for row in rows)
        twice = [cause for cause, number in runs.items() if number > 1]
        assert not twice, f"two runs for {twice[:5]}"
        skipped: Counter[str] = Counter()
        for name, trigger in CLOCK_TRIGGERS.items():
            entries = journal.entries(f"trigger/{name}")
            wrong = _wrong_moments(name, trigger, entries, {str(tick) for owner, tick in runs if owner == name})
            # Of PostgreSQL an engine that was about to end a run may have been given that event's number, no more.
            wrong |= _wrong_skips(journal, name, entries, queue, unsure=engines if "://" in location else 0)
            assert not wrong, _shown(name, entries, wrong, seed)
            skipped[name] = sum(entry.kind == TriggerEntry.SKIPPED for entry in entries)
        given = [row for row in rows if row.origin["trigger"] == "files"]
        assert all(row.parameters["event"]["id"] == row.origin["tick"] for row in given)  # type: ignore[index,call-overload]
        by_trigger = dict(Counter(str(owner) for owner, _ in runs))
        return {"runs": len(rows), "by trigger": by_trigger, "skipped": dict(skipped)}
    finally:
        journal.close()


def _wrong_moments(name: str, trigger: ClockTrigger, entries: list[Entry], ran: set[str]) -> dict[str, str]:
    """Moments that were not decided, decided twice, or have no run though each is to have one; by tick, why."""
    cursors = [entry.body["cursor"] for entry in entries]
    assert cursors == sorted(cursors, key=str), f"the cursor of {name} has gone back"
    adopted, decided = (datetime.fromisoformat(str(cursor)) for cursor in (cursors[0], cursors[-1]))
    come = {tick_text(tick) for tick in trigger.ticks(adopted, decided)}
    by_hand = {str(entry.body["tick"]) for entry in entries if entry.body.get("by")}
    scheduled = Counter(ran - by_hand)
    for entry in entries:
        if entry.kind == TriggerEntry.SKIPPED:
            scheduled[str(entry.body["tick"])] += 1
        if entry.kind == TriggerEntry.MISSED:
            first, last = (datetime.fromisoformat(str(entry.body[key])) for key in ("first", "last"))
            scheduled.update(tick_text(tick) for tick in trigger.ticks(first - timedelta(seconds=1), last))
    # one that is missed may have been run by hand, before or afterwards
    wrong = dict.fromkeys(come - {*scheduled} - by_hand, "it was not decided")
    wrong |= dict.fromkeys({*scheduled} - come, "it is no moment of the trigger's")
    wrong |= {tick: "it was decided twice" for tick, number in scheduled.items() if number > 1}
    if trigger.missed == "all":
        wrong |= dict.fromkeys(come - ran, "it has no run")
    return wrong


def _wrong_skips(journal: Journal, name: str, entries: list[Entry], queue: int, unsure: int) -> dict[str, str]:
    """Moments that were skipped for a reason that was none; by tick, why.

    Runs are started by entries of their trigger alone, so no more of them waited when one was skipped than after
    the last start before it.
    """
    ends = {event.run: event.seq for event in journal.ends(after=0)[0]}
    wrong, started, last = {}, [], 0
    for entry in entries:
        run = str(entry.body.get("run", ""))
        if entry.kind == TriggerEntry.STARTED:
            last = journal.events(run, limit=1)[0].seq
            started.append(run)
        if entry.kind != TriggerEntry.SKIPPED:
            continue
        why = str(entry.body["why"])
        waiting = [run for run in started if ends.get(run, last + 1) > last]
        if why == FULL and len(waiting) + unsure < queue:
            wrong[str(entry.body["tick"])] = f"{len(waiting)} waited, and {queue} may"
        elif why != FULL and (name != "skipping" or why not in {f"run {run} is not over" for run in waiting}):
            wrong[str(entry.body["tick"])] = why
    return wrong


def _shown(name: str, entries: list[Entry], wrong: dict[str, str], seed: int) -> str:
    """The first wrong moments with the entries around them; all entries are kept in a file."""
    told = ("tick", "run", "why", "by", "first", "last", "count", "cursor")
    lines = [
        f"{entry.seq} {entry.kind} " + json.dumps({key: entry.body[key] for key in told if key in entry.body})
        for entry in entries
    ]
    kept = Path(tempfile.gettempdir()) / f"crash-triggers-{seed}-{name}.txt"
    kept.write_text("\n".join(lines))
    text = f"seed {seed}, {name}: {len(wrong)} moments are wrong; all its entries are in {kept}"
    for tick in sorted(wrong)[:3]:
        places = [number for number, line in enumerate(lines) if f'"{tick}"' in line]
        around = lines[max(0, min(places) - SHOWN) : max(places) + SHOWN] if places else []
        text += f"\n\n{tick}: {wrong[tick]}\n" + "\n".join(around)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill engines of triggers at random moments.")
    parser.add_argument("--ticks", type=int, default=20_000)
    parser.add_argument("--journal", default="sqlite")
    parser.add_argument("--engines", type=int, default=4)
    parser.add_argument("--queue", type=int, default=100, help="how many runs of a trigger may wait")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    given = parser.parse_args()
    print(f"seed {given.seed}", file=sys.stderr)
    trigger_actions.QUEUED_AT_MOST = given.queue  # engines are forks of this process
    logging.getLogger("trikk.server").setLevel(logging.ERROR)  # that moments wait for room is no news here
    with tempfile.TemporaryDirectory(prefix="trikk-crash-") as folder:
        location = given.journal
        if location == "sqlite":
            location = str(Path(folder) / "journal.db")
        elif location == "postgresql":
            location = PostgresServer(**start_postgres(Path(folder), os.getpid())[0]).url
        seen = disturb(location, given.ticks, given.engines, given.seed)
        judged = judge(location, given.queue, given.engines, given.seed)
        print(json.dumps({"seed": given.seed, "ticks": given.ticks, **seen, **judged}))


if __name__ == "__main__":
    main()
