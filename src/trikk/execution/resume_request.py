"""A resume that is asked for: the run is queued again, and whoever drives queued runs goes on with it."""

from __future__ import annotations

from msgspec.structs import replace

from trikk.core.errors import Conflict, RunError
from trikk.core.values import JSON
from trikk.execution.code.own_code import changed_files
from trikk.execution.launch import pin_tables
from trikk.execution.project import Project
from trikk.execution.replay import is_replay_to_begin
from trikk.execution.resume import ResumeCase, again_without_effects, check_resumable
from trikk.pipeline.graph import Graph
from trikk.runs.bundle import bundle_digest, manifest
from trikk.runs.events import EventKind
from trikk.runs.run_state import ResumeOptions, RunState
from trikk.runs.states import RunStatus


def request_resume(
    project: Project,
    run: str,
    options: ResumeOptions,
    *,
    by: str,
    why: str = "",
    now: float,
    current: Graph | None = None,
) -> None:
    """Queue a run again that has failed or was cancelled; nothing happens to one that is queued or goes on.

    Args:
        project: the project.
        run: the run's full id.
        options: how it is to go on.
        by: who asks for it.
        why: in their words.
        now: wall time in seconds since 1970.
        current: its pipeline as the project's code has it now; if not given, whoever drives the run finds out
            whether it can go on with that.

    Raises:
        RunError: if it can't go on, or not so, or the code has changed since and nobody says whose counts.
        UnknownName: if there is no such run, or no such step to run again or to keep.
    """
    while (state := project.run(run)).state not in (RunStatus.QUEUED, RunStatus.RUNNING):
        check_resumable(project, state, now)
        changed = changed_files(project, state) if options.code is None else []
        if changed:
            raise RunError(
                f"the project's code has changed since run {run}: {', '.join(changed[:5])}",
                next='say which code runs the remaining steps: "current" or "locked"',
            )
        is_plain = current is None and not (options.again or options.keep or options.current_data)
        case = None if is_plain else case_of(project, state, options, current)
        if case is not None:
            case.agreed(lambda _: None, again_without_effects)
        said: dict[str, JSON] = {"by": by, "why": why, **replace(options, code=options.code or "locked").to_json()}
        try:
            project.journal.append(run, EventKind.RUN_RESUME_REQUESTED, said, at=now, after=state.seq)
        except Conflict:
            continue  # somebody else has done something with it meanwhile


def case_of(project: Project, state: RunState, options: ResumeOptions, current: Graph | None) -> ResumeCase | None:
    """What is known now of how a run would go on; None if it has not begun, or its code now is not known.

    Nothing that is stored is verified, which may take as long as the run did; whoever drives it does so.

    Raises:
        TableError: if a table that is to be read as it is now does not exist.
    """
    if not state.is_locked or is_replay_to_begin(state):
        return None
    has_new_code = options.code == "current" and bool(changed_files(project, state))
    if has_new_code and current is None:
        return None
    graph = current if has_new_code and current is not None else project.graph(state)
    lock = dict(state.lock)
    if has_new_code:
        missing = [table for table in graph.tables_read() if table not in lock["tables"]]
        lock["tables"] = {**lock["tables"], **{table: project.tables.version(table) for table in missing}}
        lock["code"] = bundle_digest(manifest(project.root, project.settings.code))
    if options.current_data:
        lock["tables"] = pin_tables(project, graph)
    return ResumeCase(project, state, graph, lock, options, has_new_code, verifies=False)
