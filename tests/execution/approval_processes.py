"""Processes that drive runs which ask, and are killed meanwhile.

`python -m tests.execution.approval_processes FOLDER` prints as JSON what became of the runs.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.execution.once_processes import Dying, forked, kill

from trikk.core.errors import RunError
from trikk.execution.approvals.decisions import decide
from trikk.execution.project import Project
from trikk.execution.resume import resume
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.runs.states import RunStatus

MOST = 20
PIPELINES = """
from pathlib import Path
from trikk import approval, pipeline, step, when

@step
def train() -> float:
    return 11.5

@step(effect=True)
def publish(score: float, night: str) -> None:
    Path(f"{night}.published").open("a").write("x")

@pipeline
def nightly(night: str):
    score = train()
    with when(approval("publish?", shows={"score": score}, expires="3d")):
        publish(score, night)
"""


def opened(root: Path, at: int) -> Project:
    """The project; its journal kills this process before its write number `at`."""
    project = Project.open(root)
    if at:
        project.__dict__["journal"] = Dying(project.journal, at, kill)
    return project


def begin(root: Path, night: str, at: int = 0) -> None:
    with Session(opened(root, at), How(inline=True)) as session:
        session.run("nightly", {"night": night})


def go_on(root: Path, run: str, at: int = 0) -> None:
    resume(opened(root, at), run, How(inline=True), code="locked", confirm=lambda _: None)


def answer(root: Path, run: str, by: str) -> str:
    try:
        decide(Project.open(root).journal, run, approved=True, by=by, why="good", now=1.0)
    except RunError:
        return "told"
    return "decided"


def run_of(root: Path, night: str) -> str:
    rows = Project.open(root).journal.runs(limit=None)
    return next((row.id for row in rows if row.parameters == {"night": night}), "")


def left_by(root: Path, night: str) -> dict[str, Any]:
    run, journal = run_of(root, night), Project.open(root).journal
    published = root / f"{night}.published"
    return {
        "state": journal.row(run).state,
        "kinds": [event.kind for event in journal.events(run)],
        "published": len(published.read_text()) if published.exists() else 0,
        "damage": journal.check(),
    }


def killed_while_asking(root: Path) -> list[dict[str, Any]]:
    """A driver killed before each of its writes until the run waits; then a yes, and an undisturbed driver."""
    left = []
    for at in range(2, MOST):  # before the first there is no run
        night = f"asking-{at}"
        (status,) = forked(lambda night=night, at=at: begin(root, night, at))
        run = run_of(root, night)
        if Project.open(root).journal.row(run).state != RunStatus.WAITING:
            forked(lambda run=run: go_on(root, run))
        answer(root, run, "anna")
        forked(lambda run=run: go_on(root, run))
        left.append({**left_by(root, night), "killed": os.WIFSIGNALED(status)})
        if not os.WIFSIGNALED(status):
            break
    return left


def killed_while_going_on(root: Path) -> list[dict[str, Any]]:
    """A driver killed before each of its writes after the decision, and another that is not disturbed."""
    left = []
    for at in range(1, MOST):
        night = f"going-on-{at}"
        forked(lambda night=night: begin(root, night))
        run = run_of(root, night)
        answer(root, run, "anna")
        (status,) = forked(lambda run=run, at=at: go_on(root, run, at))
        if Project.open(root).journal.row(run).state != RunStatus.SUCCEEDED:
            forked(lambda run=run: go_on(root, run))
        left.append({**left_by(root, night), "killed": os.WIFSIGNALED(status)})
        if not os.WIFSIGNALED(status):
            break
    return left


def at_once(root: Path) -> list[dict[str, Any]]:
    """Four processes that decide at the same time."""
    left = []
    for number in range(5):
        night = f"at-once-{number}"
        forked(lambda night=night: begin(root, night))
        run = run_of(root, night)

        def vote(by: str, run: str = run, night: str = night) -> None:
            (root / f"{night}-{by}").write_text(answer(root, run, by))

        forked(*[lambda by=by: vote(by) for by in "abcd"])
        said = [(root / f"{night}-{by}").read_text() for by in "abcd"]
        left.append({**left_by(root, night), "said": said})
    return left


def main() -> None:
    root = Path(sys.argv[1])
    (root / "trikk.toml").write_text('name = "approvals"\n')
    (root / "pipelines.py").write_text(PIPELINES)
    os.chdir(root)
    begin(root, "warm")  # what is imported here, the forks need not
    document = {
        "asking": killed_while_asking(root),
        "going on": killed_while_going_on(root),
        "at once": at_once(root),
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
