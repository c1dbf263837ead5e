"""Kill runs at random moments, resume them until they succeed, and compare with runs that nobody disturbed.

    python -m tests.crash --kills 500 [--seed N] [--isolation fresh]

A project gets three runs, one after the other; each is killed and resumed until it has succeeded. Then its
tables, the digests of everything its steps made, its journal and its folder are compared with those of a
project in which the same runs were left in peace. A kill is SIGKILL to the driver alone, to the driver and all
that it started, to the host, or to one worker, and counts only if the run had not succeeded by then.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trikk.execution.project import Project
from trikk.runs.run_state import RunState

SOURCE = Path(__file__).parent / "execution" / "crash_project"
NIGHTS = (1, 2, 3)
TARGETS = ("driver", "session", "host", "worker")
PATIENCE = 120.0  # seconds after which a process counts as hanging


class Difference(Exception):
    """What a disturbed project has and an undisturbed one has not, or the other way round."""


@dataclass
class Tally:
    """What was done so far."""

    kills: int = 0
    late: int = 0
    starts: int = 0
    resumes: int = 0
    projects: int = 0
    runs: int = 0
    targets: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        return {
            "kills": self.kills,
            "kills after the run's success (not counted)": self.late,
            "projects": self.projects,
            "runs": self.runs,
            "starts": self.starts,
            "resumes": self.resumes,
            "killed": dict(self.targets.most_common()),
            "during": dict(self.commands.most_common()),
            "last event before the kill": dict(self.moments.most_common()),
            "steps in flight at a kill": dict(self.in_flight.most_common()),
        }


@dataclass
class Outcome:
    """Everything that must be the same, whatever happened on the way."""

    artifacts: list[dict[str, Any]]
    tables: dict[str, list[tuple[Any, ...]]]
    versions: dict[str, int | None]


# ---- processes


def command(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start `trikk` in a project, its output kept in a file beside it."""
    with (folder.parent / f"{folder.name}.out").open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "trikk.cli.main", *arguments], cwd=folder, stdout=out, stderr=out
        )


