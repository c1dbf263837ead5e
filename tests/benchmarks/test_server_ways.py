"""What is told of steps that a server was to begin: how late they were; none is missing or there twice unseen."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from benchmarks.ways import server

from benchmarks import process


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(process.MARK, str(tmp_path))
    monkeypatch.setattr(server, "_PATIENCE", 0.1)
    monkeypatch.setattr(server, "_SETTLED", 0.0)
    monkeypatch.setattr(server.time, "sleep", lambda _: None)


def write_later(folder: Path, lines: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the steps begin after it was looked whether any had begun too early."""
    texts = "".join(f"{name} {at}\n" for name, at in lines)
    monkeypatch.setattr(server, "memory", lambda: float((folder / "begun.txt").write_text(texts)) * 0.0)


def test_a_step_that_never_begins_is_at_least_as_late_as_was_waited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = time.time() - 1000
    write_later(tmp_path, [("0", moment + 1), ("1", moment + 2)], monkeypatch)
    sample = server.lateness(tmp_path, 3, moment)
    assert sample.more["begun"] == 2
    assert sample.more["median s"] == pytest.approx(2, abs=0.01)
    assert sample.more["last s"] >= 1000


def test_a_step_that_begins_twice_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time.time() - 1
    write_later(tmp_path, [("0", moment), ("0", moment + 0.5)], monkeypatch)
    with pytest.raises(RuntimeError, match="1 steps have begun twice"):
        server.lateness(tmp_path, 2, moment)


def test_a_step_that_begins_too_early_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "begun.txt").write_text(f"0 {time.time()}\n")
    with pytest.raises(RuntimeError, match="before they were due"):
        server.lateness(tmp_path, 1, time.time())


def test_the_coming_minute_leaves_time_to_get_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.time, "time", lambda: 1_796_032_310.5)  # 2026-11-30 09:51:50 UTC
    assert server.coming_minute(5) == (1_796_032_320, "52 9 30 11 *")
    assert server.coming_minute(60) == (1_796_032_380, "53 9 30 11 *")
