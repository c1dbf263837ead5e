"""A pipeline run for each day of a period."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.execution.command import Folder


def days(document: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    return [run["parameters"]["day"] for run in document["runs"]]


def test_each_day_is_run_in_order(folder: Folder) -> None:
    made = folder.good("backfill", "night", "--from", "2020-02-28", "--to", "2020-03-01")
    assert made["state"] == "succeeded"
    assert days(made) == ["2020-02-28", "2020-02-29", "2020-03-01"]


def test_it_stops_at_the_first_failure_and_missing_takes_up_from_there(folder: Folder) -> None:
    folder.touch("bad-2020-03-02")
    period = ["--from", "2020-03-01", "--to", "2020-03-03"]
    made = folder.failed("backfill", "night", *period)
    assert (made["state"], days(made)) == ("failed", ["2020-03-01", "2020-03-02"])
    made = folder.failed("backfill", "night", *period, "--keep-going")
    assert [run["state"] for run in made["runs"]] == ["succeeded", "failed", "succeeded"]
    (folder.root / "bad-2020-03-02").unlink()
    assert days(folder.good("backfill", "night", *period, "--missing")) == ["2020-03-02"]
    assert days(folder.good("backfill", "night", *period, "--missing")) == []


def test_a_failure_says_how_many_days_were_not_begun(folder: Folder) -> None:
    folder.touch("bad-2020-03-02")
    done = folder.trikk("backfill", "night", "--from", "2020-03-01", "--to", "2020-03-05")
    assert done.code == 1
    assert "1 of 2 runs succeeded; 3 were not begun" in done.out
    done = folder.trikk("backfill", "night", "--from", "2020-03-01", "--to", "2020-03-03")
    assert "1 of 2 runs succeeded; 1 was not begun" in done.out
    assert "ValueError: a bad day" in done.err
    assert "trikk resume" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["night", "--from", "2020-03-02", "--to", "2020-03-01"],
        ["night", "--from", "soon", "--to", "2020-03-01"],
        ["night", "--from", "2020-02-30", "--to", "2020-03-01"],
        ["night", "--from", "2020-03-01"],
        ["texts", "--from", "2020-03-01", "--to", "2020-03-01", "-p", "value=1"],
        ["two_days", "--from", "2020-03-01", "--to", "2020-03-01"],
        ["night", "--from", "2020-03-01", "--to", "2020-03-01", "--parameter", "nope"],
        ["nihgt", "--from", "2020-03-01", "--to", "2020-03-01"],
        ["night", "--from", "2020-03-01", "--to", "2020-03-01", "-p", "nope=1"],
    ],
    ids=" ".join,
)
def test_a_wrong_period_or_parameter_is_refused(shared: Folder, arguments: list[str]) -> None:
    shared.refused("backfill", *arguments)
    assert shared.good("runs") == {"runs": []}


def test_one_of_several_dates_is_named(folder: Folder) -> None:
    period = ["--from", "2020-03-01", "--to", "2020-03-01"]
    made = folder.good("backfill", "two_days", *period, "--parameter", "other", "-p", "day=2020-01-01")
    assert made["runs"][0]["parameters"] == {"day": "2020-01-01", "other": "2020-03-01"}


def test_commands_find_the_project_from_below_and_from_elsewhere(folder: Folder, tmp_path: Path) -> None:
    below = folder.root / "below"
    below.mkdir()
    for arguments, cwd in ((["run", "night"], below), (["-C", str(folder.root), "run", "night"], tmp_path)):
        for inline in ([], ["--inline"]):
            done = folder.trikk(*arguments, "-p", "day=2020-01-01", "--json", *inline, cwd=cwd)
            assert done.code == 0, done
    folder.touch("bad-2020-01-01")
    assert folder.trikk("run", "night", "-p", "day=2020-01-01", "--inline", cwd=below).code == 1


def test_several_pipelines_are_interleaved_day_by_day(folder: Folder) -> None:
    made = folder.good("backfill", "night", "dated", "--from", "2020-03-01", "--to", "2020-03-02")
    assert made["pipelines"] == ["night", "dated"]
    ran = [(run["pipeline"], run["parameters"]["day"]) for run in made["runs"]]
    first, second = "2020-03-01", "2020-03-02"
    assert ran == [("night", first), ("dated", first), ("night", second), ("dated", second)]


def test_every_seventh_day(folder: Folder) -> None:
    made = folder.good("backfill", "night", "--from", "2020-03-01", "--to", "2020-03-15", "--every", "7")
    assert days(made) == ["2020-03-01", "2020-03-08", "2020-03-15"]


def test_a_parameter_goes_to_the_pipelines_that_have_it(folder: Folder) -> None:
    period = ["--from", "2020-03-01", "--to", "2020-03-01"]
    made = folder.good("backfill", "night", "dated", *period, "-p", "text=y")
    assert [run["parameters"].get("text") for run in made["runs"]] == [None, "y"]
    folder.refused("backfill", "night", "dated", *period, "-p", "txt=y")


def test_steps_take_the_time_that_is_named_for_the_present(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    code = """
from trikk import pipeline, step
from trikk.runs.context import step_context

@step
def told() -> list[object]:
    context = step_context("telling")
    return [context.now.isoformat(), context.time() == context.moment]

@pipeline
def tell():
    told()
"""
    folder.write(trikk='name = "p"\ntimezone = "Pacific/Auckland"\n', pipelines=code)
    period = ["--from", "2020-03-01", "--to", "2020-03-02"]
    folder.refused("backfill", "tell", *period)
    folder.refused("backfill", "tell", *period, "--at", "noon")
    folder.good("backfill", "tell", *period, "--at", "04:00")
    assert folder.good("backfill", "tell", *period, "--at", "04:00", "--missing")["runs"] == []
    assert len(folder.good("backfill", "tell", *period, "--at", "05:00", "--missing")["runs"]) == 2
    folder.good("backfill", "tell", *period, "--at", "04:00")
    run = folder.trikk("show", "last", "--json").json
    assert run["steps"][0]["outputs"][0]["summary"]["value"] == ["2020-03-01T15:00:00+00:00", True]
    assert folder.trikk("replay", "last").code == 0
    folder.good("run", "tell")
    run = folder.trikk("show", "last", "--json").json
    assert run["steps"][0]["outputs"][0]["summary"]["value"][1] is False
