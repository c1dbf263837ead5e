"""Steps that go wrong: each is one attempt's failure, said in words, and never the driver's."""

from __future__ import annotations

import pytest
from tests.execution.command import Folder, steps_of, until

FAULTS = {
    "raise": ("raised", "the reason"),
    "exit": ("raised", "it called sys.exit(3)"),
    "exit 0": ("raised", "it called sys.exit(0)"),
    "_exit 0": ("exited", "its process ended with status 0 and no result"),
    "_exit 7": ("exited", "its process ended with status 7 and no result"),
    "interrupt": ("raised", "KeyboardInterrupt"),
    "SIGKILL": ("killed", "killed from outside (SIGKILL)"),
    "SIGTERM": ("killed", "its process died of SIGTERM"),
    "SIGSEGV": ("killed", "its process died of SIGSEGV"),
    "kill all": ("killed", "killed from outside (SIGKILL)"),
    "closes": ("raised", "said after closing"),
    "huge text": ("raised", "xxx ... (20,000,000 characters)"),
    "odd text": ("raised", "[31m"),
    "unspeakable": ("raised", "Unspeakable, which has no text"),
    "recursion": ("raised", "maximum recursion depth"),
    "text": ("returned", "returned str where int is declared"),
    "nothing": ("returned", "returned NoneType where int is declared"),
    "stdin": ("raised", "EOF"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_step_that_goes_wrong_fails_its_run_and_says_how(shared: Folder, kind: str) -> None:
    run = shared.failed("run", "faulty", "-p", f"kind={kind}")
    assert run["state"] == "failed"
    assert "step misbehave: " in run["error"]
    assert len(run["error"]) < 5000
    step = steps_of(run)["misbehave"]
    expected, words = FAULTS[kind]
    assert (step["state"], step["attempts"]) == ("failed", 1)
    assert step["error"]["kind"] == expected
    assert words in step["error"]["message"]
    assert "trikk/execution" not in step["error"]["traceback"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("daemon", 1), ("thread", 1), ("lose folder", 1), ("fork", 12), ("spawn", 12)],
)
def test_what_a_step_leaves_behind_does_not_hold_its_run_up(shared: Folder, kind: str, value: int) -> None:
    run = shared.good("run", "faulty", "-p", f"kind={kind}")
    assert steps_of(run)["misbehave"]["outputs"][0]["summary"]["value"] == value


def test_a_step_that_prints_gigabytes_keeps_the_beginning_and_the_end_of_its_log(shared: Folder) -> None:
    done = shared.trikk("run", "faulty", "-p", "kind=noisy")
    assert done.code == 1
    assert "ValueError: said after the noise" in done.err
    run = shared.good("show", "last")
    log = shared.root / ".trikk" / steps_of(run)["misbehave"]["log"]
    assert log.stat().st_size <= 1_000_000
    text = log.read_text()
    assert text.startswith("the beginning\n")
    assert "trikk cut this log here" in text
    assert text.rstrip().endswith("ValueError: said after the noise")


@pytest.mark.parametrize("kind", ["lambda", "lock", "generator", "file", "endless"])
def test_a_result_that_can_not_be_stored_is_refused_and_nothing_is_half_written(shared: Folder, kind: str) -> None:
    run = shared.failed("run", "unstored", "-p", f"kind={kind}")
    step = steps_of(run)["unstorable"]
    assert step["error"]["kind"] == "stored"
    assert step["error"]["message"].startswith("what it returned can't be stored: ")
    assert step["outputs"] is None
    assert shared.trikk("doctor").code == 0


def test_a_tuple_of_another_length_than_declared_is_refused(shared: Folder) -> None:
    run = shared.failed("run", "tuples")
    assert steps_of(run)["wrong_length"]["error"]["kind"] == "returned"


def test_a_failure_prints_the_step_the_end_of_its_log_and_the_command_that_resumes(shared: Folder) -> None:
    done = shared.trikk("run", "faulty", "-p", "kind=raise")
    assert done.code == 1
    assert "misbehave: failed: ValueError: the reason (pipelines.py:" in done.err
    assert "  | ValueError: the reason" in done.err
    run = shared.good("show", "last")["id"]
    assert f"next: trikk resume {run}" in done.err
    assert done.out == ""


def test_a_run_goes_on_where_trikk_toml_is_broken_after_it_began(folder: Folder) -> None:
    folder.touch("mended")
    process = folder.start("run", "branches", "--json")
    until(lambda: "aside" in folder.lines("ran"))
    folder.write(trikk="broken")
    assert folder.end(process).json["state"] == "succeeded"
