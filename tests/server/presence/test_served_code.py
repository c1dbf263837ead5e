"""Code that changes under a server: read again when it is at rest, and left as it was while it does not load."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from trikk.core.settings import load_settings
from trikk.server.presence import served_code
from trikk.server.presence.served_code import ServedCode
from trikk.testing import ManualClock

CODE = """
from trikk import pipeline, step
from trikk.triggers import Cron

@step
def one() -> int:
    return 1

@pipeline(triggers=[Cron("{line}")])
def nightly() -> None:
    one()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "trikk.toml").write_text('name = "city"\ntimezone = "Europe/Oslo"\n')
    (tmp_path / "pipelines.py").write_text(CODE.format(line="0 4 * * *"))
    return tmp_path


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def code(root: Path, changes: list[str]) -> ServedCode:
    served = ServedCode(load_settings(root), ManualClock(), lambda: changes.append("changed"))
    served.read()
    return served


def lines(code: ServedCode) -> dict[str, str]:
    return {name: declared.trigger.line for name, declared in code.current.triggers.items()}  # type: ignore[union-attr]


def test_a_change_is_read_when_the_files_are_at_rest_and_one_that_does_not_load_changes_nothing(
    root: Path, code: ServedCode, changes: list[str]
) -> None:
    first = code.current
    assert code.trouble is None
    assert (list(first.graphs), lines(code)) == (["nightly"], {"nightly-cron": "0 4 * * *"})
    assert first.triggers["nightly-cron"].trigger.timezone == "Europe/Oslo"
    code.turn(0.0)
    assert code.current is first

    (root / "pipelines.py").write_text("import nothing_of_that_name\n")
    assert code.turn(0.0) < 2.0, "it looks again soon"
    (root / "notes.py").write_text("")
    code.turn(0.0)
    assert code.trouble is None, "the files were not at rest"
    code.turn(0.0)
    assert code.trouble is not None
    assert "nothing_of_that_name" in code.trouble.what
    assert code.current is first

    (root / "pipelines.py").write_text(CODE.format(line="30 5 * * *"))
    for _ in range(2):
        code.turn(0.0)
    assert code.trouble is None
    assert lines(code) == {"nightly-cron": "30 5 * * *"}
    second = code.current.release
    assert second != first.release
    assert changes == ["changed"] * 3

    (root / "notes.py").unlink()
    (root / "pipelines.py").write_text(CODE.format(line="0 4 * * *"))
    for _ in range(2):
        code.turn(0.0)
    assert code.current.release == first.release, "the same code is the same release"
    os.utime(root / "pipelines.py", (1, 1))
    for _ in range(2):
        code.turn(0.0)
    assert changes == ["changed"] * 4, "a file that was touched is no other code"


def test_settings_that_can_not_be_read_are_trouble_like_code(root: Path, code: ServedCode) -> None:
    before = code.current
    good = (root / "trikk.toml").read_text()
    (root / "trikk.toml").write_text("name = \n")
    for _ in range(2):
        code.turn(0.0)
    assert code.trouble is not None
    assert "trikk.toml" in code.trouble.what
    assert code.current is before
    (root / "trikk.toml").write_text(good)
    for _ in range(2):
        code.turn(0.0)
    assert code.trouble is None


def test_a_server_that_finds_no_good_code_tries_again_by_itself(root: Path) -> None:
    outside = root / "outside"
    (root / "pipelines.py").write_text(
        f"import pathlib\nassert pathlib.Path({str(outside)!r}).exists()\n" + CODE.format(line="0 4 * * *")
    )
    clock = ManualClock()
    code = ServedCode(load_settings(root), clock)
    code.read()
    assert code.trouble is not None
    assert (code.current.release, code.current.triggers) == ("", {})
    outside.write_text("")
    code.turn(0.0)
    assert code.trouble is not None, "nothing of its files has changed"
    clock.advance(60.0)
    code.turn(0.0)
    assert code.trouble is None
    assert code.current.release


def test_an_import_that_hangs_is_trouble_after_a_while_and_ended_when_the_code_is_mended(
    root: Path, code: ServedCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, good = code.current, (root / "pipelines.py").read_text()
    monkeypatch.setattr(served_code, "_EVERY", 0.1)
    (root / "pipelines.py").write_text("import time\ntime.sleep(600)\n")
    with monkeypatch.context() as patched:
        patched.setattr(served_code, "IMPORTS_WITHIN", 0.0)
        code.read()
    assert code.trouble is not None
    assert "not imported within" in code.trouble.what
    assert code.current is before
    mend = threading.Timer(0.5, (root / "pipelines.py").write_text, (good,))
    mend.start()
    code.read()  # by a clock that stands still: nothing but the change ends it
    mend.join()
    assert code.trouble is not None
    assert "changes while it is read" in code.trouble.what
    for _ in range(2):
        code.turn(0.0)
    assert code.trouble is None
