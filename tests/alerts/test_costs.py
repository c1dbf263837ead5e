"""Budgets: a run that cost too much, a day or month in which all runs did, and what `trikk show` says."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from tests.execution.command import Folder

from trikk.alerts.config import DEFAULTS, alert_settings
from trikk.alerts.delivery.message import commands
from trikk.alerts.incidents.decision import Change, Decision
from trikk.alerts.incidents.incident import Incident
from trikk.alerts.rules.costs import CostRule, Per, periods
from trikk.alerts.rules.kinds import checked
from trikk.alerts.rules.rule import Reading, Scene
from trikk.alerts.rules.runs import FailureRule
from trikk.alerts.rules.sources import see
from trikk.core.errors import ParameterError, ProjectError, UsageError
from trikk.core.settings import load_settings
from trikk.execution.project import Project
from trikk.execution.upkeep import run_costs
from trikk.execution.upkeep.cost_report import By, cost_report, since_day
from trikk.execution.upkeep.run_costs import Spending, cost_of
from trikk.models.registry import Registry
from trikk.models.version import ModelVersion
from trikk.runs.cost import Usage
from trikk.runs.journals.journal import Event
from trikk.runs.journals.lease import Holder
from trikk.storage.artifact import Artifact

PRICES = '[costs]\ncurrency = "EUR"\ncore_hour = 1.0\n'
START = datetime(2020, 3, 1, tzinfo=UTC)


def at(day: int, hour: float = 3.0) -> datetime:
    return START + timedelta(days=day, hours=hour)


class Runs:
    """Runs in a project's journal, each of one step that asks for one core, written as a driver writes them."""

    def __init__(self, root: Path, toml: str = PRICES) -> None:
        (root / "trikk.toml").write_text(f'name = "city"\ntimezone = "Europe/Oslo"\n{toml}')
        self.project = Project.open(root)
        self.count = 0
        node = {"name": "fit", "resources": {"cpus": 1.0, "memory": 0, "gpus": 0}, "timeout": None}
        self.graph = self.project.keep_json({"nodes": [node]})

    def add(
        self,
        ended: datetime,
        hours: float,
        pipeline: str = "nightly",
        *,
        state: str = "succeeded",
        kind: str = "",
        branch: str = "",
    ) -> str:
        self.count += 1
        run, journal, start = f"r{self.count:011}", self.project.journal, ended - timedelta(hours=hours)
        body: dict[str, Any] = {"parameters": {}, "origin": {"kind": kind or "manual"}, "graph": self.graph}
        body["lock"] = {"git": {"branch": branch}}
        journal.create(run, pipeline, body, at=start.timestamp())
        journal.append(run, "run.started", {}, at=start.timestamp())
        journal.append(run, "step.started", {"step": "fit", "attempt": 1}, at=start.timestamp())
        if state != "running":
            end: dict[str, Any] = {"step": "fit", "outputs": [], "seconds": hours * 3600}
            journal.append(run, "step.succeeded", end, at=ended.timestamp())
            journal.append(run, f"run.{state}", {}, at=ended.timestamp())
        return run

    def see(self, now: datetime, pipeline: str = "nightly", **more: Any) -> Reading:
        rule: Any = checked({"name": "dear", "kind": "cost more than", "costs_more_than": 2.5, **more})
        reading: Reading = rule.judge(self.project, pipeline, now)
        return reading


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def shape(reading: Reading) -> str:
    return "".join("x" if point.bad else "." for point in reading.points)


def test_a_run_that_cost_more_than_its_budget_is_bad(runs: Runs) -> None:
    for day, (hours, state) in enumerate([(1.0, "succeeded"), (3.0, "failed"), (2.5, "cancelled")]):
        runs.add(at(day), hours, state=state)
    runs.add(at(3), 4.0, kind="replay")
    reading = runs.see(at(9))
    assert shape(reading) == ".x.x"
    assert reading.title == "nightly cost more than 2.50 EUR"
    point = reading.points[1]
    assert point.text == "run r00000000002 cost 3.00 EUR"
    assert point.badness == pytest.approx(1.2)
    assert point.facts["cost"] == "3.00 EUR, estimated from what steps ask for"
    assert (point.facts["budget"], point.facts["dearest steps"]) == ("2.50 EUR", "fit 3.00 EUR")


