"""Kill servers under load, with the processes that fork their runs, and look that each run was done once.

    python -m tests.crash_server --kills 100 [--seed N] [--serve]

While runs are asked for, a server is killed with SIGKILL at random moments and started again, as a service
manager would: at times while it starts, mostly while it starts runs. Every third time the process that forks
drivers, or the template of hosts, is killed before. Drivers, hosts and workers are not: nothing that was
begun may notice. In the end every run must have succeeded, each of its steps with one attempt, and no process
may be left. With `--serve` it is `trikk serve`, otherwise its queue alone.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.crash import PATIENCE, Difference, kill
from tests.server.queue_folder import QueueFolder, forkers, processes

from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.runs.events import EventKind

ASKED = 4  # runs before each kill
STARTING, RUNNING = 0.6, 0.3  # seconds at most until a kill, from the start of the server or of its first run


def begin(folder: QueueFolder, *, serve: bool) -> subprocess.Popen[bytes]:
    command = ["trikk.cli.main", "serve", "--port=0"] if serve else ["tests.server.queue_server", str(folder.root)]
    with (folder.root / "server.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *command], cwd=folder.root if serve else None, stdout=log, stderr=log
        )


def attack(root: Path, kills: int, seed: int, *, serve: bool = False) -> Counter[str]:
    """Disturb servers so many times; what was killed and what was done.

    Raises:
        Difference: if a run was lost, done twice, or failed; the project stays.
    """
    rng, tally, folder = random.Random(seed), Counter[str](), QueueFolder(root)
    runs: list[str] = []
    with Session(folder.project, How()) as session:
        for number in range(kills):
            server = begin(folder, serve=serve)
            asked = [
                folder.ask(session, "short", f"t{n}", time.time(), name=str(n))
                for n in range(len(runs), len(runs) + ASKED)
            ]
            runs += asked
            if number % 3:
                wait_for(lambda: any(folder.kinds(run)[1:] for run in asked), folder)  # noqa: B023
                time.sleep(rng.uniform(0, RUNNING))
            else:
                time.sleep(rng.uniform(0, STARTING))
            if number % 3 == 1:
                for pid in forkers(folder.root, server.pid)[rng.randrange(2) :][:1]:
                    tally["forkers"] += kill(pid)
            server.kill()
            tally["servers"] += server.wait(PATIENCE) == -signal.SIGKILL
    server = begin(folder, serve=serve)
    try:
        wait_for(lambda: folder.project.journal.count(state="succeeded") == len(runs), folder)
    finally:
        server.kill()
        server.wait(PATIENCE)
    wait_for(lambda: not processes(folder.root), folder)
    examine(folder, runs)
    tally["runs"] = len(runs)
    folder.project.close()
    return tally


def wait_for(condition: Callable[[], object], folder: QueueFolder) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            states = Counter(row.state for row in folder.project.journal.runs(limit=None))
            left = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes(folder.root)}
            raise Difference(f"{folder.root}: after {PATIENCE} s runs are {dict(states)}, processes {left}")
        time.sleep(0.05)


def examine(folder: QueueFolder, runs: list[str]) -> None:
    """Every run was done, and once: what its step has written stands there once."""
    lines = Counter(folder.lines("notes"))
    if twice := {line: count for line, count in lines.items() if count != 1}:
        raise Difference(f"{folder.root}: steps ran more than once: {twice}")
    if lines.total() != len(runs):
        raise Difference(f"{folder.root}: {lines.total()} steps ran, of {len(runs)} runs")
    for run in runs:
        kinds = Counter(folder.kinds(run))
        once = (EventKind.RUN_CREATED, EventKind.RUN_STARTED, EventKind.STEP_STARTED, EventKind.RUN_SUCCEEDED)
        if any(kinds[kind] != 1 for kind in once):
            raise Difference(f"{folder.root}: run {run} has {dict(kinds)}")
    if damage := folder.project.journal.check():
        raise Difference(f"{folder.root}: {damage}")
    if "Traceback" in (folder.root / "server.log").read_text():
        raise Difference(f"{folder.root}: a server has logged a stack trace")


def main() -> int:
    """Print figures; exit code 1, with the seed and the project's folder, at the first difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        root = Path(tempfile.mkdtemp(prefix="trikk-crash-")) / "project"
        tally = attack(root, options.kills, options.seed, serve=options.serve)
    except Difference as error:
        print(f"seed {options.seed}: {error}")
        return 1
    print(f"seed {options.seed}: {dict(tally)}, {time.monotonic() - began:.0f} s, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