def children(pid: int) -> list[int]:
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def family(pid: int) -> tuple[list[int], list[int]]:
    """The hosts and workers below a driver."""
    hosts = [c for c in children(pid) if b"trikk.execution.workers.host" in cmdline(c)]
    return hosts, [w for h in hosts for w in children(h)]


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def alive_in(folder: Path) -> list[str]:
    """Command lines of living processes that belong to a project."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = cmdline(int(entry.name)).replace(b"\0", b" ").decode(errors="replace")
            inside = str(folder) in text or (entry / "cwd").readlink() == folder
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if inside and state not in "ZX":
            found.append(f"{entry.name} ({state}): {text}")
    return found


# ---- the journal, read without trikk's own code in the way


def events(folder: Path) -> list[tuple[int, str, str, str]]:
    """(seq, run, kind, body) of every event; none if there is no journal yet."""
    path = folder / ".trikk" / "journal.db"
    if not path.exists():
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            return list(connection.execute("SELECT seq, run, kind, body FROM events ORDER BY seq"))
    except sqlite3.OperationalError as error:
        if "no such table" in str(error) or "unable to open" in str(error):
            return []
        raise


def in_flight(found: list[tuple[int, str, str, str]]) -> set[str]:
    """Names of the steps that had begun and not ended."""
    open_tasks: set[tuple[str, Any]] = set()
    for _, _, kind, text in found:
        body = json.loads(text)
        task = (body.get("step", ""), body.get("item"))
        if kind == "step.started":
            open_tasks.add(task)
        elif kind.startswith("step."):
            open_tasks.discard(task)
        else:
            open_tasks.clear()
    return {name for name, _ in open_tasks}


# ---- one run, killed until it succeeds


class Attacker:
    """Runs the nights of one project and kills what it can.

    Args:
        folder: the project.
        rng: decides whom to kill, and when.
        tally: is added to.
        budget: stop killing when the tally has this many kills.
        length: seconds that an undisturbed `trikk run` takes.
        per_run: kills of one run at most, so that each run ends.
    """

    def __init__(
        self, folder: Path, rng: random.Random, tally: Tally, budget: int, length: float, per_run: int = 12
    ) -> None:
        self.folder = folder
        self.rng = rng
        self.tally = tally
        self.budget = budget
        self.length = length
        self.per_run = per_run
        self.killed = 0
        self.before = 0  # events of earlier runs

    def night(self, number: int) -> None:
        """One run, from its first start to its success."""
        self.killed, self.before = 0, len(events(self.folder))
        while True:
            mine = events(self.folder)[self.before :]
            if any(kind == "run.succeeded" for _, _, kind, _ in mine):
                self.tally.runs += 1
                return
            if mine:
                self.tally.resumes += 1
                self._live("resume", mine[0][1])
            else:
                self.tally.starts += 1
                self._live("run", "night", "-p", f"night={number}")

    def _live(self, *arguments: str) -> None:
        """One process of the driver, from its start to its end, killed or not."""
        process = command(self.folder, *arguments)
        excused = False
        try:
            while self._wait(process):
                target = self.rng.choice(TARGETS)
                excused |= self._strike(process, target, arguments[0])
            self._judge(process, arguments, excused=excused)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _wait(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for the next moment to kill; False if the process ends before it, or has been killed enough."""
        if self.killed >= self.per_run or self.tally.kills >= self.budget:
            process.wait(PATIENCE)
            return False
        count = self.rng.choice((0, self.rng.randint(1, 4), self.rng.randint(1, 30)))
        if count == 0:
            delay = self.rng.uniform(0, self.length * 0.9)
        else:
            self._await_events(process, count)
            delay = self.rng.choice((0.0, self.rng.uniform(0, 0.003), self.rng.uniform(0, 0.03)))
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _await_events(self, process: subprocess.Popen[bytes], count: int) -> None:
        before, until = len(events(self.folder)), time.monotonic() + PATIENCE
        while process.poll() is None and len(events(self.folder)) < before + count:
            if time.monotonic() > until:
                raise Difference("a driver has written nothing for two minutes")
            time.sleep(0.001)

    def _strike(self, process: subprocess.Popen[bytes], target: str, verb: str) -> bool:
        """Kill; return whether the driver may now end with an error of its own."""
        hosts, workers = family(process.pid)
        if target == "worker" and not workers:
            target = "host"
        if target == "host" and not hosts:
            target = "driver"
        mine = events(self.folder)[self.before :]
        if target == "driver":
            hit = kill(process.pid)
        elif target == "session":
            everyone = [process.pid, *hosts, *workers]
            self.rng.shuffle(everyone)
            hit = sum(kill(pid) for pid in everyone) > 0
        else:
            hit = kill(self.rng.choice(hosts if target == "host" else workers))
        if target != "worker":
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
        if hit:
            self._count(target, verb, mine)
        return target == "host"

    def _count(self, target: str, verb: str, before: list[tuple[int, str, str, str]]) -> None:
        if any(kind == "run.succeeded" for _, _, kind, _ in events(self.folder)[self.before :]):
            self.tally.late += 1
            return
        self.killed += 1
        self.tally.kills += 1
        self.tally.targets[target] += 1
        self.tally.commands[verb] += 1
        self.tally.moments[before[-1][2] if before else "none: the run was not created yet"] += 1
        self.tally.in_flight.update(in_flight(before))

    def _judge(self, process: subprocess.Popen[bytes], arguments: tuple[str, ...], *, excused: bool) -> None:
        code = process.poll()
        if code is None:
            raise Difference(f"trikk {' '.join(arguments)} hangs")
        if code not in (0, -signal.SIGKILL) and not excused:
            raise Difference(f"trikk {' '.join(arguments)} ended with {code} though only workers were killed")


# ---- what came of it


def outcome(folder: Path) -> Outcome:
    """The results of a project, and its journal's and processes' good order."""
    project = Project.open(folder)
    runs = [project.run(row.id) for row in reversed(project.journal.runs(limit=None))]
    if damage := project.journal.check():
        raise Difference(f"the journal is damaged: {damage}")
    for run in runs:
        if run.state == "succeeded":
            _check_nothing_twice(project, run)
    good = [run for run in runs if run.state == "succeeded"]
    tables = {}
    for name in project.tables.names():
        frame = project.tables.scan(name).collect()
        rows = sorted(frame.select(sorted(frame.columns)).rows())
        if len(set(rows)) != len(rows):
            raise Difference(f"table {name} has rows twice")
        tables[name] = rows
    versions = {name: project.tables.version(name) for name in tables}
    project.journal.close()
    return Outcome([_artifacts(run) for run in good], tables, versions)


def _artifacts(run: RunState) -> dict[str, Any]:
    made: dict[str, Any] = {"parameters": run.parameters}
    for (name, item), task in run.tasks():
        made[f"{name}[{item}]"] = (task.state, [o["digest"] for o in task.outputs or []])
    return dict(sorted(made.items()))


def _check_nothing_twice(project: Project, run: RunState) -> None:
    done: set[tuple[str, int | None]] = set()
    for event in project.journal.events(run.id):
        task = (str(event.body.get("step")), event.body.get("item"))
        if event.kind == "step.succeeded":
            if task in done:
                raise Difference(f"run {run.id}: {task} succeeded twice")
            done.add(task)  # type: ignore[arg-type]
        elif event.kind == "step.invalidated":
            raise Difference(f"run {run.id}: {task} was invalidated: {event.body.get('reason')}")
        elif event.kind == "step.started" and (task in done or (task[0], None) in done):
            raise Difference(f"run {run.id}: {task} had succeeded and was started again")


