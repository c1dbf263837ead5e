"""What a host does once for all its workers: it computes nothing, and its memory holds what it held."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = """
from trikk import Monitor, Table, pipeline, step

@step
def rows() -> int:
    return 1

@pipeline
def daily():
    rows()

people = Monitor("people", predictions=Table("predictions"), truth=Table("counts"), key="sensor", slot="slot",
                 observed="count", metrics=["mae"], windows=["day"])
"""

WARMED = """
import json, sys
from pathlib import Path
import sklearn.linear_model
from trikk.core.settings import load_settings
from trikk.execution.code.loading import load
from trikk.execution.workers.fork_safety import why_not_fork
from trikk.execution.workers.warm_up import warm_up
settings = load_settings(Path.cwd(), stored=True)
loaded = load(settings, Path.cwd())
warm_up(loaded, settings.location("journal"))
is_read = []
sys.addaudithook(lambda event, arguments: is_read.append(arguments[0]) if event == "import" else None)
from trikk.monitoring.window_evaluation import evaluate
from trikk.runs.journals.open_journal import open_journal
open_journal(":".join(["sqlite", f"//{Path.cwd()}/j.db"]))
print(json.dumps({"why": why_not_fork(), "imported": is_read}))
"""

THREADS = """
import json, os
import sklearn.linear_model
from threadpoolctl import ThreadpoolController
from trikk.execution.code.loading import Loaded
from trikk.execution.workers.fork_safety import native_threads
from trikk.execution.workers.warm_up import limit_threads, warm_up
warm_up(Loaded(), "sqlite:///j.db")
ends = os.pipe()
if os.fork() == 0:
    limits = {}
    for cpus in (1, 2):
        limit_threads(cpus)
        limits[cpus] = sorted({pool.num_threads for pool in ThreadpoolController().lib_controllers})
        limits[f"threads {cpus}"] = len(native_threads())
    os.write(ends[1], json.dumps(limits).encode())
    os._exit(0)
os.close(ends[1])
print(os.read(ends[0], 4096).decode())
"""

LARGE = """
import re
from pathlib import Path
from trikk.execution.workers.warm_up import use_large_pages
def large() -> int:
    return int(re.search(r"AnonHugePages:\\s+(\\d+)", Path("/proc/self/smaps_rollup").read_text())[1])
small = [bytes([i % 251]) * 5000 for i in range(10_000)]  # 50 MB, in Python's own pages
before = large()
use_large_pages()
assert small == [bytes([i % 251]) * 5000 for i in range(10_000)]
print(large() - before)
"""


def in_python(code: str, folder: Path) -> Any:
    """What a fresh interpreter prints as JSON."""
    process = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(process.stdout)


def test_a_warm_process_may_be_forked_and_imports_nothing_more_for_an_evaluation(tmp_path: Path) -> None:
    (tmp_path / "trikk.toml").write_text('name = "warm"\npipelines = ["flows"]\n')
    (tmp_path / "flows.py").write_text(PROJECT)
    seen = in_python(WARMED, tmp_path)
    assert seen["why"] is None
    assert [name for name in seen["imported"] if name.startswith(("trikk", "sqlite3"))] == []


@pytest.mark.skipif(sys.platform != "linux", reason="no process is forked here")
def test_a_worker_starts_native_threads_only_for_more_than_one_core(tmp_path: Path) -> None:
    limits = in_python(THREADS, tmp_path)
    assert (limits["1"], limits["threads 1"]) == ([1], 0)
    assert limits["2"] == [2]
    assert limits["threads 2"] > 0


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="no large pages here")
def test_memory_in_large_pages_holds_what_it_held(tmp_path: Path) -> None:
    more = in_python(LARGE, tmp_path)
    major, minor = (int(part) for part in platform.release().split(".")[:2])
    if (major, minor) < (6, 1):
        pytest.skip(f"Linux {platform.release()} can't be asked for them")
    assert more >= 16_000  # kB
