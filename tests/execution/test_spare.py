"""What a worker finds done when its call arrives: counted, since times lie on a busy machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.execution.command import Folder

PIPELINES = """
import gc
import sys
from trikk import pipeline, step

@step
def first() -> int:
    assert gc.isenabled()  # the host has it off while it imports
    return 1

@step
def add(value: int) -> int:
    return value + 1

@pipeline
def chain():
    add(add(first()))
"""
WORKER = """
import builtins, gc, json, os, resource, sys
from dataclasses import replace
from pathlib import Path
from trikk.core.settings import load_settings
from trikk.execution.step_messages import StepCall
from trikk.execution.workers.attempt import run_call
from trikk.execution.workers.child import workplace
from trikk.execution.workers.host import load
from trikk.execution.workers.spare import Rehearsal

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

root = Path.cwd()
settings = load_settings(root, stored=True)
place = workplace(settings, load(settings, root))
rehearsal = Rehearsal(place)
given = {"artifact": place.artifacts.save(7).to_json(), "path": []}
call = StepCall("r", "chain", "add", None, 1, {"value": given})
gc.collect()
gc.freeze()
count = {}
for rehearsed in (False, True):
    ours, theirs = os.pipe()
    if not os.fork():
        if rehearsed:
            rehearsal()
        modules, before = set(sys.modules), faults()
        compiled, compile_ = [], builtins.compile
        builtins.compile = lambda *a, **k: (compiled.append(a[0]), compile_(*a, **k))[1]
        result = run_call(StepCall.from_bytes(call.to_bytes()), place)
        result.to_bytes()
        touched = faults() - before
        new = sorted(set(sys.modules) - modules)
        os.write(theirs, json.dumps([result.outputs[0].summary["value"], touched, new, len(compiled)]).encode())
        os._exit(0)
    os.close(theirs)
    count[str(rehearsed)] = json.loads(os.read(ours, 65536))
    os.wait()
rehearsal.close()
print(json.dumps(count))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="spares are forks")
def test_what_a_call_touches_first_is_touched_before_it(folder: Folder) -> None:
    folder.write(pipelines=PIPELINES)
    done = subprocess.run(
        [sys.executable, "-c", WORKER], cwd=folder.root, capture_output=True, text=True, check=True, timeout=60
    )
    bare, ready = json.loads(done.stdout)["False"], json.loads(done.stdout)["True"]
    assert bare[0] == ready[0] == 8
    assert ready[2] == bare[2] == []  # no import: the host has done them all
    assert ready[3] == bare[3] == 0  # nor are annotations compiled anew, as for a record's first message
    assert ready[1] < bare[1] / 2, (bare[1], ready[1])  # page faults


def test_nothing_of_the_rehearsal_is_in_the_project(folder: Folder) -> None:
    folder.write(pipelines=PIPELINES)
    assert folder.trikk("run", "chain").code == 0
    artifacts = folder.root / ".trikk" / "artifacts"
    assert list((artifacts / "tmp").iterdir()) == []
    objects = [path.read_bytes() for path in (artifacts / "objects").rglob("*") if path.is_file()]
    assert {b"1", b"2", b"3"} <= set(objects)
    assert len(objects) == 3 + 5  # the steps' results, and what the run names: three of code, packages, graph
