"""What rules see: windows as a monitor has recorded them, and runs as the journal has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from trikk.alerts.look import unjudged
from trikk.alerts.rules.figures import FigureRule
from trikk.alerts.rules.kinds import checked
from trikk.alerts.rules.labels import LabelRule
from trikk.alerts.rules.rule import Reading, cause
from trikk.alerts.rules.runs import AbsenceRule, FailureRule, GateRule, LengthRule
from trikk.execution.project import Project
from trikk.monitoring.cases.windows import WindowState
from trikk.monitoring.figures.records import Records, WindowRecord
from trikk.monitoring.figures.window_figures import Figures
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.memory_journal import MemoryJournal

START = datetime(2020, 3, 1, tzinfo=UTC)
SPEC = MonitorSpec(
    "people",
    "p",
    "c",
    ("sensor",),
    "slot",
    "count",
    metrics=("mae",),
    slices=("sensor",),
    minimum=10,
    expected_error="expected_error",
)


def window(day: int, mae: float | None, *, state: str = "final", labelled: int = 100, **more: Any) -> WindowRecord:
    start = START + timedelta(days=day)
    whole = Figures("", "", 100, labelled, labelled, {"mae": mae}, **more)
    north = Figures("sensor", "North Pier", 50, labelled, labelled, {"mae": None if mae is None else 2 * mae})
    return WindowRecord(
        "people",
        "day",
        f"{start:%Y-%m-%d}",
        start,
        start + timedelta(days=1),
        WindowState(state),
        (whole, north),
        at=0.0,
    )


def recorded(*windows: WindowRecord) -> Records:
    records = Records(MemoryJournal(), "people")
    records.define(SPEC, 0.0)
    for number, one in enumerate(windows):
        records.put(one, identity=str(number))
    return records


def figure_rule(when: str, **more: Any) -> FigureRule:
    rule = checked({"name": "loss", "monitor": "people", "when": when, "min_labelled": 10, **more})
    assert isinstance(rule, FigureRule)
    return rule


def read(windows: Sequence[WindowRecord], when: str, *, days: float = 60.0, **more: Any) -> Reading:
    return figure_rule(when, **more).judge(recorded(*windows), SPEC, START + timedelta(days=days))[0]


def test_records_for_a_rule_have_the_figures_of_its_slice_and_no_others() -> None:
    kept = recorded(window(1, 5.0))

    def read_slices(sliced_by: str | None) -> list[str]:
        record = Records(kept.ledger, "people", sliced_by=sliced_by).window("day", "2020-03-02")
        assert record is not None
        assert record.whole.metrics == {"mae": 5.0}
        return [figures.slice for figures in record.figures]

    assert read_slices(None) == ["", "sensor"]
    assert read_slices("sensor") == ["", "sensor"]
    assert read_slices("") == read_slices("hour") == [""]


def shape(reading: Reading) -> str:
    return "".join("x" if point.bad else "." for point in reading.points)


def test_windows_are_judged_in_the_order_of_time() -> None:
    reading = read([window(n, mae) for n, mae in enumerate([1, 9, 2, 9, 9])], "mae > 3")
    assert shape(reading) == ".x.xx"
    assert (reading.bad, reading.good) == (2, 0)
    assert reading.points[-1].text == "day 2020-03-05: mae > 3 (it is 9)"
    assert reading.cause == "people.loss"


def test_windows_that_are_not_over_or_have_too_few_labels_are_left_out() -> None:
    windows = [
        window(0, 9),
        window(1, 1, labelled=5),
        window(2, None),
        window(3, 9, state="partial", labelled=60),
        window(4, 1, state="partial", labelled=40),
        window(5, 1),
    ]
    assert shape(read(windows, "mae > 3", days=5.5)) == "xx"
    assert shape(read(windows, "mae > 3", days=6)) == "xx."


def test_a_rule_on_counts_judges_windows_without_labels_when_their_time_is_over() -> None:
    windows = [
        window(0, 1),
        window(1, None, state="overdue", labelled=0),
        window(2, None, state="pending", labelled=0),
    ]
    assert shape(read(windows, "coverage < 0.5")) == ".x"
    assert shape(read(windows, "coverage < 0.5", slice="sensor")) == ".x"
    assert shape(read(windows, "coverage < 0.5 and mae > 3")) == "."


def test_many_pending_windows_do_not_hide_the_last_judged_one() -> None:
    windows = [window(0, 9), *(window(n, None, state="pending", labelled=0) for n in range(1, 40))]
    assert shape(read(windows, "mae > 3")) == "x"


def test_the_baseline_is_compared_on_the_same_cases() -> None:
    windows = [window(0, 9.0, baseline={"mae": 2.0}, own={"mae": 2.5})]
    assert shape(read(windows, "mae > 4.4")) == "x"
    rule = figure_rule("mae > 1.3 * baseline")
    (reading,) = rule.judge(recorded(*windows), SPEC, START + timedelta(days=9))
    assert shape(reading) == "."
    assert reading.points[0].text == "day 2020-03-01: not mae > 1.3 * baseline (2.5 against 2.6)"


def test_what_is_usual_is_the_median_of_earlier_windows_that_were_not_bad() -> None:
    maes = [1.0] * 10 + [2.0] * 20 + [1.0]
    reading = read([window(n, mae) for n, mae in enumerate(maes)], "mae > 1.5 * usual")
    assert shape(reading) == "." * 3 + "x" * 20 + "."


def test_a_bias_is_compared_by_its_size_with_the_baseline_and_with_what_is_usual() -> None:
    biases = [(-1.0) ** number for number in range(10)] + [-2.0, 2.0, 0.5, -0.5]
    records = [
        WindowRecord(
            "people",
            "day",
            f"{START + timedelta(days=number):%Y-%m-%d}",
            START + timedelta(days=number),
            START + timedelta(days=number + 1),
            WindowState.FINAL,
            (Figures("", "", 100, 100, 100, {"bias": bias}, {"bias": -1.0}, {"bias": bias}, 100),),
            at=0.0,
        )
        for number, bias in enumerate(biases)
    ]
    spec = replace(SPEC, metrics=("bias",), baseline="naive", expected_error="")

    def seen(when: str) -> Reading:
        return figure_rule(when).judge(recorded(*records), spec, START + timedelta(days=20))[0]

    for when in ("bias > 1.5 * usual", "abs(bias) > 1.5 * usual", "bias > 1.5 * usual(bias)"):
        assert shape(seen(when)) == "...xx..", when
    for when in ("bias > 1.5 * baseline", "abs(bias) > 1.5 * baseline"):
        assert shape(seen(when)) == "." * 10 + "xx..", when
    assert shape(seen("bias < -1.5")) == "." * 10 + "x..."  # which way is the author's to say
    assert [point.badness for point in seen("bias > 1.5 * baseline").points[10:12]] == [pytest.approx(1 / 3)] * 2


def foretold(day: int, estimate: float, mae: float | None = None, **more: Any) -> WindowRecord:
    known: dict[str, Any] = {} if mae is not None else {"state": "pending", "labelled": 0}
    return window(day, mae, **known, estimated={"mae": estimate}, **more)


def test_an_estimate_is_judged_before_the_window_begins_and_before_labels() -> None:
    windows = [foretold(0, 1.0, 9.0), foretold(1, 9.0), foretold(2, 1.0), foretold(3, 9.0), foretold(6, 9.0)]
    reading = read(windows, "estimated(mae) > 3", days=2.5)
    assert shape(reading) == ".x.x"
    assert reading.points[-1].text == "day 2020-03-04: estimated(mae) > 3 (it is 9)"
    assert reading.points[-1].facts["mae as estimated"] == "9"
    assert (
        shape(read([foretold(0, 9.0), window(1, None, state="pending", labelled=0)], "estimated(mae) > 3")) == "x"
    )
    assert shape(read(windows, "estimated(mae) > 3", min_labelled=101)) == ""


def test_an_estimate_beside_a_measured_figure_waits_for_labels_and_is_of_the_same_cases() -> None:
    windows = [foretold(0, 9.0, 4.0, estimated_labelled={"mae": 1.0}), foretold(1, 1.0)]
    reading = read(windows, "mae > 2 * estimated")
    assert shape(reading) == "x"
    assert reading.points[0].text == "day 2020-03-01: mae > 2 * estimated (4 against 2)"


def test_what_is_usual_for_an_estimate_is_what_was_measured() -> None:
    past = [foretold(n, 5.0, 1.0 if n != 3 else 2.0) for n in range(10)]
    waiting = [foretold(n, 1.4 if n < 39 else 1.6) for n in range(10, 40)]
    reading = read([*past, *waiting], "estimated(mae) > 1.5 * usual", days=39)
    assert shape(reading)[-3:] == "..x"
    assert reading.points[-1].text.endswith("(1.6 against 1.5)")


def test_an_alarm_on_an_estimate_says_how_far_estimates_were_to_be_trusted() -> None:
    past = [foretold(n, 2.0, 1.0, estimated_labelled={"mae": 2.0}) for n in range(9)]
    reading = read([*past, foretold(9, 9.0)], "estimated(mae) > 3")
    assert str(reading.points[-1].facts["the estimate of mae"]).startswith("don't trust: ")


def test_an_estimate_that_is_not_known_neither_opens_nor_closes_and_says_so() -> None:
    unknown = foretold(4, None, reasons={"estimated(mae)": "leak was never predicted"})  # type: ignore[arg-type]
    windows = [foretold(n, 9.0 if n > 1 else 1.0) for n in range(4)]
    for when, points in (("estimated(mae) > 3", "..xx"), ("not estimated(mae) <= 3", "..xx")):
        reading = read([*windows, unknown], when, days=5)
        assert shape(reading) == points
        said = "day 2020-03-05: estimated(mae) is not known: leak was never predicted"
        assert reading.unknown == said
        assert unjudged([reading]) == [f"people.loss was not judged: {said}"]
    assert read(windows, "estimated(mae) > 3", days=5).unknown == ""
    assert read([*windows, unknown], "estimated(mae) > 3", days=5, min_labelled=101).unknown == ""
    assert read([*windows, unknown, foretold(5, 1.0)], "estimated(mae) > 3", days=5).unknown == ""
    assert shape(read([*windows, unknown, foretold(5, 9.0)], "estimated(mae) > 3 for 3 windows")) == "..xxx"


def test_a_figure_of_a_class_that_has_none_neither_opens_nor_closes_and_says_why() -> None:
    spec = replace(SPEC, metrics=("f1[two words]", "auc"), expected_error="")
    said = "no case is two words, and it was never predicted"

    def day(number: int, f1: float | None) -> WindowRecord:
        reasons = {"auc": "every case is ok"} | ({} if f1 is not None else {"f1[two words]": said})
        whole = Figures("", "", 100, 100, 100, {"f1[two words]": f1, "auc": None}, reasons=reasons)
        start = START + timedelta(days=number)
        end = start + timedelta(days=1)
        return WindowRecord("people", "day", f"{start:%Y-%m-%d}", start, end, WindowState.FINAL, (whole,), at=0.0)

    def seen(when: str, *values: float | None) -> Reading:
        windows = [day(number, value) for number, value in enumerate(values)]
        return figure_rule(when).judge(recorded(*windows), spec, START + timedelta(days=60))[0]

    reading = seen('f1["two words"] < 0.7', 0.9, 0.5, None, 0.6, None)
    assert shape(reading) == ".xx"
    assert (reading.bad, reading.good) == (2, 0)
    assert reading.points[-1].text == 'day 2020-03-04: f1["two words"] < 0.7 (it is 0.6)'
    facts = reading.points[-1].facts
    assert (facts["f1[two words]"], facts["auc"]) == ("0.6", "- (every case is ok)")
    assert unjudged([reading]) == [
        f"people.loss was not judged: day 2020-03-05: f1[two words] is not known: {said}",
    ]
    assert unjudged([seen("f1[two words] < 0.7", None, 0.5)]) == []
    assert unjudged([seen("f1[two words] < 0.7 or coverage > 0.5", None)]) == []


def test_of_many_slices_that_are_not_judged_a_few_are_named() -> None:
    rule = checked({"name": "loss", "monitor": "people", "when": "estimated(mae) > 3", "slice": "sensor"})
    every = [Reading(rule, "people", "", (), ("sensor", f"s{n}"), "day 2020-03-05: why") for n in range(5)]
    found = unjudged(every)
    assert found[0] == "people.loss at sensor s0 was not judged: day 2020-03-05: why"
    assert (len(found), found[-1]) == (4, "people.loss was not judged at 2 more")


def test_each_value_of_a_slice_is_a_cause_of_its_own() -> None:
    reading = read([window(0, 2)], "mae > 3", slice="sensor")
    assert (shape(reading), reading.part) == ("x", ("sensor", "North Pier"))
    assert reading.cause.startswith("people.loss.sensor.x-")
    rule = FigureRule(name="loss")
    assert cause(rule, "people", ("sensor", "North")) == "people.loss.sensor.North"
    texts = ["a.b", "a-b", "a b", "", "A", "a/b", "x-1"]
    assert len({cause(rule, "people", ("sensor", text)) for text in texts}) == len(texts)


def test_labels_are_overdue_when_their_time_is_over() -> None:
    rule = LabelRule(name="late", monitor="people")
    windows = [
        window(0, 1),
        window(1, 1, state="overdue", labelled=20),
        window(2, None, state="pending", labelled=0),
    ]
    (reading,) = rule.judge(recorded(*windows), SPEC, START + timedelta(days=3))
    assert shape(reading) == ".x"
    assert reading.points[-1].text == "day 2020-03-02: 20 of 100 labels came (20%)"


class Runs:
    """Runs in a project's journal, written as a driver writes them."""

    def __init__(self, root: Path) -> None:
        (root / "trikk.toml").write_text('name = "city"\ntimezone = "Europe/Oslo"\n')
        self.project = Project.open(root)
        self.count = 0

    def add(
        self, at: datetime, state: str = "succeeded", *, took: float = 60.0, kind: str = "manual", day: str = "x"
    ) -> str:
        self.count += 1
        run, journal, ended = f"r{self.count:011}", self.project.journal, at.timestamp()
        origin: dict[str, Any] = {"kind": kind}
        journal.create(run, "nightly", {"parameters": {"day": day}, "origin": origin}, at=ended - took)
        journal.append(run, "run.started", {"driver": {}, "isolation": "fork"}, at=ended - took)
        if state != "running":
            journal.append(
                run, f"run.{state}", {"error": "step fit failed"} if state == "failed" else {}, at=ended
            )
        return run


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def at(day: int, hour: float = 3.0) -> datetime:
    return START + timedelta(days=day, hours=hour)


