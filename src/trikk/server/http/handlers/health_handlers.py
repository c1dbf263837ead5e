"""Whether the server is well: for load balancers, Prometheus, and people in a hurry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trikk.core.package import __version__
from trikk.server.http.documents.health_documents import HealthDocument, ReadinessDocument
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Answer, Call

if TYPE_CHECKING:
    from starlette.responses import Response


def healthz(doors: Doors, _: Call) -> Answer[HealthDocument]:
    """Say that the process answers."""
    return Answer({"status": "ok", "version": __version__, "server": doors.site.name})


def readyz(doors: Doors, call: Call) -> Answer[ReadinessDocument]:
    """Say whether it does its work: the journal answers, the code loads, it is not about to end; and its parts.

    A part that fails makes it no less ready: it answers all the same, and others would do that part no better. Nor
    does code that no longer loads, as long as the last that did counts; it is among the problems all the same.
    Who does not say who they are, where that has to be said, is told no more than a load balancer wants to know.
    """
    site = doors.site
    problems = []
    if site.draining.is_set():
        problems.append({"what": "the server is about to end", "where": None, "next": "ask another one"})
    try:
        site.project.journal.count(state="running")
        site.graphs()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        from trikk.server.http.problems import problem_of

        problem = problem_of(error)
        problems.append({"what": problem.what, "where": problem.where, "next": problem.next})
    is_ready, trouble = not problems, site.code.trouble
    if is_ready and trouble is not None:
        problems.append({"what": trouble.what, "where": trouble.where, "next": trouble.next})
    document = {
        "status": "ready" if is_ready else "not ready",
        "server": site.name,
        "problems": problems,
        "code": {
            "release": site.code.current.release,
            "trouble": trouble and trouble.to_json(),
        },
        "parts": [status.to_json() for status in doors.parts.status()],
    }
    if call.identity is None:
        document = {"status": document["status"]}
    return Answer(document, 200 if is_ready else 503)


def metrics(doors: Doors, _: Call) -> Response:
    """Show what is counted, as Prometheus reads it."""
    from starlette.responses import Response

    text, kind = doors.metrics.text()
    return Response(text, headers={"content-type": kind})
