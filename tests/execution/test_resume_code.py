"""Resuming with other code: a result of code that has changed since is never reused without a word."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest
from tests.execution.command import Folder, states_of, steps_of

CODE = """
import os, uuid
from datetime import datetime, timedelta
from pathlib import Path
import polars as pl
from trikk import Table, pipeline, step
import helper, lib.deep

BEGUN = datetime.now() - timedelta(hours=helper.HOURS)
NAME = uuid.uuid4()
KINDS = {"bus", "tram", "ferry", "metro"}
TABLES = {"a": frozenset({"x", "y", "z"}), "b": [object()]}

SCALE = 2
HERE = Path(__file__).parent
DOUBLE = pl.col("x") * 2
PLACES = [HERE, str(HERE / "x")]
CHOICES = {"a": helper.choose}

def note(text):
    with open("ran", "a") as file:
        file.write(text + "\\n")

@step
def load(n: int) -> list[int]:
    note("load")
    return [n, 1]

@step
def scale(numbers: list[int], by: int = SCALE) -> list[int]:
    note("scale")
    import later
    assert HERE and PLACES and DOUBLE is not None and BEGUN and NAME and KINDS and TABLES and os.environ
    return [later.twist(helper.plus(x) * by) for x in CHOICES["a"](numbers)] + [lib.deep.ZERO]

@step
def last(numbers: list[int]) -> list[int]:
    note("last")
    if not Path("mended").exists():
        raise ValueError("last fails")
    return numbers

@pipeline
def three(n: int = 1):
    last(scale(load(n)))
"""
HELPER = """
HOURS = 1

def plus(x):
    return x + 0

def choose(numbers):
    return numbers
"""
LATER = "def twist(x):\n    return x\n"


@pytest.fixture
def three(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").touch()
    (tmp_path / "lib" / "deep.py").write_text("ZERO = 0\n")
    folder.write(trikk='name = "three"\n', pipelines=CODE, helper=HELPER, later=LATER)
    run = folder.failed("run", "three")
    assert states_of(run) == {"load": "succeeded", "scale": "succeeded", "last": "failed"}
    (folder.root / "ran").unlink()
    folder.touch("mended")
    return folder


def result(folder: Folder) -> list[int]:
    value: list[int] = steps_of(folder.good("show", "last"))["last"]["outputs"][0]["summary"]["value"]
    return value


CHANGES = {
    "its own code": ("pipelines.py", "+ [lib.deep", "+ [5] + [lib.deep"),
    "a default": ("pipelines.py", "SCALE = 2", "SCALE = 3"),
    "an expression": ("pipelines.py", '("x") * 2', '("x") * 3'),
    "what is computed at import": ("pipelines.py", "now() - ", "now() + "),
    "what it is computed from": ("helper.py", "HOURS = 1", "HOURS = 2"),
    "a set": ("pipelines.py", '"tram"', '"train"'),
    "a helper": ("helper.py", "x + 0", "x + 1"),
    "a helper in a list": ("helper.py", "return numbers", "return numbers[:1]"),
    "a constant two modules away": ("lib/deep.py", "0", "9"),
    "what it imports itself": ("later.py", "return x", "return -x"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_step_whose_code_has_changed_is_not_reused_without_a_word(three: Folder, change: str) -> None:
    file, old, new = CHANGES[change]
    path = three.root / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    done = three.trikk("resume", "last", "--with-current-code")
    assert done.code == 1
    assert "  reuse load: it has succeeded; its code is as it was\n" in done.err
    assert "  reuse scale: it has succeeded; its code has changed since\n" in done.err
    assert "--again scale" in done.err
    assert "--keep scale" in done.err
    assert three.lines("ran") == []
    run = three.good("show", "last")
    assert (run["state"], run["resumed"]) == ("failed", 0)


def test_values_that_differ_with_each_import_are_no_change(three: Folder) -> None:
    three.write(pipelines=CODE.replace("last fails", "it fails"))
    done = three.trikk("resume", "last", "--with-current-code")
    assert done.code == 0, done.err
    assert "  reuse scale: it has succeeded; its code is as it was\n" in done.err
    assert three.lines("ran") == ["last"]


def test_again_runs_it_and_keep_keeps_it(three: Folder) -> None:
    three.write(helper=HELPER.replace("x + 0", "x + 1"))
    error = three.refused("resume", "last", "--with-current-code", code=1)
    assert error["code"] == "run"
    three.refused("resume", "last", "--with-current-code", "--again", "scale", "--keep", "scale", code=1)
    three.refused("resume", "last", "--with-current-code", "--keep", "nope")
    error = three.refused("resume", "last", "--with-current-code", "--again", "load", "--keep", "scale", code=1)
    assert "step load, whose result it is given, runs again" in error["what"]
    three.good("resume", "last", "--with-current-code", "--keep", "scale")
    assert three.lines("ran") == ["last"]
    assert result(three) == [2, 2, 0]


def test_again_gives_the_result_of_the_code_as_it_is(three: Folder) -> None:
    three.write(helper=HELPER.replace("x + 0", "x + 1"))
    three.good("resume", "last", "--with-current-code", "--again", "scale")
    assert three.lines("ran") == ["scale", "last"]
    assert result(three) == [4, 4, 0]


def test_code_is_compared_with_that_which_the_step_ran_with_however_often_the_run_was_resumed(
    three: Folder,
) -> None:
    (three.root / "mended").unlink()
    three.write(helper=HELPER.replace("x + 0", "x + 1"))
    three.failed("resume", "last", "--with-current-code", "--keep", "scale")
    three.write(helper=HELPER.replace("x + 0", "x + 1") + "\ndef unused(): return 1\n")
    assert "--keep scale" in three.refused("resume", "last", "--with-current-code", code=1)["next"]
    three.write(helper=HELPER + "\ndef unused(): return 1\n")  # as it was when the step ran
    three.failed("resume", "last", "--with-current-code")
    three.write(helper=HELPER.replace("x + 0", "x + 2"))
    three.failed("resume", "last", "--with-current-code", "--again", "scale")
    three.write(helper=HELPER.replace("x + 0", "x + 2") + "\ndef unused(): return 1\n")
    three.touch("mended")
    three.good("resume", "last", "--with-current-code")
    assert result(three) == [6, 6, 0]


def test_what_can_not_be_compared_any_more_is_not_reused_without_a_word_either(three: Folder) -> None:
    (three.root / "ran").touch()
    code = (three.root / "pipelines.py").read_text()
    three.write(pipelines=f"import os\nassert not os.path.exists('{three.root}/gone')\n{code}")
    three.good("run", "three")
    (three.root / "mended").unlink()
    three.failed("run", "three")
    three.touch("mended")
    three.touch("gone")
    three.write(pipelines=code)
    error = three.refused("resume", "last", "--with-current-code", code=1)
    assert "load, scale have succeeded" in error["what"]
    assert "can't be told" in error["what"]
    three.good("resume", "last", "--with-current-code", "--keep", "load", "--again", "scale")


@pytest.mark.parametrize(
    ("answer", "code", "value"), [("again", 0, [4, 4, 0]), ("keep", 0, [2, 2, 0]), ("stop", 1, None)]
)
def test_on_a_terminal_it_asks(three: Folder, answer: str, code: int, value: list[int] | None) -> None:
    three.write(helper=HELPER.replace("x + 0", "x + 1"))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(three.root)
        arguments = ["-m", "trikk.cli.main", "resume", "last", "--with-current-code"]
        os.execv(sys.executable, [sys.executable, *arguments])
    seen, asked = b"", False
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        seen += data
        if b"keep their results?" in seen and not asked:
            asked = True
            os.write(terminal, answer.encode() + b"\n")
        if not data:
            break
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == code, seen
    assert b"Traceback" not in seen
    assert b"The code of these steps has changed: scale" in seen
    if value is None:
        assert three.good("show", "last")["state"] == "failed"
    else:
        assert result(three) == value


def test_items_that_are_done_are_not_kept_beside_items_of_other_code_without_a_word(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    code = """
from trikk import pipeline, step

