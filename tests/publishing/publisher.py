"""A process that publishes, for tests that kill it.

    python publisher.py FOLDER ADDRESS ROWS [DEATH]

It is one attempt of a step of a run whose journal and streams are in FOLDER. DEATH is a moment at which it kills
itself: `begin`, `produce`, `marker`, `commit` (before the call), `sent` (while it is under way), `committed`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import confluent_kafka
import polars as pl

from trikk.publishing import kafka as transport
from trikk.publishing import publish
from trikk.runs.context import StepContext, entered
from trikk.runs.journals.open_journal import open_journal
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.memory_store import MemoryStore

PUBLISHER = Path(__file__)


def start_publisher(folder: Path, to: str, count: int, *death: str, **variables: str) -> subprocess.Popen[str]:
    """Start this module as a process; it prints `ready` when it begins, and how many messages it has published."""
    return subprocess.Popen(
        [sys.executable, str(PUBLISHER), str(folder), to, str(count), *death],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )


def rows_for(count: int) -> pl.DataFrame:
    """The rows that every attempt publishes."""
    rows = pl.int_range(count, eager=True)
    return pl.DataFrame({"key": "s" + (rows % 7).cast(pl.String), "row": rows, "value": rows * 0.5})


def context_for(folder: Path, run: str = "r1") -> StepContext:
    """A step of a run in a folder."""
    journal = open_journal(str(folder / "journal.db"))
    return StepContext(
        run=run,
        recorded_in=run,
        pipeline="p",
        step="publish",
        item=None,
        attempt=1,
        dry=False,
        moment=0.0,
        environment="main",
        root=folder,
        state_dir=folder / ".trikk",
        artifacts=Artifacts(MemoryStore()),
        tables=None,
        journal=journal,
    )


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Doomed(confluent_kafka.Producer):  # type: ignore[misc]
    """The real client, which dies at the chosen moment of its second transaction."""

    death = ""
    begun = 0

    def _at(self, moment: str) -> None:
        if self.death == moment and Doomed.begun == 2:
            _die()

    def begin_transaction(self) -> None:
        Doomed.begun += 1
        super().begin_transaction()
        self._at("begin")

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        self._at("produce")
        super().send_offsets_to_transaction(*arguments)
        self._at("marker")

    def commit_transaction(self, *arguments: Any) -> None:
        self._at("commit")
        if self.death == "sent" and Doomed.begun == 2:
            self.flush()
            threading.Timer(float(os.environ.get("DEATH_DELAY", "0.001")), _die).start()
        super().commit_transaction(*arguments)
        self._at("committed")


def main() -> None:
    folder, to, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    transport.BATCH_ROWS = int(os.environ.get("BATCH_ROWS", "1000"))
    if len(sys.argv) > 4:
        Doomed.death = sys.argv[4]
        confluent_kafka.Producer = Doomed
    rows, context = rows_for(count), context_for(folder)
    print("ready", flush=True)
    with entered(context):
        made = publish(rows, to, key="key", patience=20)
    print(made["messages"], flush=True)


if __name__ == "__main__":
    main()
