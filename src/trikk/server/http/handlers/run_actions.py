"""Requests that do something with a run that is there: cancel, resume, replay."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from trikk.execution.cancel import cancel
from trikk.execution.replay import comparison_of, queue_replay
from trikk.execution.resume_request import request_resume
from trikk.runs.run_state import ResumeOptions
from trikk.runs.states import RunStatus
from trikk.server.http.documents.run_documents import ComparisonDocument, RunDocument
from trikk.server.http.doors import Doors
from trikk.server.http.request_keys import KeyedRequest, run_for
from trikk.server.http.routes import API, NAME, Answer, Call, ResumeWith, who
from trikk.tracking.run_document import run_document

_STEPS = Annotated[tuple[Annotated[str, Meta(pattern=NAME)], ...], Meta(max_length=10_000)]
_WAIT = 2.0  # seconds for a driver to stop its steps, before the answer says that it is about to


class ResumeRun(ResumeWith, frozen=True):
    """How a run is to go on, as `trikk resume` has it."""

    current_data: bool = False  # whether it reads the tables as they are now
    again: _STEPS = ()  # steps that run again though they have succeeded
    keep: _STEPS = ()  # steps whose results stay though their code has changed since; others run again


def cancel_run(doors: Doors, call: Call) -> Answer[RunDocument]:
    """Stop a run. 202 if its driver is still about to; it can be resumed later."""
    site, run = doors.site, call.path["run"]
    journal = site.project.journal
    if journal.row(run).state != RunStatus.CANCELLED:  # who repeats the request has what was wanted
        cancel(site.project, run, by=who(call), wait=_WAIT)
    document = run_document(site.project, run, site.clock.now())
    return Answer(document, 200 if document["state"] == RunStatus.CANCELLED else 202)


def resume_run(doors: Doors, call: Call) -> Answer[RunDocument]:
    """Queue a run again that has failed or was cancelled; it goes on from its unfinished steps."""
    site, run = doors.site, call.path["run"]
    project, now, body = site.project, site.clock.now(), call.body
    options = ResumeOptions(code=body.code, current_data=body.current_data, again=body.again, keep=body.keep)
    current = site.graphs().get(project.journal.row(run).pipeline) if body.code == "current" else None
    request_resume(project, run, options, by=who(call), why=body.why, now=now, current=current)
    site.wake("queue")
    return Answer(run_document(project, run, now), 202)


def replay_run(doors: Doors, call: Call) -> Answer[RunDocument]:
    """Queue a replay of a run that is over, as a new run from its lock; `comparison` tells what it proves."""
    site, old = doors.site, call.path["run"]
    project, now = site.project, site.clock.now()
    pipeline = project.journal.row(old).pipeline
    request = KeyedRequest.of(call, pipeline, {"replay": old})
    run, is_new = run_for(project.journal, request, now, lambda cause: queue_replay(project, old, cause, at=now))
    if is_new:
        site.wake("queue")
    document = run_document(project, run, now)
    return Answer(document, 201 if is_new else 200, {"location": f"{API}/runs/{run}"})


def compare_replay(doors: Doors, call: Call) -> Answer[ComparisonDocument]:
    """Compare a replay that is over with the run that it repeats, as `trikk replay --json` does."""
    return Answer(comparison_of(doors.site.project, call.path["run"]).to_json())
