"""Kill commands that are more than one run, with clean-up beside them, repeat them, and compare with peace.

    python -m tests.crash_commands --kills 40 [--seed N]

A project lives through an ingest, a promotion by a gate and one by hand, a backfill, a sweep and a look of the
watch. Each command is killed at random moments, driver alone or with all that it started, and given again as its
user would; beside half of them runs `trikk gc`, killed at times as well, for which all that is there was made
two hours old. Then tables, messages, models, figures, incidents and trials must be those of a project that nobody
disturbed, and `doctor` must find nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.crash import PATIENCE, Difference, command, family, kill

from trikk.execution.project import Project
from trikk.publishing import Stream

SOURCE = Path(__file__).parent / "execution" / "earlier_project"
SWEPT = """

@step
def scored(n: int) -> dict[str, int]:
    return {"score": n * n}


@pipeline
def tuning(n: int):
    scored(n)
"""
PERIOD = "--from 2024-03-01 --at 23:59 --missing -q"
LIFE = {
    "ingest": "ingest stations stations.csv",
    "gate": f"backfill train {PERIOD} --to 2024-03-01",
    "backfill": f"backfill night {PERIOD} --to 2024-03-02 -p error=9",
    "sweep": "sweep tuning -p n=1,2,3 --metric scored.score",
    "promotion": "models promote people 1 --alias tested --why tried",
    "watch": "watch --once --now 2024-03-05T12:00",
}
VOLATILE = ("prediction_id", "predicted_at", "run")
KILLS_OF_ONE = 2


def make(parent: Path, name: str) -> Path:
    folder = Path(shutil.copytree(SOURCE, parent / name, ignore=shutil.ignore_patterns("__pycache__")))
    with (folder / "pipelines.py").open("a") as file:
        file.write(SWEPT)
    (folder / "stations.csv").write_text("name,lines\nnorth,2\nsouth,5\n")
    return folder


def given(folder: Path, name: str) -> list[str]:
    """A command as its user gives it, for the first time or again."""
    if name == "sweep" and (folder / ".trikk" / "journal.db").exists():
        project = Project.open(folder)
        begun = project.journal.children("sweep/")
        project.close()
        if begun:
            return ["sweep", "--resume", begun[0]]
    return LIFE[name].split()


def age(folder: Path) -> None:
    """Make everything that was stored two hours old, so that only what is named again is young."""
    past = time.time() - 7200
    for place in ("artifacts/objects", "tables"):
        for path in (folder / ".trikk" / place).rglob("*"):
            if path.is_file():
                os.utime(path, (past, past))


def live(folder: Path, name: str, rng: random.Random, length: float, tally: Counter[str], kills: int) -> None:
    """One command, until it has ended well; killed and given again before."""
    for attempt in range(30):
        age(folder)
        process = command(folder, *given(folder, name))
        beside = command(folder, "gc", "--keep-last", "3") if rng.random() < 0.5 else None
        if attempt < KILLS_OF_ONE and sum(tally.values()) < kills:
            strike(process, rng, length, name, tally)
        if beside is not None and rng.random() < 0.5 and sum(tally.values()) < kills:
            strike(beside, rng, length / 3, "gc", tally)
        if beside is not None and beside.wait(PATIENCE) not in (0, -9):
            raise Difference(f"trikk gc ended with {beside.returncode}")
        if process.wait(PATIENCE) == 0:
            return
    raise Difference(f"trikk {LIFE[name]} does not end well")


def strike(
    process: subprocess.Popen[bytes], rng: random.Random, length: float, name: str, tally: Counter[str]
) -> None:
    try:
        process.wait(rng.uniform(0, length))
    except subprocess.TimeoutExpired:
        hosts, workers = family(process.pid)
        targets = [process.pid, *hosts, *workers] if rng.random() < 0.5 else [process.pid]
        if sum(kill(pid) for pid in targets):
            tally[name] += 1
        process.wait(PATIENCE)


def outcome(folder: Path) -> dict[str, Any]:
    """What must be the same, whatever happened on the way."""
    project = Project.open(folder)
    found: dict[str, Any] = {}
    for table in project.tables.names():
        rows = project.tables.scan(table).collect()
        kept = rows.select(sorted(set(rows.columns) - set(VOLATILE)))
        found[f"table {table}"] = (project.tables.version(table), sorted(map(str, kept.rows())))
    messages = Stream(folder / ".trikk" / "streams" / "main" / "forecast").read()
    found["messages"] = sorted(str((m.key, m.value["slot"])) for m in messages)
    trials = [r for r in project.journal.runs(limit=None, pipeline="tuning") if r.state == "succeeded"]
    found["trials"] = sorted(r.parameters["n"] for r in trials)  # type: ignore[type-var]
    project.close()
    for name, arguments in (
        ("models", "models people"),
        ("windows", "monitor people"),
        ("incidents", "incidents --all"),
    ):
        found[name] = read(folder, arguments)
    found["models"] = [[v["version"] for v in found["models"]["versions"]], found["models"]["aliases"]]
    found["models"] = json.loads(json.dumps(found["models"]), object_hook=timeless)
    found["windows"] = [(w["label"], w["figures"][0]["metrics"]) for w in found["windows"]["windows"]]
    found["incidents"] = sorted(i["id"] for i in found["incidents"]["incidents"] if not is_of_a_kill(i))
    return found


def read(folder: Path, arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "trikk.cli.main", *arguments.split(), "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise Difference(f"trikk {arguments} prints nothing: {done.stderr}")
    return json.loads(done.stdout)


def timeless(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key in ("name", "alias", "version", "environment")}


def is_of_a_kill(incident: dict[str, Any]) -> bool:
    """Whether an incident tells of a run whose process was gone: after a kill that is as it should be."""
    return ".failed-" in str(incident["id"])


def check(folder: Path) -> None:
    """`doctor` finds nothing: runs that were killed before they had done anything are no damage."""
    if bad := [f for f in read(folder, "doctor")["findings"] if not f["good"]]:
        raise Difference(f"doctor finds: {bad}")


def attack(parent: Path, kills: int, seed: int) -> Counter[str]:
    """Disturb project after project until there were that many kills; the kills by command.

    Raises:
        Difference: at the first result that is not as it would have been; the project stays in `parent`.
    """
    rng, tally = random.Random(seed), Counter[str]()
    peace, lengths = make(parent, "undisturbed"), {}
    for name in LIFE:
        began = time.monotonic()
        live(peace, name, random.Random(0), 0.0, Counter(), kills=0)
        lengths[name] = time.monotonic() - began
    wanted, number = outcome(peace), 0
    while sum(tally.values()) < kills:
        folder = make(parent, f"project-{number}")
        try:
            for name in LIFE:
                live(folder, name, rng, lengths[name], tally, kills)
            found = outcome(folder)
            for part in wanted:
                if found.get(part) != wanted[part]:
                    raise Difference(f"{part}: {found.get(part)}, undisturbed {wanted[part]}")
            check(folder)
        except Difference as error:
            raise Difference(f"{folder}: {error}") from error
        shutil.rmtree(folder)
        number += 1
    return tally


def main() -> int:
    """Print figures; exit code 1, with the seed and the project's folder, at the first difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    parent = Path(tempfile.mkdtemp(prefix="trikk-crash-"))
    print(f"seed {seed}, in {parent}", flush=True)
    began = time.monotonic()
    try:
        tally = attack(parent, options.kills, seed)
    except Difference as error:
        print(f"DIFFERENT (seed {seed}): {error}", file=sys.stderr)
        return 1
    shutil.rmtree(parent)
    print(
        json.dumps({"seed": seed, "kills": dict(tally), "seconds": round(time.monotonic() - began, 1)}, indent=2)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
