"""Fill a project's journal through its port. `python trikk_journal.py PROJECT COUNT`."""

from __future__ import annotations

import sys
from pathlib import Path

from trikk.core.settings import load_settings
from trikk.runs.journals.open_journal import open_journal

START = 1_700_000_000.0
MINUTE = 60.0
STATES = ("run.succeeded", "run.succeeded", "run.succeeded", "run.failed")


def main(project: Path, count: int) -> None:
    """Record `count` runs, one a minute, each created, started and ended."""
    journal = open_journal(load_settings(project).location("journal"))
    for number in range(count):
        at = START + number * MINUTE
        run = f"run-{number:06d}"
        journal.create(run, "bench", {"parameters": {"day": number % 365, "rate": 0.1}}, at=at)
        ending = STATES[number % len(STATES)]
        error = {"error": "the 100th reading is no number"} if ending == "run.failed" else {}
        journal.append_many(run, [("run.started", {}), (ending, error)], at=at + 5)
    journal.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
