"""What a night costs a project after a history: whole commands, as cron and people start them.

A history is made in this process: rows, figures, drift, incidents, and a run's events for each night.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from benchmarks.samples import Sample
from benchmarks.ways.commands import fresh, trikk
from benchmarks.ways.departures import START, departures
from trikk.alerts.evaluations import declared
from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.lifecycle import decide
from trikk.alerts.rules.kinds import read_rule
from trikk.alerts.rules.rule import Scene
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.monitoring.cases.changes import Source
from trikk.monitoring.day_drift.day_comparison import drifting
from trikk.monitoring.day_drift.drift_records import DriftRecords
from trikk.monitoring.figures.records import Records
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.monitoring.window_evaluation import evaluate
from trikk.storage.tables.versioned_tables import Write

PIPELINES = """
from trikk import Alarm, Drift, Monitor, Report, Table

loads = Monitor(
    "loads", predictions=Table("predictions"), truth=Table("truth"), key="trip", slot="slot", observed="load",
    metrics=["mae", "rmse", "bias", "wape"], slices=["line"], label_delay="1d", drift=Drift(),
    alarms=[
        Alarm("loss", when="mae > 1.3 * usual", windows=2), Alarm("line", when="wape > 0.5", slice="line"),
        Alarm("labels", kind="labels overdue"), Alarm("drift", kind="drift"),
    ],
)
monthly = Report("monthly", monitors=[loads])
"""
BAD_EVERY, BAD_DAYS = 40, 4
"""An alarm opens once in so many days, and is over after so many."""

EVENTS_OF_A_RUN = 12


class History:
    """A project whose history grows.

    Args:
        folder: where it is made.
        each: predictions a day.
    """

    def __init__(self, folder: Path, each: int) -> None:
        (folder / "trikk.toml").write_text('name = "nights"\n')
        (folder / "pipelines.py").write_text(PIPELINES)
        self.folder, self.each, self.number = folder, each, 0
        self.project = Project.open(folder)
        with Session(self.project, How()) as session:
            self.spec: MonitorSpec = next(iter(declared(session.executor.graphs()).values()))

    def add_rows(self) -> datetime:
        """Another day's predictions, and the truths of the day; the time at which the day is over."""
        predictions, truth = departures(self.each, 24)
        slot = pl.col("slot") + pl.duration(days=self.number)
        id_ = pl.format("{}-{}", pl.lit(self.number), pl.int_range(pl.len()))
        predictions = predictions.with_columns(
            slot, id_.alias("prediction_id"), (pl.col("value") % 13).alias("distance")
        )
        worse = 2.0 if self.number % BAD_EVERY >= BAD_EVERY - BAD_DAYS else 1.0
        for name, frame in (
            ("predictions", predictions),
            ("truth", truth.with_columns(slot, pl.col("load") * worse)),
        ):
            write = Write("append", frame)
            self.project.tables.write(name, write, identity=f"{name}/{self.number}", origin={})
        self.number += 1
        return START + timedelta(days=self.number)

    def pass_quickly(self) -> None:
        """A night without processes: what it leaves in the ledger, and as many events of a run."""
        now, run, journal = self.add_rows(), f"night-{self.number}", self.project.journal
        versions = {name: self.project.tables.version(name) for name in ("predictions", "truth")}
        source = Source(*(self.project.tables.scan(name) for name in versions), self.project.tables, versions)
        records = Records(journal, self.spec.name)
        records.define(self.spec, now.timestamp())
        evaluate(self.spec, source, records, now=now, run=run, identity=run)
        drifting(self.spec, source, None, DriftRecords(journal, self.spec.name), now=now, run=run, identity=run)
        book, at = Book(journal), now.timestamp()
        scene = Scene(self.project, now, evaluated=[self.spec.name])
        rules = [read_rule(alarm) for alarm in self.spec.alarms]
        for reading in (r for rule in rules for r in rule.readings(scene, self.spec.name)):
            latest = book.latest(reading.cause)
            while (decision := decide(latest, reading, at)) is not None:
                latest = book.apply(latest, reading.cause, decision, at=at, channels=())
        book.unfinished()
        journal.create(
            run, f"watch_{self.spec.name}", {"parameters": {}, "origin": {"kind": "watch", "at": at}}, at=at
        )
        journal.append_many(run, [("run.started", {})] + [("note", {"text": "x" * 300})] * EVENTS_OF_A_RUN, at=at)
        journal.append(run, "run.succeeded", {}, at=at)

    def morning(self) -> Iterator[list[str]]:
        """Another night's look and the commands of the morning after."""
        now = self.add_rows()
        month = f"{now - timedelta(days=now.day):%Y-%m}"
        yield ["watch", "--once", "--now", now.isoformat()]
        yield ["watch", "--once", "--now", (now + timedelta(minutes=5)).isoformat()]
        yield ["monitor", "loads"]
        yield ["explain", f"{self.number - 3}-7"]
        yield ["incidents"]
        yield ["report", "monthly", "--for", month]
        yield ["runs"]


def morning(size: int, nights: int) -> Callable[[], Sample]:
    """A night and its morning after so many nights of `size` predictions; the CPU of each command beside it."""
    history = History(fresh(), size)
    while history.number < nights:
        history.pass_quickly()

    def run() -> Sample:
        names = ("watch", "nothing new", "monitor", "explain", "incidents", "report", "runs")
        whole = Sample(0.0, 0.0, 0)
        for name, arguments in zip(names, history.morning(), strict=True):
            cost = trikk(history.folder, *arguments)
            whole += cost.telling(None, **{f"{name} CPU": cost.cpu})
        return whole

    return run
