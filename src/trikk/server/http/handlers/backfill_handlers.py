"""Requests on backfills: what is run for each day of a period, by the servers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from trikk.core.digests import digest_json
from trikk.core.errors import UnknownName
from trikk.core.names import new_run_id, run_id_of
from trikk.execution.backfills.backfill_declaration import Asked, declaration_of
from trikk.execution.backfills.backfill_ledger import begin_once, check_code, every, find, states_of
from trikk.execution.backfills.backfill_ledger import change as change_backfill
from trikk.execution.backfills.backfill_state import Backfill, Change, backfill_document, summary
from trikk.server.http.documents.run_documents import BackfillDetailsDocument, BackfillsPage
from trikk.server.http.doors import Doors
from trikk.server.http.paging import PageQuery, page_of
from trikk.server.http.routes import API, NAME, Answer, Call, Given, ResumeWith, who
from trikk.web.refused import Refused

_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


class NewBackfill(Given, frozen=True, rename={"first": "from", "last": "to"}):
    """A backfill that is asked for, as `trikk backfill --queue` does; days are ISO, parameters texts."""

    pipelines: Annotated[tuple[Annotated[str, Meta(pattern=NAME)], ...], Meta(min_length=1, max_length=20)]
    first: Annotated[str, Meta(pattern=_DAY)]
    last: Annotated[str, Meta(pattern=_DAY)]
    every: Annotated[int, Meta(ge=1, le=366)] = 1
    at: Annotated[str, Meta(pattern=r"^[0-2][0-9]:[0-5][0-9]$")] | None = None
    parameter: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    parallel: Annotated[int, Meta(ge=1, le=100)] = 1
    any_order: bool = False
    missing: bool = False
    keep_going: bool = False


def list_backfills(doors: Doors, call: Call) -> Answer[BackfillsPage]:
    """List backfills, the newest first, each with how far it is."""
    query: PageQuery = call.query
    journal = doors.site.project.journal
    backfills = every(journal)
    if query.cursor is not None:
        ids = [backfill.id for backfill in backfills]
        if query.cursor not in ids:
            raise UnknownName("backfill", query.cursor, [])
        backfills = backfills[ids.index(query.cursor) + 1 :]
    page, cursor = page_of(backfills, query.limit, lambda backfill: backfill.id)
    return Answer({"backfills": [summary(one, states_of(journal, one)) for one in page], "next": cursor})


def begin_backfill(doors: Doors, call: Call) -> Answer[BackfillDetailsDocument]:
    """Have the servers run pipelines for each day of a period."""
    site, body = doors.site, call.body
    graphs = site.graphs()
    for name in body.pipelines:
        if name not in graphs:
            raise UnknownName("pipeline", name, graphs)
    asked = Asked(
        pipelines=body.pipelines,
        first=body.first,
        last=body.last,
        every=body.every,
        at=body.at,
        parameter=body.parameter,
        parallel=body.parallel,
        any_order=body.any_order,
        parameters=body.parameters,
        missing=body.missing,
        keep_going=body.keep_going,
        queued=True,
    )
    declaration = declaration_of(asked, [graphs[name] for name in body.pipelines])
    journal, key = site.project.journal, call.fields.key
    # From the key follows the id: who sends it again, to whichever server, means the same backfill.
    named = run_id_of(digest_json([call.caller, key])) if key else new_run_id()
    backfill, is_new = begin_once(journal, declaration, site.clock.now(), named)
    if backfill.declaration != declaration:
        what = f"the Idempotency-Key was used for another request, which began backfill {backfill.id}"
        raise Refused(409, what, next="send a new key with a new request")
    site.wake_all()
    document = backfill_document(backfill, states_of(journal, backfill))
    return Answer(document, 201 if is_new else 200, {"location": f"{API}/backfills/{backfill.id}"})


def show_backfill(doors: Doors, call: Call) -> Answer[BackfillDetailsDocument]:
    """Show a backfill: how far it is, and the run of each day."""
    return _shown(doors, _of(doors, call))


def pause_backfill(doors: Doors, call: Call) -> Answer[BackfillDetailsDocument]:
    """Let no further day of a backfill begin."""
    return _changed(doors, call, Change.PAUSED)


def resume_backfill(doors: Doors, call: Call) -> Answer[BackfillDetailsDocument]:
    """Let a backfill go on that was paused, or has stopped at a failure: days that have failed are tried again."""
    body: ResumeWith = call.body
    if body.code is None:
        check_code(doors.site.project, _of(doors, call))
    return _changed(doors, call, Change.RESUMED, body.code or "")


def cancel_backfill(doors: Doors, call: Call) -> Answer[BackfillDetailsDocument]:
    """End a backfill, and cancel those of its runs that go on."""
    return _changed(doors, call, Change.CANCELLED)


def _changed(doors: Doors, call: Call, kind: Change, code: str = "") -> Answer[BackfillDetailsDocument]:
    site, backfill = doors.site, _of(doors, call)
    journal, now = site.project.journal, site.clock.now()
    change_backfill(journal, backfill, kind, by=who(call), why=call.body.why, now=now, code=code)
    site.wake_all()
    return _shown(doors, backfill)


def _of(doors: Doors, call: Call) -> Backfill:
    return find(doors.site.project.journal, call.path["backfill"])


def _shown(doors: Doors, backfill: Backfill) -> Answer[BackfillDetailsDocument]:
    return Answer(backfill_document(backfill, states_of(doors.site.project.journal, backfill)))
