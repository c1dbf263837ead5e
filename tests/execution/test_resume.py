"""Resume: what is reused, what runs and why; whose code; damage."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest
from tests.execution.command import Folder, states_of, steps_of

TOML = 'name = "three"\n'
CODE = """
from pathlib import Path
from trikk import pipeline, step
import helper

@step
def first(n: int) -> list[int]:
    helper.note("first")
    return [n, helper.NUMBER]

@step
def second(numbers: list[int]) -> list[int]:
    helper.note("second")
    return numbers + [2]

@step
def third(numbers: list[int]) -> list[int]:
    helper.note("third")
    if helper.FAILS and not Path("mended").exists():
        raise ValueError("third fails")
    return numbers + [helper.NUMBER]

@pipeline
def three(n: int = 1):
    third(second(first(n)))
"""
HELPER = """
NUMBER = 7
FAILS = True
def note(text):
    with open("ran", "a") as file:
        file.write(text + "\\n")
"""


@pytest.fixture
def three(tmp_path: Path) -> Folder:
    """A project with a run that failed at its third step."""
    folder = Folder(tmp_path)
    folder.write(trikk=TOML, pipelines=CODE, helper=HELPER)
    run = folder.failed("run", "three")
    assert states_of(run) == {"first": "succeeded", "second": "succeeded", "third": "failed"}
    (folder.root / "ran").unlink()
    return folder


def object_of(folder: Folder, run: dict[str, object], step: str) -> Path:
    digest = steps_of(run)[step]["outputs"][0]["digest"]
    return next((folder.root / ".trikk" / "artifacts").rglob(f"*{digest[2:]}"))


def test_resume_says_what_it_reuses_and_runs_and_does_just_that(three: Folder) -> None:
    three.touch("mended")
    done = three.trikk("resume", "last")
    assert done.code == 0
    assert (
        "  reuse first: it has succeeded\n  reuse second: it has succeeded\n  run   third: it failed\n" in done.err
    )
    assert three.lines("ran") == ["third"]
    run = three.good("show", "last")
    assert [s["reused"] for s in run["steps"]] == [True, True, False]
    assert [s["attempts"] for s in run["steps"]] == [1, 1, 2]
    assert run["resumed"] == 1


def test_a_run_that_succeeded_is_not_resumed(three: Folder) -> None:
    three.touch("mended")
    three.good("resume", "last")
    error = three.refused("resume", "last", code=1)
    assert "nothing to resume" in error["what"]
    assert "trikk replay" in error["next"]


def test_of_several_that_resume_at_once_one_drives_and_nothing_runs_twice(three: Folder) -> None:
    three.touch("mended")
    started = [three.start("resume", "last", "--json") for _ in range(3)]
    ended = [three.end(process) for process in started]
    assert sorted(done.code for done in ended) == [0, 1, 1]
    assert {done.error["code"] for done in ended if done.code} <= {"lease-held", "run"}
    assert three.lines("ran") == ["third"]
    assert three.good("show", "last")["resumed"] == 1


def test_changed_code_stops_and_names_both_ways(three: Folder) -> None:
    three.write(helper=HELPER.replace("FAILS = True", "FAILS = False"))
    error = three.refused("resume", "last", code=1)
    assert "helper.py" in error["what"]
    assert "--with-current-code" in error["next"]
    assert "--with-locked-code" in error["next"]
    assert three.lines("ran") == []
    assert three.good("show", "last")["state"] == "failed"


def test_with_current_code_the_mended_step_runs_and_that_is_recorded(three: Folder) -> None:
    three.write(helper=HELPER.replace("FAILS = True", "FAILS = False").replace("7", "8"))
    before = three.good("show", "last")
    run = three.good("resume", "last", "--with-current-code", "--keep", "first")
    assert run["code"] == "current"
    assert run["lock"]["code"] != before["lock"]["code"]
    assert steps_of(run)["third"]["outputs"][0]["summary"]["value"] == [1, 7, 2, 8]
    assert three.lines("ran") == ["third"]


def test_with_locked_code_the_old_code_runs(three: Folder) -> None:
    three.write(helper=HELPER.replace("7", "8"), pipelines="raise ValueError('not this one')\n")
    three.touch("mended")
    run = three.good("resume", "last", "--with-locked-code")
    assert run["code"] == "locked"
    assert steps_of(run)["third"]["outputs"][0]["summary"]["value"] == [1, 7, 2, 7]


def test_locked_code_that_was_laid_out_before_and_edited_since_is_not_trusted(three: Folder) -> None:
    three.write(helper=HELPER.replace("7", "8"))
    three.failed("resume", "last", "--with-locked-code")
    for laid_out in (three.root / ".trikk" / "code").glob("*/helper.py"):
        laid_out.write_text(HELPER.replace("7", "666"))
    three.touch("mended")
    run = three.good("resume", "last", "--with-locked-code")
    assert steps_of(run)["third"]["outputs"][0]["summary"]["value"] == [1, 7, 2, 7]


@pytest.mark.parametrize(("answer", "code", "value"), [("current", 0, 8), ("locked", 0, 7), ("stop", 1, None)])
def test_on_a_terminal_it_asks(three: Folder, answer: str, code: int, value: int | None) -> None:
    three.write(helper=HELPER.replace("7", "8"))
    three.touch("mended")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(three.root)
        os.execv(sys.executable, [sys.executable, "-m", "trikk.cli.main", "resume", "last"])
    seen = b""
    asked = settled = False
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        seen += data
        if b"which code" in seen and not asked:
            asked = True
            os.write(terminal, answer.encode() + b"\n")
        if b"keep their results?" in seen and not settled:
            settled = True
            os.write(terminal, b"keep\n")
        if not data:
            break
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == code, seen
    assert b"Traceback" not in seen
    run = three.good("show", "last")
    if value is None:
        assert run["state"] == "failed"
    else:
        assert steps_of(run)["third"]["outputs"][0]["summary"]["value"][-1] == value


@pytest.mark.parametrize("how", ["damaged", "gone"])
def test_a_step_whose_result_is_needed_and_damaged_runs_again(three: Folder, how: str) -> None:
    stored = object_of(three, three.good("show", "last"), "second")
    stored.chmod(0o600)
    if how == "gone":
        stored.unlink()
    else:
        stored.write_bytes(b"x" * stored.stat().st_size)
        assert three.trikk("doctor").code == 1
    three.touch("mended")
    done = three.trikk("resume", "last")
    assert done.code == 0, done
    assert "reuse first" in done.err
    assert "run   second: its result is needed, but" in done.err
    assert three.lines("ran") == ["second", "third"]


def test_a_damaged_result_that_nothing_needs_is_left_alone(three: Folder) -> None:
    object_of(three, three.good("show", "last"), "first").unlink()
    three.touch("mended")
    three.good("resume", "last")
    assert three.lines("ran") == ["third"]


def test_what_is_built_on_a_step_with_other_arguments_runs_again_too(three: Folder) -> None:
    three.write(pipelines=CODE.replace("first(n)", "first(5)"), helper=HELPER.replace("True", "False"))
    done = three.trikk("resume", "last", "--with-current-code")
    assert "run   first: the pipeline gives it other arguments now" in done.err
    assert "run   second: step first, whose result it is given, runs again" in done.err
    assert steps_of(three.good("show", "last"))["third"]["outputs"][0]["summary"]["value"] == [5, 7, 2, 7]


def test_steps_may_be_new_or_gone_in_the_mended_pipeline(three: Folder) -> None:
    mended = CODE.replace("third(second(first(n)))", 'second.options(name="fourth")(first(n))')
    three.write(pipelines=mended)
    run = three.good("resume", "last", "--with-current-code")
    assert states_of(run) == {"first": "succeeded", "fourth": "succeeded"}
    assert three.lines("ran") == ["second"]


def test_a_pipeline_that_is_gone_or_wants_other_parameters_is_refused_and_nothing_is_lost(three: Folder) -> None:
    for code in (CODE.replace("def three", "def other"), CODE.replace("n: int = 1", "m: int")):
        three.write(pipelines=code)
        three.refused("resume", "last", "--with-current-code")
        run = three.good("show", "last")
        assert (run["state"], run["resumed"]) == ("failed", 0)


def test_damaged_items_of_a_map_run_again(folder: Folder) -> None:
    run = folder.failed("run", "mapped", "--keep-going")
    digest = steps_of(run)["each"]["items"][3]["outputs"][0]["digest"]
    next((folder.root / ".trikk" / "artifacts").rglob(f"*{digest[2:]}")).unlink()
    folder.touch("mended")
    before = len(folder.lines("ran"))
    run = folder.good("resume", "last")
    assert sorted(folder.lines("ran")[before:]) == ["each 2", "each 3", "total"]
    assert steps_of(run)["total"]["outputs"][0]["summary"]["value"] == 60
