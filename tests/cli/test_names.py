"""Names that lead elsewhere, hold odd characters or are far too long: refused, and nothing is made by them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.execution.command import Folder

HOSTILE = ["../x", "/etc/passwd", "a" * 300, "a\nb", "", "%", "\udcff"]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_command_takes_a_hostile_name(shared: Folder, name: str) -> None:
    before = sorted(shared.root.parent.iterdir())
    for command in (["run"], ["show"], ["tables"]):
        done = shared.trikk(*command, "--json", "--", name)
        assert done.code == 2, done
        assert done.error["code"] in ("unknown-name", "usage"), done
    assert sorted(shared.root.parent.iterdir()) == before


@pytest.mark.parametrize("name", ["../x", "a" * 300, "", "-x", "a\nb"])
def test_no_table_gets_a_hostile_name(shared: Folder, name: str) -> None:
    (shared.root / "one.csv").write_text("a\n1\n")
    done = shared.trikk("ingest", "--json", "--", name, "one.csv")
    assert done.code == 2
    assert "can't name a table" in done.error["what"]
    assert shared.good("tables") == {"tables": []}


STEPS = {
    "step": "@step(name=NAME)\ndef s() -> int:\n    return 1\n@pipeline\ndef p():\n    s()\n",
    "option": "@step\ndef s() -> int:\n    return 1\n@pipeline\ndef p():\n    s.options(name=NAME)()\n",
    "pipeline": "@step\ndef s() -> int:\n    return 1\n@pipeline(name=NAME)\ndef p():\n    s()\n",
    "table": "@step\ndef s() -> int:\n    return 1\nt = Table(NAME)\n@pipeline\ndef p():\n    s()\n",
}


@pytest.mark.parametrize("name", ["../x", "a\0b", "a" * 300, "a.b"])
@pytest.mark.parametrize("kind", STEPS)
def test_a_definition_with_a_hostile_name_is_refused_with_its_line(folder: Folder, kind: str, name: str) -> None:
    folder.write(pipelines="from trikk import Table, pipeline, step\n" + STEPS[kind].replace("NAME", repr(name)))
    error = folder.refused("pipelines")
    assert "can't name a" in error["what"]
    assert "pipelines.py" in str(error["where"])
    assert len(error["what"]) < 200


@pytest.mark.parametrize("step", ["../x", "text[0]", "text[x", "text[²]", "text[" + "9" * 5000 + "]", "[", "\n"])
def test_steps_that_are_not_there_are_refused(shared: Folder, step: str) -> None:
    shared.good("run", "texts", "-p", "value=a")
    for command in ("show", "logs"):
        done = shared.trikk(command, "last", step, "--json")
        assert done.code == 2, done
        assert done.error["next"]


def test_a_parameter_of_any_text_arrives_as_it_was_given(shared: Folder) -> None:
    for value in ("a\nb", "=../x", "", "'; DROP TABLE runs; --" * 500, '{"$": "enum"}'):
        run = shared.good("run", "texts", "-p", f"value={value}")
        assert run["parameters"] == {"value": value}
        assert shared.good("show", "last")["steps"][0]["outputs"][0]["summary"].get("value", value) == value


def test_init_makes_a_project_of_any_folder_name(tmp_path: Path) -> None:
    for name in ('q"uote\\', "line\nbreak ü"):
        made = Folder(tmp_path)
        assert made.trikk("init", name).code == 0
        inside = Folder(tmp_path / name)
        assert [g["pipeline"] for g in inside.good("pipelines")["pipelines"]] == ["hello"]


def test_init_refuses_what_it_can_not_make_and_touches_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    example = ["new", "--example", "../x"]
    for arguments in (["full"], ["file"], ["a" * 300], ["file/inside"], example):
        done = folder.trikk("init", *arguments)
        assert done.code == 2, done
        assert "next: " in done.err
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]