def test_a_run_that_goes_on_counts_once_it_has_cost_too_much_and_in_the_same_words(runs: Runs) -> None:
    runs.add(at(0), 1.0, state="running")
    runs.project.journal.acquire("r00000000001", Holder.current(), ttl=30, now=at(0).timestamp())
    assert shape(runs.see(at(0))) == ""
    late = [runs.see(at(0, hour)).points[-1] for hour in (6, 9)]
    assert [point.text for point in late] == ["run r00000000001 has cost more than 2.50 EUR by now"] * 2
    assert late[0].badness < late[1].badness


def test_a_run_whose_driver_is_gone_does_not_cost_more_and_more(runs: Runs) -> None:
    runs.add(at(0), 1.0, state="running")
    assert shape(runs.see(at(9))) == ""


def test_a_day_is_judged_when_it_is_over_and_before_that_once_it_has_cost_too_much(runs: Runs) -> None:
    runs.add(at(0, 10), 2.0)
    runs.add(at(0, 22.9), 1.0, "hourly")  # 23:54 in Oslo
    runs.add(at(0, 23.1), 2.0)  # the next day there
    assert shape(runs.see(at(0, 11), per="day")) == "."
    assert shape(runs.see(at(1, 3), per="day")) == "."
    assert shape(runs.see(at(1, 3), "_all", per="day")) == "x"
    third = runs.add(at(1, 5), 1.0, kind="sweep")
    reading = runs.see(at(1, 6), per="day")
    assert shape(reading) == ".x"
    assert [point.mark for point in reading.points] == ["2020-03-01", "2020-03-02"]
    point = reading.points[-1]
    assert point.text == "2020-03-02 has cost more than 2.50 EUR by now"
    assert point.facts["dearest runs"] == f"r00000000003 of nightly 2.00 EUR, {third} of nightly 1.00 EUR"
    assert (point.facts["runs"], point.facts["budget"]) == (2, "2.50 EUR a day")
    assert runs.see(at(2, 3), per="day").points[-1].text == "2020-03-02 cost 3.00 EUR"
    assert shape(runs.see(at(3, 3), per="day")) == "."


def test_a_month_over_all_pipelines_names_the_steps_with_their_pipelines(runs: Runs) -> None:
    runs.add(at(4), 2.0)
    runs.add(at(20), 1.0, "hourly")
    reading = runs.see(at(25), "_all", per="month")
    assert shape(reading) == ".x"
    assert reading.title == "all pipelines cost more than 2.50 EUR in a month"
    assert reading.cause == "_all.dear"
    assert reading.points[-1].facts["dearest steps"] == "nightly.fit 2.00 EUR, hourly.fit 1.00 EUR"
    told = Decision(Change.OPENED, "opened", "", point=reading.points[-1])
    incident = Incident("_all.dear-1", "_all.dear", 1, rule=reading.rule, subject="_all")
    assert commands(incident, told)[0] == "trikk runs"


@pytest.mark.parametrize(
    ("per", "now", "labels"),
    [
        ("day", "2020-03-29T22:30+00:00", ["2020-03-28", "2020-03-29", "2020-03-30"]),
        ("month", "2020-03-31T22:30+00:00", ["2020-02", "2020-03", "2020-04"]),
        ("month", "2021-01-01T00:00+00:00", ["2020-11", "2020-12", "2021-01"]),
    ],
)
def test_periods_are_those_of_the_projects_zone(per: str, now: str, labels: list[str]) -> None:
    found = periods(Per(per), datetime.fromisoformat(now), ZoneInfo("Europe/Oslo"), 2)
    assert [one.label for one in found] == labels
    assert all(a.end == b.start for a, b in itertools.pairwise(found))
    assert found[-1].start <= datetime.fromisoformat(now) < found[-1].end