def test_a_failed_run_is_bad_and_so_is_one_whose_process_is_gone(runs: Runs) -> None:
    for day, state in enumerate(["succeeded", "failed", "cancelled", "succeeded", "failed", "running"]):
        runs.add(at(day), state)
    runs.add(at(9), "failed", kind="replay")
    reading = FailureRule(name="failed").judge(runs.project, "nightly", at(20))
    assert shape(reading) == ".x.xx"
    assert reading.points[-2].text.endswith("failed: step fit failed")
    assert "is gone" in reading.points[-1].text
    assert [point.badness for point in reading.points] == [0, 1, 0, 1, 2]
    assert shape(FailureRule(name="failed").judge(runs.project, "nightly", at(2, 9))) == ".x"


def test_replays_and_cancelled_runs_do_not_hide_the_last_run(runs: Runs) -> None:
    runs.add(at(0), "failed")
    for _ in range(30):
        runs.add(at(1), kind="replay")
        runs.add(at(1), "cancelled")
    assert shape(FailureRule(name="failed").judge(runs.project, "nightly", at(2))) == "x"


def test_a_run_that_took_longer_than_its_budget_is_bad(runs: Runs) -> None:
    for took in (60.0, 700.0, 50.0):
        runs.add(at(runs.count), took=took)
    runs.add(at(5), "running", took=0)
    rule = LengthRule(name="slow", budget=600.0)
    assert shape(rule.judge(runs.project, "nightly", at(5, 3.1))) == ".x."
    late = rule.judge(runs.project, "nightly", at(5, 4))
    assert shape(late) == ".x.x"
    assert late.points[-1].text == rule.judge(runs.project, "nightly", at(5, 9)).points[-1].text


