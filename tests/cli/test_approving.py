"""`trikk approvals`, `approve` and `refuse` as users type them, and what others say of a run that waits."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder

PIPELINES = """
from pathlib import Path

from trikk import approval, pipeline, step, when

@step
def train() -> float:
    return 11.5

@step(effect=True)
def publish(score: float) -> str:
    with Path("published.txt").open("a") as file:
        file.write("once\\n")
    return f"published {score}"

@pipeline
def nightly():
    score = train()
    ok = approval("publish the model?", shows={"mae": score}, expires="3d")
    with when(ok):
        publish(score)

@pipeline
def strict():
    score = train()
    publish(score, after=approval("publish?", on_refusal="fail", after=score))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = Folder(tmp_path_factory.mktemp("project"))
    folder.write(trikk='name = "asking"\n', pipelines=PIPELINES)
    return folder


def waiting(project: Folder, pipeline: str = "nightly") -> Any:
    done = project.trikk("run", pipeline, "--json")
    assert done.code == 3, done
    return done.json


def test_a_run_that_waits_says_what_it_asks_and_holds_no_process(project: Folder) -> None:
    done = project.trikk("run", "nightly")
    assert done.code == 3
    assert "approval asks: publish the model? (until " in done.out
    assert "mae=11.5" in done.out
    run = project.good("runs", "--state", "waiting")["runs"][0]
    assert f'next: trikk approve {run["id"]} --why "..."' in done.out
    assert "waits for a decision" in project.trikk("show", run["id"]).out
    assert "waits for a decision" in project.trikk("doctor").out
    asked = [one for one in project.good("approvals")["approvals"] if one["run"] == run["id"]]
    assert [(one["step"], one["question"], one["shown"]) for one in asked] == [
        ("approval", "publish the model?", {"mae": 11.5})
    ]
    assert "waits for a decision" in project.refused("resume", run["id"], code=1)["what"]
    assert "is not over" in project.refused("replay", run["id"], code=1)["what"]
    cancelled = project.good("cancel", run["id"])
    assert (cancelled["state"], cancelled["error"].count("driver was gone")) == ("cancelled", 0)
    again = project.trikk("resume", run["id"], "--json")
    assert (again.code, again.json["state"], len(again.json["approvals"])) == (3, "waiting", 1)
    project.good("cancel", run["id"])


def test_approving_goes_on_with_the_run_and_with_its_own_code(project: Folder) -> None:
    run = waiting(project)
    before = len(project.lines("published.txt"))
    project.write(pipelines=PIPELINES.replace("published {score}", "sent {score}"))
    try:
        approved = project.good("approve", run["id"], "--why", "better than last week")
    finally:
        project.write(pipelines=PIPELINES)
    assert (approved["id"], approved["state"], approved["code"]) == (run["id"], "succeeded", "locked")
    (decided,) = approved["approvals"]
    assert (decided["approved"], decided["why"]) == (True, "better than last week")
    assert decided["by"]
    assert len(project.lines("published.txt")) == before + 1
    assert [step["attempts"] for step in approved["steps"]] == [1, 0, 1]
    told = project.refused("refuse", run["id"], "--why", "no", code=1)
    assert "was approved by" in told["what"]
    replayed = project.good("replay", run["id"])
    assert replayed["identical"]
    assert len(project.lines("published.txt")) == before + 1


def test_refusing_skips_what_waits_or_fails_the_run(project: Folder) -> None:
    refused = project.good("refuse", waiting(project)["id"], "--why", "the error has doubled")
    assert [step["state"] for step in refused["steps"]] == ["succeeded", "succeeded", "skipped"]
    run = waiting(project, "strict")["id"]
    failed = project.trikk("refuse", run, "--why", "not on a Friday")
    assert failed.code == 1
    assert "refused by" in failed.err
    assert "not on a Friday" in failed.err
    assert f"next: trikk resume {run} --again approval" in failed.err
    assert project.good("replay", run)["identical"]
    assert project.failed("resume", run)["error"].endswith("not on a Friday")  # the decision stays
    asked = project.trikk("resume", run, "--again", "approval", "--json")
    assert (asked.code, asked.json["approvals"][0]["approved"]) == (3, None)
    assert project.good("approve", run, "--why", "it is Monday")["state"] == "succeeded"


def test_a_question_about_what_runs_again_is_asked_again(project: Folder) -> None:
    run = waiting(project)["id"]
    anew = project.trikk("resume", run, "--again", "train", "--json")
    assert (anew.code, anew.json["state"]) == (3, "waiting")
    kinds = [event["kind"] for event in project.good("show", run, "--events")["events"]]
    assert kinds.count("approval.asked") == 2


def test_a_decision_may_be_written_down_only(project: Folder) -> None:
    run = waiting(project)["id"]
    later = project.trikk("approve", run, "--why", "good", "--later")
    assert later.code == 0
    assert f"trikk resume {run}" in later.out
    assert project.good("show", run)["state"] == "queued"
    assert project.good("resume", run)["state"] == "succeeded"


BUSY = """
import time
from pathlib import Path
from trikk import approval, pipeline, step

@step
def slow():
    while not Path("enough").exists():
        time.sleep(0.05)

@step
def publish():
    Path("enough").touch()

@pipeline
def busy():
    ok = approval("publish?")
    slow()
    publish(after=ok)
"""


def test_a_driver_that_is_at_other_steps_takes_a_decision(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "busy"\n', pipelines=BUSY)
    process = folder.start("run", "busy", "--json")
    try:
        while not (asked := folder.good("approvals")["approvals"]):
            assert process.poll() is None, process.communicate()
        done = folder.trikk("approve", asked[0]["run"], "--why", "good")
        assert done.code == 0, done
        assert "another process goes on" in done.out
        ended = folder.end(process)
    finally:
        (folder.root / "enough").touch()
    assert (ended.code, ended.json["state"], ended.json["resumed"]) == (0, "succeeded", 0)


def test_deciding_goes_on_with_a_run_whose_driver_was_killed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "busy"\n', pipelines=BUSY)
    process = folder.start("run", "busy")
    while not (asked := folder.good("approvals")["approvals"]):
        assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    folder.touch("enough")
    done = folder.trikk("approve", asked[0]["run"], "--why", "good")
    assert done.code == 0, done
    assert "approval: approved by" in done.err
    assert folder.good("show", asked[0]["run"])["state"] == "succeeded"