def test_what_a_run_took_is_read_once_and_outlives_its_events(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs.add(at(0, 10), 3.0)
    assert shape(runs.see(at(0, 12), per="day")) == ".x"
    with monkeypatch.context() as patch:
        patch.setattr(type(runs.project.journal), "events", lambda *_, **__: pytest.fail("read again"))
        assert shape(runs.see(at(0, 13), per="day")) == ".x"
    runs.project.journal.forget(run, at=at(0, 14).timestamp())
    assert shape(runs.see(at(0, 15), per="day")) == ".x"
    cost = cost_of(runs.project, run, at(0, 15).timestamp())
    assert cost is not None
    assert cost.amount == 3.0
    assert len(runs.project.journal.entries("cost/2020-03-01")) == 1


def test_a_run_that_is_resumed_counts_where_it_ends_then_and_one_forgotten_too_soon_is_told(runs: Runs) -> None:
    run, journal = runs.add(at(0, 10), 3.0, state="failed"), runs.project.journal
    assert shape(runs.see(at(1, 3), per="day")) == "x"
    late = at(1, 4).timestamp()
    journal.append(run, "run.resumed", {}, at=late)
    assert shape(runs.see(at(1, 5), per="day")) == "."
    journal.append_many(run, [("step.started", {"step": "fit", "attempt": 2}), ("run.failed", {})], at=late)
    gone = runs.add(at(1, 5), 1.0)
    journal.forget(gone, at=late)
    reading = runs.see(at(2, 3), per="day")
    assert (shape(reading), reading.points[-1].mark) == ("x", "2020-03-02")
    assert reading.points[-1].facts["not counted"] == "1 runs that clean-up has forgotten"


def test_a_run_that_is_resumed_within_the_day_is_read_anew(runs: Runs) -> None:
    run, journal = runs.add(at(0, 10), 2.0, state="failed"), runs.project.journal
    assert shape(runs.see(at(0, 11), per="day")) == "."
    again: list[Any] = [("run.resumed", {}), ("step.started", {"step": "fit", "attempt": 2})]
    journal.append_many(run, again, at=at(0, 11).timestamp())
    journal.append(run, "run.failed", {}, at=at(0, 12).timestamp())
    assert shape(runs.see(at(0, 13), per="day")) == ".x"


def test_rows_are_looked_for_only_as_far_back_as_a_period_needs(runs: Runs) -> None:
    runs.add(at(0), 9.0)
    created = at(0).timestamp()
    runs.project.journal.create("late", "nightly", {"graph": runs.graph}, at=created)
    for day in (5, 6, 7):
        runs.project.journal.append("late", "run.failed", {}, at=at(day).timestamp())
        assert runs.see(at(day + 1), per="day").points[-1].facts["runs"] == 1
    spent = Spending(runs.project).ended([runs.project.journal.row("late")], 0.0)
    assert spent == {"late": {}}
    assert Usage() == sum(spent["late"].values(), Usage())


def test_without_prices_the_rule_is_told_once_and_the_others_go_on(tmp_path: Path) -> None:
    runs = Runs(tmp_path, "")
    runs.add(at(0), 9.0, state="failed")
    rules = [CostRule(name="dear", costs_more_than=2.5), FailureRule(name="failed")]
    seen = see(rules, Scene(runs.project, at(1), pipelines=["nightly", "hourly"]))
    (error,) = seen.errors
    assert "rule dear (cost more than) can't work: no prices are set" in error
    assert "core_hour = " in error
    assert {reading.subject for reading in seen.readings} == {"nightly", "hourly"}
    assert ("dear", "nightly") in seen.watched
    with pytest.raises(UsageError, match="no prices"):
        runs.see(at(1))
    assert cost_of(runs.project, "r00000000001", 0.0) is None


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({}, "needs a budget"),
        ({"costs_more_than": "2 EUR"}, "costs_more_than = '2 EUR' is not an amount"),
        ({"costs_more_than": True}, "is not an amount"),
        ({"costs_more_than": -1}, "is not an amount"),
        ({"costs_more_than": 1, "per": "week"}, "per = 'week'"),
        ({"costs_more_than": 1, "per": 3}, "per = 3 is not a text"),
        ({"costs_more_than": 1, "monitor": "people"}, "about a pipeline, not a monitor"),
        ({"costs_more_than": 1, "table": "readings"}, "takes no `table`"),
        ({"kind": "run failed", "costs_more_than": 1}, "takes no `costs_more_than`"),
    ],
)
def test_a_budget_that_can_not_work_is_refused(given: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        checked({"name": "dear", "kind": "cost more than", **given})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("costs = 3", "costs must be a section"),
        ("[costs]\ncores = 3", "'costs.cores'"),
        ('[costs]\ncore_hour = "3"', "core_hour = '3' is not a price"),
        ("[costs]\ncore_hour = true", "is not a price"),
        ("[costs]\ngb_hour = -1", "is not a price"),
        ("[costs]\ngpu_hour = nan", "is not a price"),
        ('[costs]\ncurrency = ""', "costs.currency"),
    ],
)
def test_prices_that_are_none_are_refused(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "trikk.toml").write_text(text)
    with pytest.raises(ProjectError, match=what) as caught:
        load_settings(tmp_path)
    assert caught.value.next


