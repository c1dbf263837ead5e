from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.execution.command import lives, until

from trikk import notebook, pipeline
from trikk.core.errors import DefinitionError, UsageError
from trikk.steps.notebooks.parameter_names import plain
from trikk.storage.artifact import Artifact
from trikk.testing import run_inline
from trikk.testing.inline_run import InlineRun


def cell(source: str, *, tags: tuple[str, ...] = (), kind: str = "code") -> dict[str, Any]:
    more = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {"tags": list(tags)}, "source": source, **more}


def write(path: Path, *cells: dict[str, Any]) -> None:
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    path.write_text(json.dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 4}))


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, at the front of the path as in a run."""
    (tmp_path / "trikk.toml").write_text('name = "p"\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def logged(run: InlineRun) -> dict[str, str]:
    bodies = [e.body for e in run.events if e.kind == "artifact.logged"]
    return {b["name"]: run.artifacts.load(Artifact.read(b["artifact"])).read_text("utf-8") for b in bodies}


def test_a_cell_that_fails_is_named_and_the_notebook_kept_so_far(code: Path) -> None:
    pytest.importorskip("papermill", reason="no papermill")
    write(
        code / "broken.ipynb",
        cell("# Broken", kind="markdown"),
        cell("n = 1", tags=("parameters",)),
        cell('print("so far", n)'),
        cell('# divide\nn / 0\nprint("never")'),
        cell('print("not reached")'),
    )

    @pipeline
    def breaking(n: int) -> None:
        notebook("broken.ipynb", {"n": n})

    run = run_inline(breaking, n=7)
    error: Any = run.run.steps["notebook"].error
    assert "broken.ipynb, cell 4: ZeroDivisionError: division by zero\n  line: n / 0" in error["message"]
    found = logged(run)
    book = json.loads(found["broken.ipynb"])
    assert "".join(book["cells"][2]["source"]) == "# Parameters\nn = 7\n"
    assert book["cells"][3]["outputs"][0]["text"] == ["so far 7\n"]
    assert book["cells"][4]["outputs"][0]["ename"] == "ZeroDivisionError"
    assert book["cells"][5]["execution_count"] is None
    assert "papermill" not in found["broken.ipynb"]
    assert "ZeroDivisionError" in found["broken.html"]


def test_a_kernel_that_dies_is_a_failure_of_its_cell_and_leaves_nothing_running(code: Path) -> None:
    pytest.importorskip("papermill", reason="no papermill")
    write(
        code / "dead.ipynb",
        cell(f"import os\nopen({str(code / 'pid')!r}, 'w').write(str(os.getpid()))\nprint('so far')"),
        cell("os.kill(os.getpid(), 9)"),
    )

    @pipeline
    def dying() -> None:
        notebook("dead.ipynb")

    run = run_inline(dying)
    error: Any = run.run.steps["notebook"].error
    assert "dead.ipynb, cell 2: the kernel died" in error["message"]
    assert "so far" in logged(run)["dead.ipynb"]
    until(lambda: not lives(int((code / "pid").read_text())))


def test_a_plain_call_gives_files_and_changes_nothing_of_this_process(
    code: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("papermill", reason="no papermill")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setattr("tempfile.tempdir", str(code))
    before, folder = dict(os.environ), Path.cwd()
    write(
        code / "a b.ipynb",
        cell("day = None\nitems = {}\nrows = text = ''", tags=("parameters",)),
        cell(
            "import pathlib\n"
            "print(day, items, rows, text, sorted(p.name for p in pathlib.Path.cwd().iterdir()))\n"
            "pathlib.Path('sub/out.csv').write_text(pathlib.Path(rows).read_text())\n"
            "raise SystemExit"
        ),
    )
    made = notebook(
        "a b.ipynb",
        {"day": date(2020, 3, 26), "items": {"a": [1.5, None, True, "q\"'\n"]}},
        inputs={"rows.csv": pl.DataFrame({"n": [1, 2]}), "text.txt": "ø"},
        outputs="sub/out.csv",
    )
    expected = "{'a': [1.5, None, True, 'q\"\\'\\n']} rows.csv text.txt ['rows.csv', 'sub', 'text.txt']"
    assert f"2020-03-26 {expected}" in capfd.readouterr().out
    assert made.files["sub/out.csv"]["n"].to_list() == [1, 2]
    assert (made.notebook.name, made.html.name) == ("a b.ipynb", "a b.html")
    assert (dict(os.environ), Path.cwd()) == (before, folder)


@pytest.mark.parametrize(
    ("cells", "arguments", "words"),
    [
        ([cell("x = 1", tags=("parameters",))], {"parameters": {"y": 2}}, "n.ipynb has no parameter 'y'"),
        ([cell("y = 1\nx = 1")], {"parameters": {"x": 2}}, "n.ipynb sets 'x' itself"),
        ([cell("x: int = 1")], {"parameters": {"x": 2}}, "n.ipynb sets 'x' itself"),
        ([cell("x = 1")], {"kernel": "no-such-kernel"}, "there is no kernel 'no-such-kernel'"),
        ([cell("x = 1")], {"parameters": {"x": object()}}, "object can't be a parameter"),
        ([], {"path": "other.ipynb"}, "there is no notebook 'other.ipynb'"),
        (None, {}, "n.ipynb can't be used as a notebook"),
    ],
)
def test_what_can_not_be_executed_is_a_usage_error(
    code: Path, cells: list[dict[str, Any]] | None, arguments: dict[str, Any], words: str
) -> None:
    pytest.importorskip("papermill", reason="no papermill")
    if cells is None:
        (code / "n.ipynb").write_text("{ nonsense")
    else:
        write(code / "n.ipynb", *cells)
    with pytest.raises(UsageError, match=words):
        notebook(**{"path": "n.ipynb", **arguments})


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "../n.ipynb"},
        {"path": "/n.ipynb"},
        {"path": "n.py"},
        {"path": "n.ipynb", "parameters": {"x = 1; import os": 1}},
        {"path": "n.ipynb", "parameters": {"class": 1}},
        {"path": "n.ipynb", "inputs": {"../x": 1}},
        {"path": "n.ipynb", "inputs": {"a b": 1}},
        {"path": "n.ipynb", "parameters": {"x": 1}, "inputs": {"x.csv": 1}},
        {"path": "n.ipynb", "outputs": "../x.csv"},
        {"path": "n.ipynb", "kernel": "../python3"},
    ],
)
def test_a_wrong_definition_names_the_author_s_line(arguments: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as error:
        notebook(**arguments)
    assert str(error.value.where).startswith(__file__)


def test_parameters_keep_their_values_and_the_kept_notebook_is_valid(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("papermill", reason="no papermill")
    monkeypatch.setattr("tempfile.tempdir", str(code))
    write(code / "n.ipynb", cell("import json\njson.dump(repr([a, b, c]), open('out.json', 'w'))"))
    given = {"a": (1, (2, date(2024, 1, 2))), "b": [float("nan"), float("-inf")], "c": {"k": None, "big": 2**70}}
    made = notebook("n.ipynb", given, outputs="out.json")
    assert made.files["out.json"] == f"[[1, [2, '2024-01-02']], [nan, -inf], {{'k': None, 'big': {2**70}}}]"

    def no_constant(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    json.loads(made.notebook.read_text(), parse_constant=no_constant)


def test_parameters_become_what_every_language_has() -> None:
    given = {"a": (date(2020, 3, 26), {1: None}), "b": float("inf")}
    assert plain(given) == {"a": ["2020-03-26", {"1": None}], "b": float("inf")}
