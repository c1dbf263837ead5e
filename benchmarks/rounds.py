"""The measuring loop: in each round every way of a case has its turn, so a slow minute falls on all of them."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import process
from benchmarks.builds import Build
from benchmarks.case import Case, Work, sessions
from benchmarks.places import HOMES, LOGS, REPOSITORY, WORK
from benchmarks.samples import Line, Sample, Table, differ

TIMEOUT = 420
Ways = Mapping[str, tuple[Work, Build]]
"""What takes turns in a case, by label."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure.

    Attributes:
        rounds: at most so many for each case.
        seconds: no further round of a case begins after so many, once there are the `least`. A way of which one
            round alone takes longer than that is not repeated.
        least: rounds that there are in any case.
        quick: whether cases have their quick size.
    """

    rounds: int
    seconds: float
    least: int = 3
    quick: bool = False

    def size(self, case: Case) -> int:
        """How much of a case is done."""
        return case.quick if self.quick else case.size


class Worker:
    """The process of one way: made ready once, then asked to do its work each round (`benchmarks.child`)."""

    def __init__(self, case: Case, label: str, work: Work, build: Build, size: int, *, cold: bool) -> None:
        name = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
        self.folder, self.line = WORK / "ways" / case.name / name, Line(label, size / (work.size or size))
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in (self.folder, HOMES, LOGS):
            folder.mkdir(parents=True, exist_ok=True)
        cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # servers that tests have fetched
        paths = {
            "XDG_CACHE_HOME": cache,
            "PYTHONPATH": f"{build.source}:{REPOSITORY}",
            "BENCH_SOURCE": str(build.source),
        }
        # How packages are fetched is for making a peer's environment; what is measured gets nothing of it.
        paths |= {n: value for n, value in os.environ.items() if n.startswith(("UV_", "SSL_CERT"))}
        argv = [sys.executable, "-m", "benchmarks.child", work.function]
        argv += [json.dumps([work.size or size, *work.arguments])] + (["cold"] if cold else [])
        self.log = LOGS / f"{case.name}-{name}.txt"
        self.took, self.answer = 0.0, None
        self.patience = case.patience or TIMEOUT
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                argv,
                cwd=self.folder,
                env=process.environment(self.folder, HOMES, **paths),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.note(self.reply())

    @property
    def able(self) -> bool:
        """Whether it can be asked for more."""
        return self.line.skipped is None and self.line.trouble is None

    def turn(self) -> None:
        """One round."""
        started = time.perf_counter()
        assert self.child.stdin is not None
        with suppress(BrokenPipeError):  # then there is no reply either, which is the trouble that is noted
            self.child.stdin.write(b"again\n")
            self.child.stdin.flush()
        self.note(self.reply())
        self.took = time.perf_counter() - started

    def note(self, reply: dict[str, Any]) -> None:
        """Keep what it said."""
        self.line.skipped, self.line.trouble = reply.get("skipped"), reply.get("trouble")
        if "samples" in reply:
            self.line.samples.append([Sample(**one) for one in reply["samples"]])
            self.answer = self.line.samples[-1][-1].answer

    def reply(self) -> dict[str, Any]:
        """Its next line; its trouble when it has died or takes too long."""
        assert self.child.stdout is not None
        if not select.select([self.child.stdout], [], [], self.patience)[0]:
            return {"trouble": f"took longer than {self.patience:g} s, see {self.log}"}
        said = self.child.stdout.readline()
        reply: dict[str, Any] = json.loads(said) if said else {"trouble": f"died, see {self.log}"}
        return reply

    def end(self) -> None:
        """End it and all that it has started; its folder goes unless there was trouble."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        with suppress(BrokenPipeError, subprocess.TimeoutExpired):
            self.child.stdin.close()  # so it cleans up and ends
            self.child.wait(60 if self.able else 1)
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()
        process.end(process.survivors(self.folder))
        if self.line.trouble is None:
            shutil.rmtree(self.folder, ignore_errors=True)


def measure(
    cases: Sequence[Case], ways_of: Callable[[Case], Ways], plan: Plan, cold: Callable[[Case, str], bool]
) -> Table:
    """Measure all cases.

    Args:
        cases: in the order of the report.
        ways_of: what takes turns in a case. The first way's result is the one that all others have to come to.
        plan: how long.
        cold: whether a way is not worth an uncounted first time.
    """
    table: Table = {}
    for session in sessions(cases):
        workers: list[tuple[Case, Worker]] = []
        try:
            for case in session:
                for label, (work, build) in ways_of(case).items():
                    worker = Worker(case, label, work, build, plan.size(case), cold=cold(case, label))
                    workers.append((case, worker))
                    if not worker.able:
                        say(case, worker)
            take_turns([worker for _, worker in workers], plan, plan.seconds * len(session))
        finally:
            for _, worker in workers:
                worker.end()
        for case in session:
            own = [worker for one, worker in workers if one is case]
            refuse_other_results(own)
            table[case.name] = {worker.line.label: worker.line for worker in own}
            for worker in own:
                if worker.line.samples:
                    say(case, worker)
    return table


def take_turns(workers: Sequence[Worker], plan: Plan, seconds: float) -> None:
    """The rounds, as long as there are `seconds` left.

    Every second one goes the other way round, so that nobody always comes after the same one.
    """
    started = time.perf_counter()
    for number in range(plan.rounds):
        if number >= plan.least and time.perf_counter() - started > seconds:
            break
        for worker in workers if number % 2 == 0 else reversed(workers):
            if worker.able and (number == 0 or worker.took <= plan.seconds):
                worker.turn()


def refuse_other_results(workers: Sequence[Worker]) -> None:
    """What came to another result than the first way with one has not done the work: no sample counts."""
    answering = [one for one in workers if one.able and one.answer is not None]
    for worker in answering:
        first = next(one for one in answering if one.line.scale == worker.line.scale)  # as much was done
        difference = differ(worker.answer, first.answer)
        if difference is not None:
            worker.line.trouble = f"{difference} as {first.line.label!r} has it"


def say(case: Case, worker: Worker) -> None:
    """One line about what became of a way."""
    line = worker.line
    if line.skipped or line.trouble:
        text = f"skipped: {line.skipped}" if line.skipped else f"FAILED: {line.trouble}"
    else:
        text = f"{line.median('seconds'):9.4f} s  CPU {line.median('cpu'):9.4f} s  {len(line.samples)} rounds"
    print(f"  {case.name:16} {line.label:34} {text}", flush=True)
