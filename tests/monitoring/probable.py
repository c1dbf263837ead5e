"""Days of a classifier whose probabilities are wrong, and a monitor that has looked at them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from trikk import Monitor, Table
from trikk.monitoring.figures.records import Records
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.tables.table_write import Write
from trikk.testing import MemoryTables, run_inline

START = datetime(2020, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    """What a model says of some cases, and what is true: probabilities by class, and the classes' numbers."""

    names: tuple[str, ...]
    scores: Any
    truth: Any
    day: Any

    @property
    def rows(self) -> pl.DataFrame:
        """One row for each case: machine, slot, value, the probabilities and the truth."""
        said = self.scores.argmax(axis=1)
        seconds = pl.Series(np.arange(len(said)) % 80_000) * pl.duration(seconds=1)
        columns: dict[str, Any] = {f"probability_{name}": self.scores[:, n] for n, name in enumerate(self.names)}
        if len(self.names) == 2:
            columns = {"probability": self.scores[:, 1]}
        labels = {
            name: [self.names[n] for n in numbers] for name, numbers in (("value", said), ("state", self.truth))
        }
        day = pl.Series("day", self.day, dtype=pl.Int64)
        made = pl.DataFrame({"day": day, "machine": np.arange(len(said)), **labels, **columns})
        return made.with_columns(slot=pl.lit(START) + pl.duration(days=pl.col("day")) + seconds.alias("s"))


def overconfident(
    classes: int, days: int, cases: int, *, seed: int = 5, drift: float = 0.0, after: int = 0
) -> Made:
    """A model of two classes or four that is too sure of itself; its cases drift from one day on.

    The truth follows the inputs in the same way all the time, so that the drift is one that probabilities show.
    """
    generator = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), cases)
    size = 1.6 - drift * np.clip(day - after + 1, 0, None)[:, None]
    logits = generator.normal(0, 1.0, (len(day), classes)) * np.clip(size, 0.3, None)
    right, scores = (
        _softmax(logits * sharp + tilt) for sharp, tilt in ((1.0, 0.0), (1.9, np.linspace(0.5, -0.4, classes)))
    )
    truth = (generator.random((len(day), 1)) > right.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    return Made(("ok", "leak", "worn", "stuck")[:classes], scores, truth, day)


def _softmax(logits: Any) -> Any:
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


class World:
    """Tables of predictions and states, and a monitor that looks at them.

    Args:
        options: of the monitor.
    """

    def __init__(self, **options: Any) -> None:
        self.tables, self.journal, self.options = MemoryTables(), MemoryJournal(), options

    def look(self, now: float, rows: pl.DataFrame, known: pl.DataFrame) -> Records:
        """The monitor's records after a look.

        Args:
            now: days since `START`.
            rows: cases that have been predicted since the last look.
            known: those whose truth has come since.
        """
        for name, new in (
            ("predictions", rows.drop("state", "day")),
            ("states", known.select("machine", "slot", "state")),
        ):
            self.tables.write(name, Write("append", new.lazy()), identity=f"{name} {now}", origin={})
        given: dict[str, Any] = {"key": "machine", "slot": "slot", "observed": "state"}
        given |= {"positive": "leak"} if "probability" in rows.columns else {}
        monitor = Monitor("state", predictions=Table("predictions"), truth=Table("states"), **given | self.options)
        at = START + timedelta(days=now)
        run = run_inline(monitor.pipeline, tables=self.tables, journal=self.journal, now=at)
        assert run.state == "succeeded", run.error
        return Records(self.journal, "state")


def watched(rows: pl.DataFrame, known: pl.DataFrame, now: float, **options: Any) -> Records:
    """The records of a monitor that has looked once; arguments as of `World`."""
    return World(**options).look(now, rows, known)
