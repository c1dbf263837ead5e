"""What a server measures of its project: counted once, and as cheap as what is new."""

from __future__ import annotations

from collections import Counter
from typing import Any

from trikk.monitoring.figures.records import Cursor, Records, reach_of
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.events import EventKind
from trikk.server.metrics.project_metrics import ProjectMetrics
from trikk.testing import ManualClock, MemoryJournal
from trikk.web.prometheus import new_registry

DUE = 1_583_107_200.0  # 2020-03-02T00:00:00+00:00


class CountingJournal:
    """A journal that counts what it is asked."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.journal, name)

        def counted(*given: Any, **named: Any) -> Any:
            self.asked[name] += 1
            return method(*given, **named)

        return counted


class Measured:
    """A project's metrics over a journal in memory."""

    def __init__(self) -> None:
        self.journal = CountingJournal()
        self.clock = ManualClock(DUE)
        self.registry = new_registry("a test", "server")
        self.metrics = ProjectMetrics(self.journal, self.clock, self.registry)  # type: ignore[arg-type]

    def run(self, run: str, *events: tuple[float, str, dict[str, Any]], created: float = DUE, **body: Any) -> None:
        if body or run not in self.journal.journal.find(run):
            self.journal.journal.create(run, "nightly", {"parameters": {}, **body}, at=created)
        for at, kind, said in events:
            self.journal.journal.append(run, kind, said, at=DUE + at)

    def turn(self, seconds: float = 5.0) -> Counter[str]:
        """What a turn asks the journal."""
        self.clock.advance(seconds)
        self.journal.asked.clear()
        self.metrics.turn(self.clock.now())
        return Counter(self.journal.asked)

    def of(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)  # type: ignore[no-any-return]


def started(at: float) -> tuple[float, str, dict[str, Any]]:
    return at, EventKind.RUN_STARTED, {"driver": {}, "graph": "g"}


def step(step: str, begins: float, ends: float, kind: str, **body: Any) -> list[tuple[float, str, dict[str, Any]]]:
    named = {"step": step, "attempt": 1}
    return [(begins, EventKind.STEP_STARTED, named), (ends, kind, {**named, **body})]


def test_runs_steps_and_waits_are_counted_once_a_resumed_run_by_each_of_its_ends() -> None:
    measured = Measured()
    measured.metrics.expect(["hourly"])
    measured.run("before", started(0), (1, EventKind.RUN_SUCCEEDED, {}))
    measured.turn()
    error = {"kind": "raised", "type": "ValueError", "message": "no"}
    origin = {"kind": "trigger", "trigger": "daily", "tick": "2020-03-02T00:00:00+00:00"}
    measured.run(
        "first",
        started(20),
        *step("rows", 20, 22, EventKind.STEP_SUCCEEDED, seconds=2.0),
        *step("fit", 22, 92, EventKind.STEP_FAILED, error=error),
        (95, EventKind.RUN_FAILED, {"error": "no"}),
        created=DUE + 8,
        origin=origin,
    )
    measured.turn()
    assert measured.of("trikk_runs_finished_total", pipeline="nightly", state="succeeded") is None, (
        "before it began"
    )
    assert measured.of("trikk_runs_finished_total", pipeline="nightly", state="failed") == 1
    assert measured.of("trikk_run_seconds_sum", pipeline="nightly") == 75
    assert measured.of("trikk_queue_seconds_sum", pipeline="nightly") == 12
    assert measured.of("trikk_trigger_seconds_sum", trigger="daily") == 20
    assert measured.of("trikk_step_seconds_sum", pipeline="nightly", step="fit") == 70

    assert measured.of("trikk_runs_finished_total", pipeline="hourly", state="failed") == 0

    resumed: list[tuple[float, str, dict[str, Any]]] = [
        (100, EventKind.RUN_RESUME_REQUESTED, {}),
        (103, EventKind.RUN_RESUMED, {"graph": "g"}),
        *step("fit", 103, 104, EventKind.STEP_SUCCEEDED, seconds=1.0),
        (105, EventKind.RUN_SUCCEEDED, {}),
    ]
    measured.run("first", *resumed)
    measured.turn()
    measured.turn()
    assert measured.of("trikk_runs_finished_total", pipeline="nightly", state="succeeded") == 1
    assert measured.of("trikk_runs", state="failed") == 0
    assert measured.of("trikk_runs", state="succeeded") == 2
    assert measured.of("trikk_run_seconds_sum", pipeline="nightly") == 77
    assert measured.of("trikk_queue_seconds_count", pipeline="nightly") == 2
    assert measured.of("trikk_trigger_seconds_count", trigger="daily") == 1
    steps = {
        (sample.labels["step"], sample.labels["outcome"]): sample.value
        for family in measured.registry.collect()
        for sample in family.samples
        if sample.name == "trikk_steps_total"
    }
    assert steps == {("rows", "succeeded"): 1, ("fit", "failed"): 1, ("fit", "succeeded"): 1}


def test_a_turn_asks_for_what_is_new_and_a_scrape_for_nothing() -> None:
    measured = Measured()
    for number in range(300):
        measured.run(f"old{number}", started(0), (1, EventKind.RUN_SUCCEEDED, {}))
    measured.turn()
    for number in range(3):
        measured.run(f"new{number}", started(0), (1, EventKind.RUN_SUCCEEDED, {}))
    asked = measured.turn()
    assert (asked["events"], asked["row"], asked["runs"], asked["each_run"]) == (3, 3, 0, 0)
    assert measured.turn().total() < 15
    measured.journal.asked.clear()
    assert measured.of("trikk_runs", state="succeeded") == 303
    assert not measured.journal.asked


def test_the_queue_and_the_truth_of_monitors_show_how_old_they_are() -> None:
    measured = Measured()
    measured.run("eldest")
    measured.run("younger", created=DUE + 60)
    journal = measured.journal.journal
    spec = MonitorSpec("heat", "predictions", "counts", ("sensor",), "slot", "count", metrics=("mae",))
    Records(journal, "heat").define(spec, DUE)
    reach = {reach_of(spec, "counts"): ["2020-02-01T00:00:00+00:00", "2020-03-01T23:00:00+00:00"]}
    Records(journal, "heat").advance(Cursor(at=DUE, reach=reach), at=DUE, identity="a")
    Records(journal, "unseen").define(spec, DUE)
    measured.turn(600)
    assert measured.of("trikk_runs", state="queued") == 2
    assert measured.of("trikk_queue_oldest_seconds") == 600
    assert measured.of("trikk_label_lag_seconds", monitor="heat") == 3600 + 600
    assert measured.of("trikk_label_lag_seconds", monitor="unseen") is None
    assert measured.of("trikk_incidents_open", severity="warning") == 0
