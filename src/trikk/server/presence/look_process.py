"""The process in which a server looks at its project: a fork, or `python -m trikk.server.presence.look_process`.

It judges rules, keeps incidents and sends messages, which takes polars, deltalake and whatever a channel needs,
and may crash or hang in them. It runs nothing: evaluations, and what incidents start, are queued. A second
process makes the reports that are due, and ends; it runs their pipelines itself, since one that
fails is resumed.

The server writes a line of JSON to its stdin, `Brief`, and then one for each look; each look is answered by a line
on stdout. The first line there is the number of the process. It ends when its stdin does.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

from trikk.core.errors import ProjectError, TrikkError
from trikk.core.logs import log_to_stderr
from trikk.execution.project import Project
from trikk.execution.queued_run import RunQueue
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.pipeline.graph import Graph
from trikk.server.presence.look_brief import REPORTS, Brief, settings_of
from trikk.server.presence.project_look import look_at


def _answer(project: Project, queue: RunQueue, trouble: TrikkError | None) -> dict[str, Any]:
    """One look: what it has done, or why it could not."""
    try:
        watched = look_at(project, queue, datetime.now(UTC), trouble)
    except TrikkError as error:
        return {"error": error.to_json()}
    said = {"lines": watched.lines, "notes": watched.notes, "errors": watched.errors}
    return {**said, "reports": watched.reported.to_make}


def _looks(brief: Brief, project: Project, answers: int) -> None:
    graphs = {name: Graph.read(graph) for name, graph in brief.graphs.items()}
    trouble = None
    if brief.trouble is not None:
        told = brief.trouble
        trouble = ProjectError(told["what"], where=told["where"], next=told["next"])
    for _ in sys.stdin:
        os.write(answers, json.dumps(_answer(project, RunQueue(project, graphs), trouble)).encode() + b"\n")


def _reports(project: Project) -> dict[str, Any]:
    from trikk.reports.due_reports import report_due
    from trikk.tracking.mlflow.background_mirror import mirroring

    with mirroring(project), Session(project, How()) as session:
        reported = report_due(project, session, now=datetime.now(UTC))
    return {"lines": [], "notes": reported.notes, "errors": reported.errors, "reports": []}


def serve_looks(*, reports: bool) -> None:
    """Serve the server at the other end of stdin and stdout; with `reports`, make those that are due."""
    with suppress(BrokenPipeError):  # the server was killed while this looked: nobody waits for the answer
        _serve(reports=reports)


def _serve(*, reports: bool) -> None:
    answers = os.dup(1)
    os.write(answers, f"{os.getpid()}\n".encode())
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    brief = Brief.read(json.loads(sys.stdin.readline()))
    settings = settings_of(brief)
    log_to_stderr(settings)
    with closing(Project(settings)) as project:
        if reports:
            try:
                answer = _reports(project)
            except TrikkError as error:
                answer = {"error": error.to_json()}
            os.write(answers, json.dumps(answer).encode() + b"\n")
        else:
            _looks(brief, project, answers)


if __name__ == "__main__":
    serve_looks(reports=REPORTS in sys.argv[1:])
