"""Steps that may fail: the run goes on without them, whatever ended them, through the real command."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.execution.command import Folder, states_of, steps_of

CODE = """
import os, signal, time
from pathlib import Path
from trikk import pipeline, step

@step(source=True, allow_failure=True)
def weather(how: str) -> int:
    with Path("asked").open("a") as file:
        file.write("x")
    if how == "raises":
        raise ValueError("no weather today")
    if how == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "takes too long":
        time.sleep(60)
    return 20

@step
def uses(weather: int) -> int:
    return weather

@step
def later() -> int:
    return 1

@step
def breaks() -> int:
    raise RuntimeError("this must not happen")

@pipeline
def tolerant(how: str):
    found = weather.options(timeout="1s")(how)
    uses(found)
    later(after=found)

@pipeline
def broken():
    weather("raises")
    breaks(after=weather.options(name="again")("raises"))
"""


ALL_MAY = {"weather": "failed", "uses": "skipped", "later": "succeeded"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write(trikk='name = "p"\n', pipelines=CODE)
    return made


@pytest.mark.parametrize("how", ["raises", "is killed", "takes too long"])
def test_a_run_goes_on_when_a_step_that_may_fail_does(folder: Folder, how: str) -> None:
    run = folder.good("run", "tolerant", "-p", f"how={how}")
    assert (run["state"], states_of(run)) == ("succeeded", ALL_MAY)
    steps = steps_of(run)
    assert [name for name, step in steps.items() if step["allowed"]] == ["weather"]
    assert "failed, as it may" in steps["uses"]["reason"]
    assert "failed (allowed)" in folder.trikk("show", "last").out


def test_people_are_told_of_what_failed_though_the_run_succeeded(folder: Folder) -> None:
    done = folder.trikk("run", "tolerant", "-p", "how=raises")
    assert (done.code, "succeeded though weather failed, as it may" in done.out) == (0, True)


def test_a_step_that_may_fail_and_does_not_is_like_any_other(folder: Folder) -> None:
    run = folder.good("run", "tolerant", "-p", "how=works")
    assert set(states_of(run).values()) == {"succeeded"}


def test_the_failure_that_is_shown_is_the_one_that_ended_the_run(folder: Folder) -> None:
    done = folder.trikk("run", "broken")
    assert done.code == 1
    assert "this must not happen" in done.err.partition("the end of")[2]
    again = folder.trikk("resume", "last", "--json")
    assert (again.code, again.json["state"]) == (1, "failed")
    assert len(folder.lines("asked")[0]) == 4  # what had failed is tried again


def test_a_replay_does_not_ask_a_source_again_that_failed_then(folder: Folder) -> None:
    was = folder.good("run", "tolerant", "-p", "how=raises")
    again = folder.good("replay", was["id"])
    assert again["identical"]
    run = folder.good("show", again["run"])
    assert states_of(run) == ALL_MAY
    assert len(folder.lines("asked")[0]) == 1
