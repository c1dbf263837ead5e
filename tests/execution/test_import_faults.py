"""Projects whose code or settings can't be loaded: one message, nothing started, no process left."""

from __future__ import annotations

import signal

import pytest
from tests.execution.command import Folder, lives, until

GOOD = "from trikk import pipeline, step\n@step\ndef s() -> int:\n    return 1\n@pipeline\ndef p():\n    s()\n"

MODULES = {
    "syntax": ("def (:\n", "SyntaxError", "pipelines.py:1"),
    "bytes": ("x = '\udcff'\n", "SyntaxError", "pipelines"),
    "import": ("import nope_xyz\n" + GOOD, "No module named 'nope_xyz'", "pipelines.py:1"),
    "raise": (GOOD + "raise ValueError('boom')\n", "ValueError: boom", "pipelines.py:8"),
    "base": ("class B(BaseException):\n    pass\nraise B('odd')\n", "B: odd", "pipelines.py:3"),
    "interrupt": ("raise KeyboardInterrupt\n", "KeyboardInterrupt", ""),
    "exit": ("import sys\nsys.exit(3)\n", "SystemExit: 3", "pipelines.py:2"),
    "_exit": ("import os\nos._exit(3)\n", "status 3", "project"),
    "segfault": ("import os\nos.kill(os.getpid(), 11)\n", "signal 11", "project"),
    "recursion": ("def f():\n    f()\nf()\n", "RecursionError", "pipelines.py:2"),
    "fds": ("import os\nos.closerange(3, 64)\n" + GOOD, "status 1", "project"),
}


@pytest.mark.parametrize("fault", MODULES)
def test_a_module_that_does_not_import_is_named_with_its_line(folder: Folder, fault: str) -> None:
    text, words, where = MODULES[fault]
    (folder.root / "pipelines.py").write_text(text, errors="surrogateescape")
    done = folder.trikk("run", "p", "--json")
    assert done.code == 2
    assert words in done.error["what"]
    assert where in str(done.error["where"])
    assert done.error["next"]
    assert folder.good("runs") == {"runs": []}


def test_pipelines_are_listed_in_a_process_of_their_own(folder: Folder) -> None:
    folder.write(pipelines="import os\nos._exit(0)\n")
    assert "status 0" in folder.refused("pipelines")["what"]


def test_what_a_module_prints_at_import_does_not_reach_stdout(folder: Folder) -> None:
    folder.write(pipelines="import os\nprint('a')\nos.write(1, b'b')\nos.system('echo c')\n" + GOOD)
    assert folder.good("run", "p")["state"] == "succeeded"
    assert [g["pipeline"] for g in folder.good("pipelines")["pipelines"]] == ["p"]
    assert folder.good("run", "p", "--inline")["isolation"] == "inline"


def test_a_module_that_starts_a_thread_gets_fresh_interpreters_and_is_told_so(folder: Folder) -> None:
    thread = "threading.Thread(target=time.sleep, args=(60,), daemon=True, name='mine')"
    folder.write(pipelines=f"import threading, time\n{thread}.start()\n{GOOD}")
    run = folder.good("run", "p")
    assert run["isolation"] == "fresh interpreter: importing the project starts the thread 'mine'"
    assert "fresh interpreter" in folder.trikk("show", "last").out


def test_a_module_that_hangs_can_be_stopped_and_leaves_no_process(folder: Folder) -> None:
    folder.write(pipelines="import os, time\nopen('pids', 'a').write(f'{os.getpid()}\\n')\ntime.sleep(600)\n")
    for number, ending in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGKILL)):
        process = folder.start("run", "p", "--json")
        host = int(until(lambda n=number: folder.lines("pids")[n:])[0])
        process.send_signal(ending)
        done = folder.end(process)
        assert done.code != 0
        until(lambda h=host: not lives(h))
        if ending == signal.SIGINT:
            assert done.code == 1
            assert done.error["what"] == "stopped"
    assert folder.good("runs") == {"runs": []}


SETTINGS = {
    "no toml": "x y z",
    "unknown key": "nmae = 'x'",
    "unknown storage": "[storage]\nartefacts = 'x'",
    "storage is a text": "storage = 'x'",
    "storage is a number": "storage = 3",
    "name is a number": "name = 5",
    "text for list": "pipelines = 'p'",
    "NUL": 'pipelines = ["a\\u0000b"]',
    "NUL in a place": '[storage]\nartifacts = "a\\u0000b"',
    "negative limit": "log_limit = -1",
    "no size": "log_limit = 'lots'",
    "no number": "max_parallel = true",
    "no isolation": "isolation = 'none'",
    "no journal": "[storage]\njournal = 'ftp://x'",
    "no variable": "[storage]\njournal = 'postgresql://${NOT_SET_ANYWHERE}'",
    "no such module": "pipelines = ['elsewhere']",
    "relative module": "pipelines = ['..up']",
    "no such codec": "codecs = ['pipelines:Nope']",
}


@pytest.mark.parametrize("fault", SETTINGS)
def test_settings_that_can_not_be_are_refused(folder: Folder, fault: str) -> None:
    folder.write(trikk=SETTINGS[fault], pipelines=GOOD)
    folder.refused("run", "p")


def test_a_folder_without_a_project_is_refused(folder: Folder) -> None:
    (folder.root / "trikk.toml").unlink()
    for command in (["runs"], ["run", "p"], ["tables"], ["gc"], ["doctor"], ["show", "last"]):
        assert folder.refused(*command)["code"] == "project"


def test_trikk_toml_that_is_no_text_is_refused(folder: Folder) -> None:
    (folder.root / "trikk.toml").write_bytes(b"\xff\xfe")
    assert folder.refused("runs")["code"] == "project"


def test_two_pipelines_of_one_name_are_refused(folder: Folder) -> None:
    folder.write(trikk="pipelines = ['pipelines', 'more']", pipelines=GOOD, more=GOOD)
    error = folder.refused("pipelines")
    assert "two pipelines are named 'p'" in error["what"]
    assert "more.py" in str(error["where"])