def test_what_people_took_to_decide_does_not_count_as_a_runs_time(runs: Runs) -> None:
    run, journal, start = runs.add(at(5), "running", took=0), runs.project.journal, at(5).timestamp()
    for kind, after in (("waiting", 100.0), ("resumed", 90_000.0), ("succeeded", 90_100.0)):
        journal.append(run, f"run.{kind}", {}, at=start + after)
    reading = LengthRule(name="slow", budget=150.0).judge(runs.project, "nightly", at(9))
    assert reading.points[-1].text == f"run {run} took 3 min 20 s"
    assert shape(LengthRule(name="slow", budget=300.0).judge(runs.project, "nightly", at(9))) == "."


def test_a_run_that_did_not_come_is_bad_until_it_comes(runs: Runs) -> None:
    rule = AbsenceRule(name="late", pipeline="nightly", by="04:30")  # 03:30 UTC
    for day in (1, 2, 4):
        runs.add(at(day))
    runs.add(at(3), "failed")

    def seen(now: datetime) -> str:
        return shape(rule.judge(runs.project, "nightly", now))

    # Days before the project's first run are none: a new project has missed nothing.
    assert seen(at(2, 3.4)) == "."
    assert seen(at(3, 3.4)) == ".."
    assert seen(at(3, 3.6)) == "..x"
    runs.add(at(3, 5))
    assert seen(at(3, 6)) == "..."
    assert seen(at(5, 3.6)) == "..x.x"


