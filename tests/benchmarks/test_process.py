from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import process


def run(code: str, folder: Path, **options: object) -> process.Ended:
    environ = process.environment(folder, folder, EXTRA="1")
    return process.run([sys.executable, "-c", code], folder, environ, folder / "log", timeout=60, **options)  # type: ignore[arg-type]


def test_a_process_is_measured_with_its_children(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'bytearray(300_000_000)'], check=True)"
    ended = run(code, tmp_path, watch_memory=True)
    assert ended.code == 0
    assert ended.peak > 250_000_000
    assert ended.own_peak is not None
    assert ended.own_peak < 150_000_000


def test_the_memory_of_whoever_measures_does_not_count(tmp_path: Path) -> None:
    ballast = bytearray(300_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert run("pass", tmp_path).peak < 100_000_000


def test_a_process_gets_a_bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    assert run("import os; print(sorted(os.environ))", tmp_path).code == 0
    names = (tmp_path / "log").read_text()
    assert "SECRET" not in names
    assert "EXTRA" in names
    assert "DO_NOT_TRACK" in names


def test_a_process_is_killed_when_its_file_has_the_line_and_its_children_are_known(tmp_path: Path) -> None:
    code = (
        "import pathlib, subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'], start_new_session=True)\n"
        "pathlib.Path('effects').write_text('4\\n5\\n'); time.sleep(100)"
    )
    assert run(code, tmp_path, kill_when=(tmp_path / "effects", "5")).code == -9
    left = process.survivors(tmp_path)
    assert len(left) == 1
    assert process.survivors(tmp_path.parent) == left
    process.end(left)
