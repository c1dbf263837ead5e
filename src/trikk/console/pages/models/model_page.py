"""One registered model: its versions and how good they are, who holds its aliases and held them when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from msgspec import Meta

from trikk.alerts.evaluations import declared
from trikk.console.page_view import Sheet, View
from trikk.console.pages.models.metric_course import metric_course, number_of
from trikk.console.pages.models.model_list_page import foremost, last_change
from trikk.core.errors import TrikkError, UsageError
from trikk.core.zones import local_text
from trikk.models.state import ModelState, Move, model_summary
from trikk.models.version import ModelVersion
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.data_handlers import WhoseAliases
from trikk.server.http.handlers.model_actions import (
    HoldersQuery,
    Name,
    Version,
    VersionsQuery,
    compare_versions,
    list_users,
    show_holders,
    show_uses,
)
from trikk.server.http.paging import Cursor, PageQuery
from trikk.server.http.routes import Call, Given

_PAGE = 50  # versions
_MOST_METRICS = 6  # columns of a list
_MOST_MOVES = 200
_MOST_USERS = 30


class ModelQuery(Given, frozen=True):
    """What of a model is shown, and how."""

    tab: Literal["versions", "aliases", "compare", "use"] = "versions"
    version: Version | None = None  # one, in full
    sort: Annotated[str, Meta(max_length=300)] = "-version"  # also registered, or metric.NAME; "-": largest first
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    left: Version | None = None  # two to be compared
    right: Version | None = None
    at: Annotated[str, Meta(max_length=40)] | None = None  # who held the aliases then; of a day, at its end
    environment: Name | None = None  # whose aliases; the server's if not given
    cursor: Cursor | None = None  # of the runs that used it


def show_model_page(doors: Doors, call: Call) -> View:
    """Show a registered model."""
    query: ModelQuery = call.query
    state = doors.site.models.state(call.path["model"])
    where = query.environment or doors.site.project.settings.environment
    model = {**model_summary(state, where), "changed": last_change(state)}
    here = f"/models/{state.name}"
    tab = "version" if query.version is not None else query.tab
    shown = _TABS[tab](doors, call, state, where)
    alias = foremost(model["aliases"])
    context = {
        "picture": _picture(state, shown["metrics"], query.sort, alias, where) if tab == "versions" else "",
        "tab": tab,
        "tabs": [name for name in _TABS if name != "version"],
        "here": here,
        "foremost": alias,
        "sort": query.sort,
        "environments": _environments(state, where),
        "guarded": {alias for environment, alias in state.guarded if environment == where},
    }
    return View(
        state.name,
        "models/model.html.j2",
        {"model": model, tab: shown},
        context,
        {"versions": lambda: _version_sheet(state, where), "moves": lambda: _move_sheet(state)},
        (("Models", "/models"), *(((state.name, here),) if tab == "version" else ())),
        "" if tab == "use" else "project",  # a thousand runs are not looked through with each change
        (("List its versions", f"trikk models {state.name}"),),
    )


def _picture(state: ModelState, metrics: Sequence[str], sort: str, alias: str, where: str) -> str:
    """The course of the metric by which versions are sorted, or of the first."""
    sorted_by = sort.removeprefix("-").removeprefix("metric.")
    drawn = sorted_by if sorted_by in metrics else next(iter(metrics), "")
    return metric_course(state, drawn, alias, state.holder_number(alias, where))


def _environments(state: ModelState, where: str) -> list[str]:
    return sorted({where, *(environment for environment, _ in (*state.holders, *state.pending, *state.guarded))})


def _held_by(state: ModelState, environment: str) -> dict[int, list[str]]:
    held: dict[int, list[str]] = {}
    for alias, number in state.aliases(environment).items():
        held.setdefault(number, []).append(alias)
    return held


def _versions(doors: Doors, call: Call, state: ModelState, where: str) -> dict[str, Any]:
    """A part of the versions, sorted, with the metrics that most of them have."""
    del doors
    query: ModelQuery = call.query
    ordered = _sorted(list(state.versions.values()), query.sort)
    page = ordered[query.offset : query.offset + _PAGE]
    counts: dict[str, int] = {}
    for version in state.versions.values():
        for name in version.metrics:
            counts[name] = counts.get(name, 0) + 1
    names = sorted(counts, key=lambda name: (-counts[name], name))
    held = _held_by(state, where)
    return {
        "rows": [{**_in_list(version), "aliases": held.get(version.version, [])} for version in page],
        "metrics": sorted(names[:_MOST_METRICS]),
        "further": len(names[_MOST_METRICS:]),
        "next": query.offset + _PAGE if len(ordered) > query.offset + _PAGE else None,
        "previous": max(0, query.offset - _PAGE) if query.offset else None,
    }


def _sorted(versions: list[ModelVersion], sort: str) -> list[ModelVersion]:
    """By a column; versions that lack a metric come last."""
    column, turned = sort.removeprefix("-"), sort.startswith("-")
    if column.startswith("metric."):
        name = column.removeprefix("metric.")
        having = [version for version in versions if number_of(version.metrics.get(name)) is not None]
        lacking = [version for version in versions if number_of(version.metrics.get(name)) is None]
        return [*sorted(having, key=lambda v: v.metrics[name], reverse=turned), *reversed(lacking)]
    key = (lambda v: v.created) if column == "registered" else (lambda v: v.version)
    return sorted(versions, key=key, reverse=turned)


def _in_list(version: ModelVersion) -> dict[str, Any]:
    names = ("version", "created", "run", "step", "pipeline", "metrics", "description", "code")
    return {name: getattr(version, name) for name in names}


def _version(doors: Doors, call: Call, state: ModelState, where: str) -> dict[str, Any]:
    """One version in full: what REST has of it, whether its artifact is still there, and every move to it."""
    text: str = call.query.version
    reference = f"{state.name}:{text}" if text.isdigit() else f"{state.name}@{text}"
    version = doors.site.models.resolve(reference, where)
    moves = [move.to_json() for move in state.moves if move.version == version.version]
    return {
        **version.to_json(),
        "stored": doors.site.project.store.contains(version.artifact.digest),
        "aliases": _held_by(state, where).get(version.version, []),
        "moves": moves[-_MOST_MOVES:][::-1],
    }


def _aliases(doors: Doors, call: Call, state: ModelState, where: str) -> dict[str, Any]:
    """Who holds the aliases of an environment, held them at a time, and every move."""
    query: ModelQuery = call.query
    zone = doors.site.project.settings.timezone
    moves = [move for move in state.moves if move.environment == where]
    holders = []
    for alias, number in state.aliases(where).items():
        last = state.moves_of(alias, where)[-1]
        former = state.holders[where, alias]
        holders.append({**_moved(last), "version": number, "returns_to": former[-2] if len(former) > 1 else None})
    then = None
    if query.at is not None:
        asked = HoldersQuery(at=query.at, environment=where)
        then = show_holders(doors, replace(call, query=asked)).document
        try:
            then = {**then, "text": local_text(then["at"], zone)}
        except (ValueError, OverflowError):  # the last of all years ends beyond it
            raise UsageError(f"no calendar has {query.at[:40]!r}", next="give another day") from None
    return {
        "environment": where,
        "holders": holders,
        "pending": [_moved(move) for (environment, _), move in state.pending.items() if environment == where],
        "then": then,
        "moves": [_moved(move) for move in moves[-_MOST_MOVES:]][::-1],
        "count": len(moves),
    }


def _moved(move: Move) -> dict[str, Any]:
    document: dict[str, Any] = move.to_json()
    return document


def _compare(doors: Doors, call: Call, state: ModelState, where: str) -> dict[str, Any]:
    """Two versions side by side, and what promotions have found of them on the same rows."""
    query: ModelQuery = call.query
    newest = str(max(state.versions))
    left = query.left or foremost(state.aliases(where)) or newest
    right = query.right or newest
    asked = VersionsQuery(f"{left},{right}", environment=query.environment)
    document = compare_versions(doors, replace(call, query=asked)).document
    numbers = set(document["versions"])
    decided = [
        _moved(move)
        for move in (*state.moves, *state.requests)
        if move.decision is not None and {move.version, move.decision.get("former")} == numbers
    ]
    lines = sorted(document["lines"], key=lambda line: not line["differs"])  # what differs first
    return {**document, "lines": lines, "left": left, "right": right, "decided": decided}


def _use(doors: Doors, call: Call, state: ModelState, where: str) -> dict[str, Any]:
    """Where a model is used, as far as that is known: by code, by monitors, by aliases elsewhere, by runs."""
    trouble, uses, monitors = None, [], []
    try:
        uses = show_uses(doors, replace(call, query=WhoseAliases(environment=where))).document["uses"]
        monitors = _monitors(doors, {use["pipeline"] for use in uses})
    except TrikkError as error:  # the project's code does not load
        trouble = {"what": error.what, "next": error.next}
    users = list_users(doors, replace(call, query=PageQuery(limit=_MOST_USERS, cursor=call.query.cursor))).document
    elsewhere = [
        {"environment": environment, "alias": alias, "version": holders[-1]}
        for (environment, alias), holders in sorted(state.holders.items())
        if holders and environment != where
    ]
    return {"uses": uses, "trouble": trouble, "monitors": monitors, "elsewhere": elsewhere, "users": users}


def _monitors(doors: Doors, pipelines: set[str]) -> list[str]:
    """Those that watch a table which one of these pipelines writes."""
    graphs = doors.site.graphs()
    written = {table for name in pipelines for table in graphs[name].tables_written()}
    return sorted({spec.name for spec in declared(graphs).values() if spec.predictions in written})


_TABS: dict[str, Callable[[Doors, Call, ModelState, str], dict[str, Any]]] = {
    "versions": _versions,
    "version": _version,
    "aliases": _aliases,
    "compare": _compare,
    "use": _use,
}


def _version_sheet(state: ModelState, where: str) -> Sheet:
    names = sorted({name for version in state.versions.values() for name in version.metrics})
    held = _held_by(state, where)
    kept = ("version", "created", "run", "step", "pipeline", "code", "description")
    rows = [
        (*(getattr(v, name) for name in kept), " ".join(held.get(v.version, [])), *map(v.metrics.get, names))
        for v in state.versions.values()
    ]
    return Sheet((*kept, "aliases", *names), rows)


def _move_sheet(state: ModelState) -> Sheet:
    columns = ("at", "environment", "alias", "state", "former", "version", "by", "why", "approved_by", "recorded")
    return Sheet(columns, [tuple(getattr(move, name) for name in columns) for move in state.moves])