@step
def each(x: int) -> int:
    if x == 2:
        raise ValueError("two")
    return x * 10

@pipeline
def mapped():
    each.map([1, 2, 3])
"""
    folder.write(trikk='name = "m"\n', pipelines=code)
    folder.failed("run", "mapped", "--keep-going")
    mended = code.replace('    if x == 2:\n        raise ValueError("two")\n', "").replace("10", "11")
    folder.write(pipelines=mended)
    error = folder.refused("resume", "last", "--with-current-code", code=1)
    assert "--again each" in error["next"]
    run = folder.good("resume", "last", "--with-current-code", "--again", "each")
    assert steps_of(run)["each"]["outputs"][0]["summary"]["length"] == 3
    assert [i["outputs"][0]["summary"]["value"] for i in steps_of(run)["each"]["items"]] == [11, 22, 33]


def test_a_table_write_under_another_name_does_not_write_twice(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    code = """
from pathlib import Path
import polars as pl
from trikk import Table, pipeline, step

@step
def rows() -> pl.DataFrame:
    return pl.DataFrame({"a": [1]})

@step
def fails() -> int:
    raise ValueError("it fails")

@pipeline
def writes():
    done = Table("t").append(rows())
    fails.options(after=[done])()
"""
    folder.write(trikk='name = "w"\n', pipelines=code)
    folder.failed("run", "writes")
    renamed = code.replace("append(rows())", "overwrite(rows())").replace("raise ValueError", "return 1 #")
    folder.write(pipelines=renamed)
    error = folder.refused("resume", "last", "--with-current-code", code=1)
    assert "would write to it again" in error["what"]
    assert folder.good("tables", "t")["rows"] == 1