def test_a_backfill_of_last_month_does_not_hide_that_the_nights_run_is_missing(runs: Runs) -> None:
    rule = AbsenceRule(name="late", pipeline="nightly", by="04:30")
    day = f"{at(3):%Y-%m-%d}"
    for hour in (1, 2, 4):
        runs.add(at(3, hour), kind="backfill", day=f"{at(-30 + hour):%Y-%m-%d}")
    assert rule.judge(runs.project, "nightly", at(3, 6)).points[-1].text == f"{day}: no run by 04:30"
    made_up = runs.add(at(3, 5), kind="backfill", day=f"{at(2):%Y-%m-%d}")
    assert rule.judge(runs.project, "nightly", at(3, 6)).points[-1].text == f"{day}: run {made_up} came late"


def test_a_day_of_changing_clocks_has_its_deadline_too(runs: Runs) -> None:
    rule = AbsenceRule(name="late", pipeline="nightly", by="02:30")
    now = datetime(2020, 3, 29, 1, 31, tzinfo=UTC)
    points = rule.judge(runs.project, "nightly", now).points
    assert points[-1].mark == "2020-03-29"


def test_a_gate_that_warned_is_bad(runs: Runs) -> None:
    def check(passed: bool) -> dict[str, Any]:
        return {"name": "dead counters", "passed": passed, "ran": True, "observed": "0.4 null", "expected": "0.35"}

    for day, verdict in enumerate(["passed", "warned", None]):
        run = runs.add(at(day))
        body: dict[str, Any] = {"verdict": verdict, "checks": [check(verdict == "passed")]}
        if verdict:
            runs.project.journal.append(run, "quality.checked", body, at=0.0)
    reading = GateRule(name="gate").judge(runs.project, "nightly", at(9))
    assert shape(reading) == ".x"
    assert reading.points[-1].text.endswith("the gate warned: dead counters: 0.4 null")