def test_two_budgets_on_the_same_are_one_too_many(tmp_path: Path) -> None:
    rule = '[[alerts.rule]]\nname = "dear"\nkind = "cost more than"\ncosts_more_than = 1\n'
    (tmp_path / "trikk.toml").write_text(rule + rule + 'per = "day"\n')
    assert len(alert_settings(load_settings(tmp_path)).rules) == 2 + len(DEFAULTS)
    (tmp_path / "trikk.toml").write_text(2 * (rule + 'per = "day"\n'))
    with pytest.raises(ProjectError, match="two rules are named 'dear'"):
        alert_settings(load_settings(tmp_path))


def test_show_tells_the_cost_and_a_watch_the_budget(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(
        trikk='name = "city"\n[costs]\ncore_hour = 3600000\ngpu_hour = 1\n'
        '[alerts.channels]\nbook = "file:sent.jsonl"\n'
        '[[alerts.rule]]\nname = "dear"\nkind = "cost more than"\ncosts_more_than = 1\nper = "day"\n',
        pipelines="from trikk import Resources, pipeline, step\n"
        "@step(resources=Resources(cpus=0.5, memory='1GB'))\n"
        "def work() -> int:\n    import time\n    time.sleep(0.01)\n    return 1\n"
        "@pipeline\ndef nightly():\n    work()\n",
    )
    run = folder.good("run", "nightly")["id"]
    shown = folder.good("show", run)
    assert shown["cost"]["currency"] == "EUR"
    assert shown["cost"]["amount"] == pytest.approx(500 * shown["steps"][0]["seconds"], rel=0.01)
    text = folder.trikk("show", run).out
    assert "EUR (work " in text
    assert "no price is set for gb_hour, estimated from what its steps ask for" in text
    looked = folder.good("watch", "--once")
    assert [one["incident"] for one in looked["changes"]] == ["_all.dear-1"]


def test_costs_agree_however_they_are_added_up(runs: Runs) -> None:
    runs.add(at(-40), 5.0)  # before what is asked for
    first = runs.add(at(0), 1.0, branch="main")
    runs.add(at(1), 2.0, branch="faster", state="failed")
    runs.add(at(2), 4.0, "hourly")
    runs.add(at(3), 8.0, "hourly", state="running")  # it has not ended
    model = ModelVersion("people", 1, Artifact("0" * 64, "pickle", 1, {}), run=first)
    Registry(runs.project.journal).register(model)
    since = since_day("2020-03-01", at(9).timestamp(), ZoneInfo("Europe/Oslo"))
    lines = {}
    for by in By:
        report = cost_report(Project.open(runs.project.root), by, since, at(9).timestamp())
        lines[by] = {line.name: (line.runs, line.seconds / 3600, line.amount) for line in report.lines}
        total = report.total
        assert (total.runs, total.seconds, total.core_hours, total.amount) == (3, 7 * 3600.0, 7.0, 7.0)
        assert sum(line.amount or 0.0 for line in report.lines) == pytest.approx(7.0)
        assert (report.currency, report.missing, report.not_counted) == ("EUR", [], 0)
    assert lines[By.PIPELINE] == {"hourly": (1, 4.0, 4.0), "nightly": (2, 3.0, 3.0)}
    assert lines[By.STEP] == {"hourly.fit": (1, 4.0, 4.0), "nightly.fit": (2, 3.0, 3.0)}
    assert lines[By.BRANCH] == {"-": (1, 4.0, 4.0), "faster": (1, 2.0, 2.0), "main": (1, 1.0, 1.0)}
    assert lines[By.MODEL] == {"-": (2, 6.0, 6.0), "people:1": (1, 1.0, 1.0)}
    assert lines[By.RUN][first] == (1, 1.0, 1.0)
    assert since_day(None, at(40).timestamp(), ZoneInfo("UTC")) == datetime(2020, 3, 11, tzinfo=UTC).timestamp()
    with pytest.raises(ParameterError, match="is not a day"):
        since_day("yesterday", 0.0, ZoneInfo("UTC"))


def test_what_an_older_build_kept_of_a_run_is_completed_while_its_events_are_there(runs: Runs) -> None:
    run = runs.add(at(0), 1.0, branch="main")
    row = runs.project.journal.row(run)
    old = {"runs": {run: {"ended": row.ended, "steps": {"fit": [3600.0, 0.0, 0.0]}}}}
    runs.project.journal.add("cost/2020-03-01", "runs.spent", old, at=at(1).timestamp())
    spending = Spending(runs.project)
    assert spending.ended([replace(row, forgotten=True)], 0.0) == {run: {"fit": Usage(3600.0)}}
    spending = Spending(runs.project)
    assert spending.ended([row], 0.0) == {run: {"fit": Usage(3600.0, seconds=3600.0)}}
    assert spending.branches == {run: "main"}


def test_who_reads_first_what_a_run_took_comes_to_the_same_sums_as_who_reads_it_later(runs: Runs) -> None:
    row = runs.project.journal.row(runs.add(at(0), 1.0001234))
    first, later = (Spending(runs.project).ended([row], 0.0) for _ in range(2))
    assert first == later


def test_the_command_shows_costs_and_says_what_prices_are_missing(tmp_path: Path) -> None:
    Runs(tmp_path, "").add(datetime.now(UTC) - timedelta(hours=1), 2.0)
    folder = Folder(tmp_path)
    assert folder.good("costs")["total"]["amount"] is None
    shown = folder.trikk("costs", "--by", "step").out
    assert re.search(r"nightly.fit +1 +2 ?h.* +2.000 +-", shown), shown
    assert "no prices are set" in shown
    assert folder.refused("costs", "--since", "never")["what"] == "never is not a day"


def test_a_report_that_is_stopped_on_the_way_has_come_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_costs, "_BATCH", 2)
    runs = Runs(tmp_path)
    for hour in range(5):
        runs.add(at(1, hour + 1.0), 1.0)
    journal, events, read = runs.project.journal, runs.project.journal.events, list[str]()

    def stopped(run: str, *, after: int = 0) -> list[Event]:
        read.append(run)
        if len(read) == 4:
            raise KeyboardInterrupt
        return events(run, after=after)

    monkeypatch.setattr(journal, "events", stopped)
    since, now = at(0).timestamp(), at(3).timestamp()
    with pytest.raises(KeyboardInterrupt):
        cost_report(runs.project, By.PIPELINE, since, now)
    assert cost_report(runs.project, By.PIPELINE, since, now).total.core_hours == 5.0
    assert len(read) == 4 + 3  # two of the first three were kept