def compare(found: Outcome, wanted: Outcome) -> None:
    """Raise Difference at the first thing that is not the same."""
    if len(found.artifacts) != len(wanted.artifacts):
        raise Difference(f"{len(found.artifacts)} runs succeeded, not {len(wanted.artifacts)}")
    for mine, theirs in zip(found.artifacts, wanted.artifacts, strict=True):
        for name in sorted({*mine, *theirs}):
            if mine.get(name) != theirs.get(name):
                raise Difference(f"{name} made {mine.get(name)}, undisturbed {theirs.get(name)}")
    for name in sorted({*found.tables, *wanted.tables}):
        if found.tables.get(name) != wanted.tables.get(name):
            counts = [len(t.get(name, [])) for t in (found.tables, wanted.tables)]
            raise Difference(f"table {name} differs: {counts[0]} rows, undisturbed {counts[1]}")
    if found.versions != wanted.versions:
        raise Difference(f"tables are at versions {found.versions}, undisturbed {wanted.versions}")


def check_folder(folder: Path) -> None:
    """Nobody is left alive, and clean-up removes what the killed left behind."""
    until = time.monotonic() + 10
    while left := alive_in(folder):
        if time.monotonic() > until:
            raise Difference(f"processes are left: {left}")
        time.sleep(0.05)
    done = command(folder, "gc", "--grace", "0s").wait(PATIENCE)
    if done != 0:
        raise Difference(f"trikk gc ended with {done}")
    half = [str(p.relative_to(folder)) for p in leftovers(folder)]
    if half:
        raise Difference(f"half-written files are left after gc: {half[:10]}")


def leftovers(folder: Path) -> list[Path]:
    """Files of a project's state that nothing refers to."""
    state = folder / ".trikk"
    found = list((state / "artifacts" / "tmp").iterdir())
    found += [p for p in state.rglob("*") if p.name.endswith(".tmp") or p.name.startswith("_commit_")]
    for table in (state / "tables").iterdir():
        entries = [p.read_text() for p in (table / "_delta_log").glob("*.json")]
        named = {
            json.loads(line)["add"]["path"]
            for e in entries
            for line in e.splitlines()
            if line.startswith('{"add"')
        }
        found += [p for p in table.glob("*.parquet") if p.name not in named]
    return found


def make_project(parent: Path, name: str, isolation: str) -> Path:
    folder = Path(shutil.copytree(SOURCE, parent / name, ignore=shutil.ignore_patterns("__pycache__")))
    with (folder / "trikk.toml").open("a") as file:
        file.write(f'isolation = "{isolation}"\n')
    return folder


def undisturbed(parent: Path, isolation: str, nights: tuple[int, ...]) -> tuple[Outcome, float]:
    """What the nights give in peace, and how many seconds one took."""
    folder = make_project(parent, "undisturbed", isolation)
    began = time.monotonic()
    for number in nights:
        if command(folder, "run", "night", "-p", f"night={number}").wait(PATIENCE) != 0:
            raise Difference(f"an undisturbed run failed: {folder}.out")
    return outcome(folder), (time.monotonic() - began) / len(nights)


def attack(
    parent: Path,
    kills: int,
    seed: int,
    *,
    isolation: str = "auto",
    nights: tuple[int, ...] = NIGHTS,
    report: Any = None,
) -> Tally:
    """Disturb project after project until there were that many kills.

    Raises:
        Difference: at the first result that is not as it would have been; the project stays in `parent`.
    """
    rng, tally = random.Random(seed), Tally()
    wanted, length = undisturbed(parent, isolation, nights)
    while tally.kills < kills:
        folder = make_project(parent, f"project-{tally.projects}", isolation)
        attacker = Attacker(folder, rng, tally, kills, length)
        try:
            for number in nights:
                attacker.night(number)
            compare(outcome(folder), wanted)
            check_folder(folder)
        except Difference as error:
            raise Difference(f"{folder}: {error}") from error
        tally.projects += 1
        shutil.rmtree(folder)
        if report is not None:
            report(tally)
    return tally


def main() -> int:
    """Print figures; exit code 1, with the seed and the project's folder, at the first difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--isolation", choices=["auto", "fork", "fresh"], default="auto")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    parent = Path(tempfile.mkdtemp(prefix="trikk-crash-"))
    print(f"seed {seed}, in {parent}", flush=True)
    began = time.monotonic()

    def report(tally: Tally) -> None:
        print(f"  {tally.kills} kills in {tally.projects} projects, {time.monotonic() - began:.0f} s", flush=True)

    try:
        tally = attack(parent, given.kills, seed, isolation=given.isolation, report=report)
    except Difference as error:
        print(f"DIFFERENT (seed {seed}): {error}", file=sys.stderr)
        return 1
    shutil.rmtree(parent)
    print(json.dumps({"seed": seed, **tally.to_json(), "seconds": round(time.monotonic() - began, 1)}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
