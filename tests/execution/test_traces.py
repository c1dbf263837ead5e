"""What a failed step says: the exception's class and the author's own line, however deep the libraries go."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.execution.command import Folder, steps_of

from trikk import PermanentError, pipeline, step
from trikk.core.errors import TableError, UsageError
from trikk.execution.workers.traces import headline, own_line, own_traceback
from trikk.models.task import Classes
from trikk.testing import run_inline

HERE = Path(__file__)


class Odd(Exception):
    """The author's own."""


def from_another() -> None:
    try:
        json.loads("{bad")
    except ValueError as error:
        raise Odd("the file is no JSON") from error


def two_failed() -> None:
    raise ExceptionGroup("two failed", [ExceptionGroup("one", [KeyError("a")]), ValueError("b")])


async def _fails() -> None:
    json.loads("{bad")


async def _tasks() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_fails())


def again(number: int) -> int:
    return once_more(number)


def once_more(number: int) -> int:
    return again(number + 1)


def long_text() -> None:
    raise Odd("z" * 1_000_000)


def blank_first() -> None:
    raise Odd("\n \n  the text\nmore")


FAULTS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "a key": (lambda: {}["mae"], "KeyError: 'mae'", "<lambda>"),
    "polars": (
        lambda: pl.LazyFrame({"a": [1]}).select("b").collect(),
        "ColumnNotFoundError: unable to",
        "<lambda>",
    ),
    "C": (lambda: int("x"), "ValueError: invalid literal", "<lambda>"),
    "python library": (lambda: json.loads("{bad"), "JSONDecodeError: Expecting property name", "<lambda>"),
    "from": (from_another, "Odd: the file is no JSON", "from_another"),
    "group": (two_failed, "ExceptionGroup: two failed (2 sub-exceptions); the first: KeyError: 'a'", "two_failed"),
    "tasks": (
        lambda: asyncio.run(_tasks()),
        "ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception); the first: JSONDecodeError: Expecting",
        "_fails",
    ),
    "code in a text": (lambda: ast.parse("a b"), "SyntaxError: invalid syntax", "<lambda>"),
    "no text": (lambda: from_iter([Odd]), "Odd", "from_iter"),
    "blank": (blank_first, "Odd: the text", "blank_first"),
    "long": (long_text, "Odd: zzz", "long_text"),
    "deep": (lambda: again(0), "RecursionError: maximum recursion depth exceeded", "again|once_more"),
    "permanent": (lambda: from_iter([PermanentError("no data")]), "PermanentError: no data", "from_iter"),
    "cancelled": (lambda: from_iter([asyncio.CancelledError()]), "CancelledError", "from_iter"),
}


def from_iter(errors: list[Any]) -> None:
    raise errors[0]


@step
def misbehave(kind: str) -> int:
    FAULTS[kind][0]()
    return 1


@pipeline
def misbehaving(kind: str) -> None:
    misbehave(kind)


@pytest.mark.parametrize("kind", FAULTS)
def test_the_class_and_the_authors_own_line_are_named(kind: str) -> None:
    _, words, function = FAULTS[kind]
    done = run_inline(misbehaving, kind=kind)
    assert done.error is not None
    shape = rf"step misbehave: {re.escape(words)}.* \(\S*{HERE.name}:(\d+) in ({function})\)"
    assert re.fullmatch(shape, done.error), done.error
    assert len(done.error) < 500
    error = done.run.steps["misbehave"].error
    assert error is not None
    assert "trikk/execution" not in error["traceback"]


def test_what_lies_in_the_projects_folder_but_is_installed_there_is_no_authors_line(tmp_path: Path) -> None:
    library = tmp_path / ".venv" / "lib" / "site-packages"
    library.mkdir(parents=True)
    (library / "lib_of_others.py").write_text(
        "def call(f):\n    return f()\n\ndef fail():\n    raise KeyError(1)\n"
    )
    (tmp_path / "own_code.py").write_text("import lib_of_others as l\n\ndef go():\n    l.call(l.fail)\n")
    sys.path[:0] = [str(tmp_path), str(library)]
    try:
        import own_code  # type: ignore[import-not-found]

        with pytest.raises(KeyError) as caught:
            own_code.go()
    finally:
        del sys.path[:2]
        for name in ("own_code", "lib_of_others"):
            sys.modules.pop(name, None)
    assert own_line(caught.value, tmp_path) == "own_code.py:4 in go"


def test_a_foreseen_error_shows_neither_trikks_frames_nor_the_librarys_error(tmp_path: Path) -> None:
    def foreseen() -> None:
        try:
            pl.LazyFrame({"a": [1]}).select("b").collect()
        except pl.exceptions.PolarsError as error:
            raise TableError("no such column") from error

    code = compile("def call(f):\n    f()\n", str(Path(pl.__file__).parent / "x.py"), "exec")
    scope: dict[str, Any] = {}
    exec(code, scope)
    with pytest.raises(TableError) as caught:
        scope["call"](foreseen)
    assert "ColumnNotFoundError" in own_traceback(caught.value, HERE.parent)  # raised in the author's code
    assert "ColumnNotFoundError" not in own_traceback(caught.value, tmp_path)


def test_a_mistake_that_a_dataclass_of_trikk_refuses_is_a_foreseen_error_without_frames(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        Classes(("leak", "ok"), positive="leek")
    refused.value.__traceback__ = refused.value.__traceback__.tb_next  # type: ignore[union-attr]  # this test's frame
    assert own_traceback(refused.value, tmp_path) == ""


def test_terminal_and_show_name_class_and_line_and_a_ready_made_step_its_call(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    code = """
from trikk import pipeline, sql, step
import helper

@step
def fit() -> int:
    return helper.deep(40)

@step
def late() -> int:
    import broken
    return 1

@pipeline
def train():
    fit()

@pipeline
def imports():
    late()

@pipeline
def read():
    sql("sqlite:///nope/x.db", "select 1 from x")
"""
    helper = """
import json

def deep(n):
    return json.loads("[" * n, parse_int=lambda t: 1)
"""
    folder.write(trikk='name = "p"\n', pipelines=code, helper=helper, broken="x = 1\ndef f(:\n")
    done = folder.trikk("run", "train")
    assert "JSONDecodeError: Expecting value: line 1 column 41 (char 40) (helper.py:5 in deep)" in done.err
    for command in (["show", "last"], ["show", "last", "fit"], ["runs", "--json"]):
        assert "helper.py:5 in deep" in folder.trikk(*command).out
    assert "SyntaxError: invalid syntax (broken.py, line 2) (broken.py:2)" in folder.trikk("run", "imports").err
    done = folder.trikk("run", "read")
    assert "step sql: there is no sqlite file at the address (pipelines.py:24)" in done.err
    assert '.py", line' not in done.err
    assert steps_of(folder.good("show", "last"))["sql"]["error"]["where"] == "pipelines.py:24"


def test_errors_of_older_journals_have_no_line() -> None:
    old = {"kind": "raised", "type": "ValueError", "message": "bad", "traceback": "", "retryable": False}
    assert headline(old) == "ValueError: bad"
    assert headline(None) == "failed"
