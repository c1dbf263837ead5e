"""Requests on what a run has: steps, logs, artifacts, what it asks; and on several runs beside each other."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from trikk.core.errors import ParameterError
from trikk.execution.code.code_changes import CodeChanges, code_changes, locked_inputs
from trikk.execution.run_logs import check_step, log_from, logs_document
from trikk.server.http.documents.run_documents import (
    ApprovalsDocument,
    ComparedDocument,
    LockedDocument,
    LogsDocument,
    OutputsDocument,
    PipelineDocument,
    StepDetailsDocument,
)
from trikk.server.http.doors import Doors
from trikk.server.http.routes import NAME, STEP, Answer, Call, Given
from trikk.tracking.fold import read_record
from trikk.tracking.lineage import Lineage, lineage
from trikk.tracking.run_artifacts import outputs
from trikk.tracking.run_document import step_document
from trikk.tracking.run_table import compare

_APPROVALS = 1000  # that are listed at most
Ids = Annotated[str, Meta(pattern="^[A-Za-z][A-Za-z0-9_-]{0,99}(,[A-Za-z][A-Za-z0-9_-]{0,99}){0,19}$")]


class LogsQuery(Given, frozen=True):
    """Which logs of a run are wanted, and how much of each."""

    step: Annotated[str, Meta(pattern=STEP)] | None = None
    tail: Annotated[int, Meta(ge=0, le=1 << 20, description="Bytes of each, at most; the last ones.")] = 1 << 16
    log: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,120}[.]log$")] | None = (
        None  # one, by its file's name
    )
    begin: Annotated[int, Meta(ge=0, le=1 << 62, description="From which byte on; for one log.")] | None = None


class RunsToCompare(Given, frozen=True):
    """Runs that are put beside each other."""

    runs: Ids  # up to twenty ids, with commas between them
    all: bool = False  # what is equal in all of them, too


class ChangesQuery(Given, frozen=True):
    """What a run's code is compared with."""

    # Another run, or "folder": the project's code as it is now; the run of its pipeline before it if not given.
    since: Annotated[str, Meta(pattern=NAME)] | None = None


def show_lock(doors: Doors, call: Call) -> Answer[LockedDocument]:
    """Show what a run is locked to: data, models, seed, and file by file its code, one by one its packages."""
    return Answer(locked_inputs(doors.site.project, call.path["run"]))


def show_changes(doors: Doors, call: Call) -> Answer[CodeChanges]:
    """Show how a run's code and packages differ from another run's, the one before it, or the folder's."""
    query: ChangesQuery = call.query
    return Answer(code_changes(doors.site.project, call.path["run"], query.since))


def show_graph(doors: Doors, call: Call) -> Answer[PipelineDocument]:
    """Show the graph that a run is of: its steps as they were when it was locked."""
    project = doors.site.project
    return Answer(project.graph(project.run(call.path["run"])).to_json())


def show_lineage(doors: Doors, call: Call) -> Answer[Lineage]:
    """Show where a run's inputs came from, and who used what it made."""
    site = doors.site
    return Answer(lineage(site.project, site.models, call.path["run"]))


def show_step(doors: Doors, call: Call) -> Answer[StepDetailsDocument]:
    """Show a step of a run, or an item of one (`fit[3]`): schema and first rows of what it made."""
    project = doors.site.project
    return Answer(step_document(project, project.run(call.path["run"]), call.path["step"]))


def show_logs(doors: Doors, call: Call) -> Answer[LogsDocument]:
    """Show the ends of what the steps of a run have printed."""
    query: LogsQuery = call.query
    project = doors.site.project
    state = project.run(call.path["run"])
    if query.log is not None:
        return Answer(log_from(project, state, query.log, query.begin or 0, query.tail))
    if query.begin is not None:
        raise ParameterError("begin is of one log", next="name it: log=STEP.1.log")
    if query.step is not None:
        check_step(state, query.step)
    return Answer(logs_document(project, state, query.step, query.tail))


def list_artifacts(doors: Doors, call: Call) -> Answer[OutputsDocument]:
    """List what a run has made and logged; the bytes are at `/artifacts/DIGEST`."""
    project = doors.site.project
    state = project.run(call.path["run"])
    listed = outputs(state, read_record(project.journal, state.id))
    return Answer({"run": state.id, "artifacts": [output.to_json() for output in listed]})


def compare_runs(doors: Doors, call: Call) -> Answer[ComparedDocument]:
    """Put runs side by side: parameters, metrics, versions of data and models, code, packages."""
    query: RunsToCompare = call.query
    return Answer(compare(doors.site.project, query.runs.split(","), everything=query.all).to_json())


def list_approvals(doors: Doors, _: Call) -> Answer[ApprovalsDocument]:
    """List what runs ask and nobody has decided."""
    return Answer({"approvals": doors.site.approvals.documents(_APPROVALS)})
