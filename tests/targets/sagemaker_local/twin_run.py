"""The same run at home and on SageMaker of this machine, beside each other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.execution.command import Folder

from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.runs.run_state import RunState


def run_both(root: Path, pipeline: str, *given: str) -> tuple[RunState, RunState]:
    """A run of a project by `--target sagemaker-local`, and one at home in a copy of the project, of one seed."""
    copy = root.parent / f"{root.name}-{pipeline}-at-home"
    shutil.copytree(root, copy)
    options = [part for text in given for part in ("-p", text)]
    done = Folder(root).trikk("run", pipeline, *options, "--target", "sagemaker-local", "--json", timeout=1200)
    assert done.out, done.err
    there = Project.open(root).run(done.json["id"])
    assert there.origin["engine"] == "sagemaker-local", done.json
    lock: Any = there.lock
    with Session(Project.open(copy), How()) as session:
        same = replace(session.pin(pipeline), seed=lock["seed"], moment=lock["moment"], as_of=True)
        at_home = session.run(pipeline, dict(text.split("=", 1) for text in given), text=True, lock=same)
    return there, at_home


def results(root: Path, state: RunState) -> dict[str, object]:
    """By step how it ended, and the digests of what it made; of effects, which name their run, only the end."""
    graph = Project.open(root).graph(state)
    ends: dict[str, object] = {}
    for name, step in state.steps.items():
        node = graph.nodes[name]
        tasks = [step, *(step.items[item] for item in sorted(step.items))]
        ends[name] = (str(step.state), None if node.effect else [_digests(task) for task in tasks])
    return ends


def _digests(task: Any) -> list[str]:
    return [str(output["digest"]) for output in task.outputs or ()]
