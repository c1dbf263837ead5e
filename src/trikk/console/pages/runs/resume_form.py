"""The form that lets a run go on: by whose code, with which data, and which steps run again or are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from trikk.console.page_view import View
from trikk.core.errors import TrikkError
from trikk.execution.code.own_code import changed_files
from trikk.execution.resume import check_resumable
from trikk.execution.resume_request import case_of
from trikk.runs.run_state import ResumeOptions
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Call, Given

if TYPE_CHECKING:
    from trikk.execution.resume import Planned
    from trikk.runs.run_state import RunState

_FILES = 20  # that have changed, and are named


class ResumeFormQuery(Given, frozen=True):
    """What the plan is made for, before anything is asked for."""

    code: Literal["locked", "current"] = "locked"
    current_data: Annotated[str, Meta(pattern="^(true)?$")] = ""


def show_resume_form(doors: Doors, call: Call) -> View:
    """Show what resuming a run would do, and what can be chosen."""
    query: ResumeFormQuery = call.query
    return _form(doors, call.path["run"], ResumeOptions(code=query.code, current_data=bool(query.current_data)))


def resume_again(doors: Doors, call: Call, error: TrikkError) -> View:
    """Show the form with what was chosen, and why it was refused."""
    body = call.body
    options = ResumeOptions(code=body.code, current_data=body.current_data, again=body.again, keep=body.keep)
    return _form(doors, call.path["run"], options, error)


def _form(doors: Doors, run: str, options: ResumeOptions, error: TrikkError | None = None) -> View:
    project = doors.site.project
    state = project.run(run)
    check_resumable(project, state, None)
    changed = changed_files(project, state)
    steps, trouble = _steps(doors, state, ResumeOptions(code=options.code, current_data=options.current_data))
    document: dict[str, Any] = {
        "run": run,
        "pipeline": state.pipeline,
        "changed": changed,
        "code": options.code or "locked",
        "current_data": options.current_data,
        "steps": steps,
    }
    line = f"trikk resume {run} --with-{document['code']}-code --again STEP"
    return View(
        f"Resume {state.pipeline} {run}",
        "runs/resume_form.html.j2",
        document,
        {"options": options, "refusal": error or trouble, "named": changed[:_FILES]},
        trail=[("Runs", "/runs"), (f"{state.pipeline} {run}", f"/runs/{run}")],
        commands=[("The same:", line)],
    )


def _steps(
    doors: Doors, state: RunState, options: ResumeOptions
) -> tuple[list[dict[str, Any]], TrikkError | None]:
    """What becomes of each step and what can be chosen, or why that can't be told."""
    try:
        current = doors.site.graphs().get(state.pipeline) if options.code == "current" else None
        case = case_of(doors.site.project, state, options, current)
        planned = [] if case is None else case.planned()
    except TrikkError as error:
        return [], error
    effects = {name for name, node in case.graph.nodes.items() if node.effect} if case is not None else set()
    return [_step(one, state, is_effect=one.step in effects) for one in planned], None


def _step(one: Planned, state: RunState, *, is_effect: bool) -> dict[str, Any]:
    return {
        **one.to_json(),
        "state": state.steps[one.step].state if one.step in state.steps else None,
        "runs": one.is_open or not one.reuse,
        "can_keep": one.is_open,
        # What has changed something outside does so again only if somebody says so.
        "can_repeat": (one.reuse or one.kept > 0) and (is_effect or not one.is_open),
    }
