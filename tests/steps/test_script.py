from __future__ import annotations

import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk import notebook, script
from trikk.core.errors import DefinitionError, ProgramFailed, StorageError, UsageError
from trikk.steps.scripts.command_line import environment_of, interpreter, refuse_addresses, word
from trikk.steps.scripts.file_names import check_file_name

ROWS = pl.DataFrame({"a": [1, None], "t": ["x,y", "ø"]})


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, at the front of the path as in a run."""
    (tmp_path / "trikk.toml").write_text('name = "p"\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def sh(text: str, **more: Any) -> Any:
    return script(["sh", "-c", text], **more)


@pytest.mark.parametrize(
    "rows", [ROWS, ROWS.lazy(), ROWS.to_arrow(), ROWS.to_pandas(), [ROWS.head(1), ROWS.tail(1)]]
)
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_rows_of_every_kind_go_through_files_unchanged(rows: Any, ending: str) -> None:
    assert isinstance(rows, pl.DataFrame | pl.LazyFrame | pa.Table | pd.DataFrame | list)
    back = sh(f"cp 'in put.{ending}' out.{ending}", inputs={f"in put.{ending}": rows}, outputs=f"out.{ending}")
    assert back.cast({"a": pl.Int64}).equals(ROWS)


def test_other_values_go_through_files_too(tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "x.txt").write_text("x")
    inputs = {"a.json": {"d": date(2020, 3, 26), "l": [1, None]}, "b.txt": "ø", "c/d.bin": b"\0", "e": folder}
    facts, made = sh("cp a.json f.json; cp -r b.txt c e out", inputs=inputs, outputs=["f.json", "out/"])
    assert facts == {"d": "2020-03-26", "l": [1, None]}
    assert {p.name: p.read_bytes() for p in made.rglob("*") if p.is_file()} == {
        "b.txt": "ø".encode(), "d.bin": b"\0", "x.txt": b"x",
    }  # fmt: skip


def test_arguments_are_words_and_never_shell(capfd: pytest.CaptureFixture[str]) -> None:
    evil = "$(touch /tmp/evil); `id` 'x' \"y\" *"
    assert script(["printf", "%s|"], evil, date(2020, 3, 26), 1.5, True) is None
    assert capfd.readouterr().out == f"{evil}|2020-03-26|1.5|true|"


def test_scripts_of_the_project_need_not_be_executable(code: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (code / "a b.sh").write_text('#!/usr/bin/env bash\necho "bash ${BASH_VERSION:+yes} $1"\n')
    (code / "plain.sh").write_text('echo "sh $1"\n')
    (code / "x.py").write_text("import sys; print('python', sys.argv[1:], sys.executable)\n")
    script("a b.sh", "one")
    script("plain.sh", "two")
    script("x.py", "a b", 3)
    script(["python3", "x.py", "x.py"])
    script(["a b.sh", "four"])
    assert capfd.readouterr().out.splitlines() == [
        "bash yes one",
        "sh two",
        f"python ['a b', '3'] {sys.executable}",
        f"python ['x.py'] {sys.executable}",
        "bash yes four",
    ]


def test_an_input_hides_a_file_of_the_project(code: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (code / "x.txt").write_text("project's")
    script(["cat", "x.txt"], inputs={"x.txt": "input's"})
    assert capfd.readouterr().out == "input's"


@pytest.mark.parametrize(
    ("files", "command", "words"),
    [
        ({}, "nothing.sh", "there is no script 'nothing.sh'"),
        ({"x.txt": "hello"}, "x.txt", "not part of a run's code"),
        ({"x.sql": "select 1"}, "x.sql", "does not say what runs it"),
        ({"x.sh": "#!/no/such/shell\n"}, "x.sh", "there is no program '/no/such/shell'"),
        ({"x.sh": "#!/usr/bin/env nosuch\n"}, "x.sh", "there is no program 'nosuch'"),
        ({}, ["no-such-program-here"], "there is no program 'no-such-program-here'"),
        ({}, ["/etc/passwd"], "not a program that can be run"),
    ],
)
def test_what_can_not_be_run_is_a_usage_error(code: Path, files: dict[str, str], command: Any, words: str) -> None:
    for name, text in files.items():
        (code / name).write_text(text)
    with pytest.raises(UsageError, match=words):
        script(command)


def test_a_program_that_fails_tells_its_code_and_last_lines(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProgramFailed) as error:
        sh("for i in $(seq 100); do echo line $i >&2; done; exit 7")
    assert error.value.what.startswith("sh ended with code 7:\nline 81\n")
    assert error.value.what.endswith("line 100")
    assert "line 1\n" in capfd.readouterr().err
    with pytest.raises(ProgramFailed, match="sh was ended by signal 9, and said nothing"):
        sh("kill -9 $$")


def test_a_program_left_running_does_not_hold_the_step_up() -> None:
    began = time.monotonic()
    with pytest.raises(ProgramFailed, match="code 1:\nbad"):
        sh("sleep 20 & echo bad >&2; exit 1")
    assert time.monotonic() - began < 15  # not the 20 of what it left


def test_megabytes_on_both_streams_do_not_block(capfd: pytest.CaptureFixture[str]) -> None:
    sh("head -c 3000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2")
    out, err = capfd.readouterr()
    assert (len(out), len(err)) == (3_000_000, 3_000_000)


@pytest.mark.parametrize(
    ("text", "outputs", "words"),
    [
        ("echo a > other.csv", "out.csv", "has not written 'out.csv'(.|\n)*it wrote other.csv"),
        ("ln -s /etc/passwd out.txt", "out.txt", "link that leads outside"),
        ("rmdir out; ln -s / out", "out/", "link that leads outside"),
        ("mkfifo out.csv", "out.csv", "neither a file nor a folder"),
        ("echo '{' > out.json", "out.json", "is not JSON"),
        ("printf 'a,b\\n1,2,3\\n' > out.csv", "out.csv", "out.csv can't be read as csv: line 2: it has more"),
        ("echo x > out.parquet", "out.parquet", "out.parquet can't be read as parquet"),
    ],
)
def test_an_output_that_is_missing_or_damaged_is_named(text: str, outputs: str, words: str) -> None:
    with pytest.raises(StorageError, match=words):
        sh(text, outputs=outputs)


@pytest.mark.parametrize(
    "more",
    [
        {"outputs": "../x.csv"},
        {"outputs": ["a.csv", "b/../../c.csv"]},
        {"outputs": ["a.csv", "a.csv"]},
        {"inputs": {"/etc/x": "y"}},
        {"inputs": {"": "y"}},
        {"inputs": {"a\nb": "y"}},
        {"env": {"MY_TOKEN": "abc"}},
        {"env": {"A B": "x"}},
        {"env": {"X": "AKIAIOSFODNN7EXAMPLE"}},
    ],
)
def test_a_wrong_definition_names_the_author_s_line(more: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as error:
        sh("true", **more)
    assert str(error.value.where).startswith(__file__)
    assert "abc" not in str(error.value)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"x.csv": 3}, "int holds no rows"),
        ({"x.txt": 3}, "can't hold a int"),
        ({"x.json": {1, 2}}, "can't be written: JSON has no set"),
        ({"x.csv": pl.DataFrame({"a": [[1]]})}, "can't be written"),
    ],
)
def test_an_input_that_its_file_can_not_hold_is_refused(inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(Exception, match=words):
        sh("true", inputs=inputs)


@given(st.text(max_size=30))
def test_a_name_that_is_taken_stays_in_its_folder(name: str) -> None:
    try:
        check_file_name(name, "input")
    except UsageError:
        return
    assert Path("/work", name).resolve(strict=False).is_relative_to("/work")
    assert name.rstrip("/") == Path("/work", name).relative_to("/work").as_posix()


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30))
def test_a_word_arrives_as_it_is(text: str) -> None:
    if "\0" in text:
        with pytest.raises(UsageError):
            word(text)
    else:
        assert word(text) == text


def test_variables_are_filled_in_from_the_environment() -> None:
    assert environment_of({"A": "x${B}y", "DAY": date(2020, 3, 26)}, {"B": "$C", "D": "d"}) == {
        "A": "x$Cy", "B": "$C", "D": "d", "DAY": "2020-03-26",
    }  # fmt: skip
    with pytest.raises(UsageError, match="NO_SUCH is not set"):
        environment_of({"A": "${NO_SUCH}"}, {})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"#!/bin/sh -eu x\n", ["/bin/sh", "-eu x"]),
        (b"#! /usr/bin/env python3\r\n", ["/usr/bin/env", "python3"]),
        (b"echo\n", []),
        (b"#!\n", []),
        (b"", []),
    ],
)
def test_the_first_line_names_the_interpreter(line: bytes, words: list[str]) -> None:
    assert interpreter(line) == words


def test_plain_calls_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sh("echo '1' > x.json", outputs="x.json")
    with pytest.raises(ProgramFailed):
        sh("touch x; exit 1")
    assert list(tmp_path.iterdir()) == []
    assert sh("echo x > x.txt", outputs="x.txt").read_text() == "x\n"


def test_the_facade_imports_nothing_heavy() -> None:
    heavy = ("polars", "boto3", "obstore", "papermill", "psycopg")
    text = f"import sys, trikk; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("API_TOKEN", "Bearer ${A}", "Bearer s3"),
        ("AUTH_TOKEN", "${A}", "s3"),
        ("TOKEN_URL", "https://h.example/${A}", "https://h.example/s3"),
        ("SECRET_FILE", "/run/${A}", "/run/s3"),
        ("HEADER", "Authorization: Bearer ${A}", "Authorization: Bearer s3"),
        ("API_TOKEN", "Bearer xyz${A}", None),
        ("API_TOKEN", "xyz${A}", None),
        ("API_TOKEN", "${A} xyz", None),
        ("HEADER", "Authorization: Bearer xyz${A}", None),
        ("HEADER", "Authorization: bearer xyz", None),
        ("DB", "postgresql://u:xyz${A}@h/d", None),
    ],
)
def test_beside_a_reference_stands_no_secret(name: str, value: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(UsageError) as refused:
            environment_of({name: value}, {"A": "s3"})
        assert "xyz" not in f"{refused.value} {refused.value.next}"
    else:
        assert environment_of({name: value}, {"A": "s3"})[name] == expected


def test_an_address_with_a_password_is_no_argument() -> None:
    for words in (["psql", "postgresql://u:hunter2@h/d"], ["curl", "https://h.example/?token=hunter2"]):
        with pytest.raises(DefinitionError, match="an argument holds") as refused:
            script(words)
        assert "hunter2" not in f"{refused.value} {refused.value.next}"
    with pytest.raises(DefinitionError, match="an argument holds"):
        script("load.sh", "redis://:hunter2@h/0")
    with pytest.raises(DefinitionError, match="a parameter of the notebook holds"):
        notebook("a.ipynb", parameters={"source": {"url": "mqtt://u:hunter2@h/t"}})
    environment_words = ["sh", "-c", "psql postgresql://u:$PASSWORD@h/d"]
    refuse_addresses(environment_words, "an argument")
