"""The first page: is everything all right?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

from trikk.console.page_view import Sheet, View
from trikk.console.pages.overview.monitor_course import MonitorCourse, monitor_courses
from trikk.console.pages.overview.overview_verdict import Concern, Verdict, by_weight, counted, sentence
from trikk.console.pages.pipelines.pipeline_lines import LAST_RUNS, PipelineLine, bars_each, pipeline_lines
from trikk.core.errors import TrikkError
from trikk.runs.journals.server_beats import NO_TRIGGERS
from trikk.runs.living_servers import missed
from trikk.runs.states import RunStatus
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.run_detail_handlers import list_approvals
from trikk.server.http.handlers.watch_handlers import IncidentsQuery, list_incidents, list_servers
from trikk.server.http.routes import Call
from trikk.storage.tables.versioned_tables import Tables

_BUCKET_SECONDS = 30.0  # between looks at tables in a bucket, which take requests for each
_LISTED = 100  # tables and monitors at most; their own pages list all
T = TypeVar("T")


@dataclass
class _Parts:
    """What the page shows, and which parts of it can't be read: one that fails hides no other."""

    trouble: dict[str, str] = field(default_factory=dict)

    def read(self, part: str, work: Callable[[], list[T]]) -> list[T]:
        try:
            return work()
        except TrikkError as error:
            self.trouble[part] = str(error)
            return []


def show_overview(doors: Doors, call: Call) -> View:
    """Show how the project is doing."""
    site, now = doors.site, doors.site.clock.now()
    project, parts = site.project, _Parts()
    # Those that failed come first, the others in the order of the code.
    lines = sorted(
        parts.read("pipelines", lambda: pipeline_lines(site, now)), key=lambda line: not line.has_failed
    )
    incidents = parts.read("incidents", lambda: _incidents(doors, call))
    monitors = parts.read("monitors", lambda: monitor_courses(project.journal, _LISTED))
    approvals: list[Any] = parts.read("approvals", lambda: list_approvals(doors, call).document["approvals"])
    tables = parts.read("tables", lambda: _tables(doors, now))
    servers: list[Any] = [s for s in list_servers(doors, call).document["servers"] if s["lives"]]
    if site.code.trouble is not None:
        parts.trouble["code"] = str(site.code.trouble)
    concerns = by_weight(
        [
            *_of_code(parts.trouble),
            *_of_incidents(incidents),
            *_of_pipelines(lines),
            *counted(Verdict.WARNING, approvals, "question waits for people", "questions wait", "/approvals"),
            *_of_servers(doors, servers, lines, now),
        ]
    )
    said = sentence(concerns, pipelines=len(lines), ran=any(line.runs for line in lines))
    at_once = {state: project.journal.count(state=state) for state in (RunStatus.RUNNING, RunStatus.QUEUED)}
    bars = bars_each(len(lines), LAST_RUNS)
    document = {
        "verdict": concerns[0].verdict if concerns else Verdict.GOOD,
        "sentence": said,
        "concerns": [concern.to_json() for concern in concerns],
        "pipelines": [line.to_json() for line in lines],
        "going": {str(state): count for state, count in at_once.items()},
        "incidents": incidents,
        "monitors": [course.to_json() for course in monitors],
        "tables": tables,
        "approvals": approvals,
        "servers": servers,
        "trouble": parts.trouble,
    }
    context = {
        "lines": [(line, line.bars(now, bars, width=min(240, 14 * bars))) for line in lines],
        "bars": bars,
        "courses": [(course, course.picture()) for course in monitors],
        "servers": [(server, [about for about in server["says"] if about != NO_TRIGGERS]) for server in servers],
        "now": now,
    }
    sheets = {"pipelines": lambda: _pipelines_sheet(lines), "monitors": lambda: _monitors_sheet(monitors)}
    return View("Overview", "overview/overview.html.j2", document, context, sheets, live="project")


