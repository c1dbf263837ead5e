"""The measuring loop: every round goes through all cases, and in each case through all contenders."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks import process
from benchmarks.cases import Case
from benchmarks.figures import Line, Outcome, Table, complete, redone
from benchmarks.jobs import Contender, Entry, Job
from benchmarks.places import HOMES, LOGS, WORK

TIMEOUT = 420
SETTLE = 3.0


def interleaved(cases: Sequence[Case], contenders: Sequence[Contender], rounds: int) -> Table:
    """Measure A B A B: a slow minute of the machine falls on every contender alike."""
    plan = [(case, [entry for one in contenders for entry in one.entries(case.name)]) for case in cases]
    table: Table = {case.name: {entry.label: Line(entry.label) for entry in entries} for case, entries in plan}
    for number in range(rounds):
        for case, entries in plan:
            for entry in entries:
                if entry.runs is None or number < entry.runs:
                    outcome = once(case.name, entry)
                    table[case.name][entry.label].outcomes.append(outcome)
                    _say(number, case.name, entry.label, outcome)
    return table


def warm_up(contenders: Sequence[Contender]) -> None:
    """Run every contender's smallest pipeline once, uncounted: databases are made, bytecode is compiled."""
    for contender in contenders:
        for case in ("one", "import", "help"):
            for entry in contender.entries(case):
                outcome = once(case, entry)
                print(f"  warm-up {case:8} {entry.label:36} {outcome.trouble or f'{outcome.seconds:.2f} s'}")


def once(case: str, entry: Entry) -> Outcome:
    """Measure one entry once, in a folder made anew; the folder goes afterwards unless it went wrong."""
    folder = WORK / case / re.sub(r"[^a-z0-9]+", "-", entry.label.lower()).strip("-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for needed in (HOMES, LOGS):
        needed.mkdir(parents=True, exist_ok=True)
    job: Job | None = None
    try:
        job = entry.prepare(folder)
        outcome = _resumed(job, folder) if job.again else _timed(job, folder, entry.watch_memory)
    except Exception as trouble:  # noqa: BLE001 - one contender's trouble must not end the others' measurement
        outcome = Outcome(0.0, 0.0, 0, trouble=f"{type(trouble).__name__}: {trouble}")
    finally:
        process.end(process.survivors(folder))
        if job is not None and job.stop is not None:
            job.stop()
    if outcome.trouble is None:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _timed(job: Job, folder: Path, watch_memory: bool) -> Outcome:
    before = size(job.stored)
    log = log_of(folder, "")
    environ = process.environment(job.command, folder, HOMES)
    sample = process.run(job.command, environ, log, timeout=TIMEOUT, watch_memory=watch_memory)
    after = size(job.stored)
    stored = None if before is None or after is None else after - before
    trouble = None if sample.code == 0 else f"exit code {sample.code}, see {log}"
    return Outcome(
        sample.seconds,
        sample.cpu,
        sample.peak,
        stored,
        sample.own_peak,
        trouble=trouble or wrong_result(folder, job.expect),
    )


def _resumed(job: Job, folder: Path) -> Outcome:
    """Let the first process fail or kill it, mend the cause, and time the second."""
    assert job.again is not None
    environ = process.environment(job.command, folder, HOMES)
    reached = None if job.kill_at is None else (lambda: job.kill_at in effects(folder))
    process.run(job.command, environ, log_of(folder, "-first"), timeout=TIMEOUT, kill_when=reached)
    left = None
    if job.kill_at is not None:
        time.sleep(SETTLE)
        still = process.survivors(folder)
        left = len(still)
        process.end(still)
    first = effects(folder)
    (folder / "fixed").touch()
    command = job.again()
    log = log_of(folder, "-second")
    sample = process.run(command, process.environment(command, folder, HOMES), log, timeout=TIMEOUT)
    second = effects(folder)[len(first) :]
    trouble = wrong_result(folder, job.expect)
    if sample.code != 0 or not complete(first, second, 10):
        trouble = f"ran {first} and then {second}, exit code {sample.code}, see {log}"
    return Outcome(
        sample.seconds, sample.cpu, sample.peak, redone=redone(first, second), left=left, trouble=trouble
    )


def log_of(folder: Path, stream: str) -> Path:
    """Where the output of a process goes: beside the measured folders, so that it is not counted."""
    return LOGS / f"{folder.parent.name}-{folder.name}{stream}.txt"


def effects(folder: Path) -> list[int]:
    """The numbers of the steps that ran, in order, repetitions included."""
    with suppress(FileNotFoundError):
        return [int(number) for number in (folder / "effects.txt").read_text().split()]
    return []


def wrong_result(folder: Path, expect: str | None) -> str | None:
    """What is wrong with the result that the last step left; None when it is as expected."""
    if expect is None:
        return None
    with suppress(FileNotFoundError):
        result = (folder / "result.txt").read_text()
        return None if result == expect else f"the result is {result}, not {expect}"
    return f"the last step left no result in {folder}"


def size(folder: Path | None) -> int | None:
    """Bytes of all files below a folder, links not followed."""
    return None if folder is None else sum(size_of(path) for path in folder.rglob("*"))


def size_of(path: Path) -> int:
    """Bytes of one regular file; 0 for anything else or when it has gone."""
    with suppress(OSError):
        return path.stat().st_size if path.is_file() and not path.is_symlink() else 0
    return 0


def _say(number: int, case: str, label: str, outcome: Outcome) -> None:
    said = outcome.trouble or f"{outcome.seconds:7.3f} s"
    print(f"  round {number + 1}  {case:13} {label:36} {said}", flush=True)
