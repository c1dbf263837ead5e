"""A day that failed half-way is gone on with: what it has written and sent is never done twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.execution.command import Folder, until

CODE = """
import os, time
from datetime import date
from pathlib import Path

import polars as pl
from trikk import Table, pipeline, step

@step
def rows(day: date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day]})

@step(effect=True)
def send(day: date) -> int:
    with open("sent", "a") as file:
        file.write(f"{day}\\n")
    return 1

@step
def later(day: date) -> int:
    if Path(f"hang-{day}").exists():
        Path("hangs").touch()
        time.sleep(600)
    if Path(f"bad-{day}").exists():
        raise ValueError("a bad day")
    return 1

@step
def early(day: date) -> int:
    return later.function(day)

@pipeline
def night(day: date, size: int = 1):
    done = Table("t").append(rows(day))
    later.options(after=[done, send.options(after=[done])(day)])(day)

@pipeline
def other(day: date):
    early(day)
"""
DAYS = ["--from", "2020-03-01", "--to", "2020-03-03"]


@pytest.fixture
def nights(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "n"\n', pipelines=CODE)
    return folder


def written(folder: Folder) -> list[str]:
    return sorted(folder.lines("sent"))


def test_missing_goes_on_with_the_run_that_failed_and_nothing_is_done_twice(nights: Folder) -> None:
    nights.touch("bad-2020-03-02")
    done = nights.trikk("backfill", "night", "other", *DAYS, "-q", "-p", "size=2")
    assert done.code == 1
    command = "trikk backfill night other --from 2020-03-02 --to 2020-03-03 --missing -q -p size=2"
    words = done.err.splitlines()[-1].removeprefix("next: ")
    assert sorted(words.replace("--quiet", "-q").split()) == sorted(command.split())
    (nights.root / "bad-2020-03-02").unlink()
    done = nights.trikk(*words.split()[1:])
    assert done.code == 0, done
    assert "goes on with run" in done.err
    assert nights.good("tables", "t")["rows"] == 3
    assert written(nights) == ["2020-03-01", "2020-03-02", "2020-03-03"]
    assert len(nights.good("runs")["runs"]) == 6  # three days of two pipelines
    done = nights.trikk("backfill", "night", "other", *DAYS, "-q", "-p", "size=2", "--missing")
    assert done.err == ""
    assert "6 had succeeded before" in done.out
    assert nights.trikk("backfill", "night", *DAYS, "--missing").code == 0  # another size is another run
    assert nights.good("tables", "t")["rows"] == 6


def test_with_other_code_it_stops_and_names_the_run_until_it_is_said_whose(nights: Folder) -> None:
    nights.touch("bad-2020-03-02")
    nights.failed("backfill", "night", *DAYS)
    run = nights.good("runs")["runs"][0]["id"]
    nights.write(pipelines=CODE.replace('raise ValueError("a bad day")', "return 2"))
    done = nights.trikk("backfill", "night", *DAYS, "--missing")
    assert done.code == 1
    assert f"trikk resume {run} --with-current-code" in done.err
    assert nights.good("tables", "t")["rows"] == 2
    assert nights.failed("backfill", "night", *DAYS, "--missing")["errors"][0]["code"] == "run"
    assert nights.trikk("backfill", "night", *DAYS, "--missing", "--with-current-code").code == 0
    assert nights.good("tables", "t")["rows"] == 3
    assert written(nights) == ["2020-03-01", "2020-03-02", "2020-03-03"]


def test_a_run_whose_driver_is_gone_is_gone_on_with_and_one_that_is_driven_is_left_alone(nights: Folder) -> None:
    nights.touch("hang-2020-03-01")
    process = nights.start("backfill", "night", *DAYS)
    until(lambda: nights.lines("sent") and (nights.root / "hangs").exists())
    done = nights.trikk("backfill", "night", *DAYS, "--missing")
    assert done.code == 1
    assert "is still running in another process" in done.err
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (nights.root / "hang-2020-03-01").unlink()
    assert nights.trikk("backfill", "night", *DAYS, "--missing").code == 0
    assert nights.good("tables", "t")["rows"] == 3
    assert written(nights) == ["2020-03-01", "2020-03-02", "2020-03-03"]


def test_run_warns_of_an_unfinished_run_that_has_done_something(nights: Folder) -> None:
    nights.touch("bad-2020-03-02")
    assert "warning" not in nights.trikk("run", "night", "-p", "day=2020-03-02").err
    first = nights.good("runs")["runs"][0]["id"]
    assert "warning" not in nights.trikk("run", "night", "-p", "day=2020-03-02", "-p", "size=3").err
    done = nights.trikk("run", "night", "-p", "day=2020-03-02", "--json")
    assert f"warning: run {first} (failed) has the same parameters" in done.err
    assert "append" in done.err.splitlines()[0]
    assert "send" in done.err.splitlines()[0]
    assert f"trikk resume {first}" in done.err
    (nights.root / "bad-2020-03-02").unlink()
    assert "warning" in nights.trikk("run", "night", "-p", "day=2020-03-02").err
    assert "warning" not in nights.trikk("run", "night", "-p", "day=2020-03-02").err  # one has succeeded since
    nights.touch("bad-2020-03-05")
    nights.trikk("run", "other", "-p", "day=2020-03-05")
    assert "warning" not in nights.trikk("run", "other", "-p", "day=2020-03-05").err  # it has changed nothing
    assert (
        len(nights.failed("backfill", "other", "--from", "2020-03-05", "--to", "2020-03-05", "--missing")["runs"])
        == 1
    )


def test_it_looks_once_more_when_it_stops(nights: Folder) -> None:
    nights.touch("bad-2020-03-01")
    done = nights.trikk("backfill", "night", *DAYS, "--watch", "-q")
    assert done.code == 1
    assert len(nights.good("incidents")["incidents"]) == 1


def test_a_run_that_clean_up_has_forgotten_stops_the_backfill_with_the_command_for_its_day(nights: Folder) -> None:
    nights.touch("bad-2020-03-02")
    assert nights.trikk("backfill", "night", *DAYS).code == 1
    nights.good("gc", "--older-than", "0s", "--grace", "0s")
    (nights.root / "bad-2020-03-02").unlink()
    done = nights.trikk("backfill", "night", *DAYS, "--missing", "-p", "size=2")
    assert done.code == 0  # other parameters are other runs
    done = nights.trikk("backfill", "night", *DAYS, "--missing")
    assert done.code == 1
    assert "was forgotten by clean-up" in done.err
    assert "trikk run night -p day=2020-03-02, or leave it out" in done.err
    nights.good("run", "night", "-p", "day=2020-03-02")
    assert nights.trikk("backfill", "night", *DAYS, "--missing").code == 0