def _incidents(doors: Doors, call: Call) -> list[dict[str, Any]]:
    asked = replace(call, query=IncidentsQuery(limit=_LISTED))
    listed: list[dict[str, Any]] = list_incidents(doors, asked).document["incidents"]
    ranks = ["alarm", "warning", "info"]
    return sorted(listed, key=lambda i: (ranks.index(i["severity"]), i["since"]))


def _tables(doors: Doors, now: float) -> list[dict[str, Any]]:
    """When each table was written last, the newest first."""
    store: Any = doors.site.project.tables
    return _freshness(store, now // _BUCKET_SECONDS if store.is_remote else now)


@lru_cache(maxsize=4)
def _freshness(store: Tables, moment: float) -> list[dict[str, Any]]:  # noqa: ARG001 - one look for each
    listed: list[dict[str, Any]] = []
    for name in store.names()[:_LISTED]:
        try:
            listed.append({"table": name, "written": store.written(name)})
        except TrikkError as error:
            listed.append({"table": name, "written": None, "error": error.what})
    return sorted(listed, key=lambda row: row["written"] or 0.0, reverse=True)


def _of_code(trouble: dict[str, str]) -> list[Concern]:
    said = [Concern(Verdict.BAD, "the code does not load", "/pipelines")] if "code" in trouble else []
    unread = [part for part in trouble if part != "code"]
    return [*said, *(Concern(Verdict.BAD, f"{part} can't be read", f"/{part}") for part in unread)]


def _of_incidents(incidents: list[dict[str, Any]]) -> list[Concern]:
    def ids(severity: str, *, acknowledged: bool) -> list[str]:
        return [
            i["id"] for i in incidents if i["severity"] == severity and bool(i["acknowledged"]) == acknowledged
        ]

    known = ids("alarm", acknowledged=True)
    return [
        *counted(Verdict.BAD, ids("alarm", acknowledged=False), "alarm is open", "alarms are open", "/incidents"),
        *counted(Verdict.WARNING, known, "alarm is acknowledged", "alarms are acknowledged", "/incidents"),
        *counted(
            Verdict.WARNING,
            ids("warning", acknowledged=False),
            "warning is open",
            "warnings are open",
            "/incidents",
        ),
    ]


def _of_pipelines(lines: Sequence[PipelineLine]) -> list[Concern]:
    failed = [line.name for line in lines if line.has_failed]
    address = f"/pipelines/{failed[0]}" if len(failed) == 1 else "/pipelines"
    stuck = [row.name for line in lines for row in line.triggers if row.trouble]
    return [
        *counted(Verdict.BAD, failed, "pipeline failed when it last ran", "pipelines failed", address),
        *counted(Verdict.BAD, stuck, "trigger can't be read", "triggers can't be read", "/triggers"),
    ]


def _of_servers(doors: Doors, servers: list[Any], lines: Sequence[PipelineLine], now: float) -> list[Concern]:
    lost = [server.id for server in missed(doors.site.project.journal.servers(), now)]
    concerns = counted(Verdict.BAD, lost, "server is lost", "servers are lost", "/settings")
    if any(line.triggers for line in lines) and not any(server["fires"] for server in servers):
        concerns.append(Concern(Verdict.WARNING, "no server fires triggers", "/settings"))
    return concerns


def _pipelines_sheet(lines: Sequence[PipelineLine]) -> Sheet:
    rows = ((n.name, n.runs[0].state if n.runs else None, n.success, n.next_tick) for n in lines)
    return Sheet(("pipeline", "state", "success", "next"), rows)


def _monitors_sheet(monitors: Sequence[MonitorCourse]) -> Sheet:
    rows = (
        (m.name, m.metric, label, value, m.baseline[place] if m.baseline else None)
        for m in monitors
        for place, (label, value) in enumerate(zip(m.labels, m.values, strict=True))
    )
    return Sheet(("monitor", "metric", "window", "value", "baseline"), rows)
