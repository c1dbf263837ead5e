"""All registered models: who holds which alias, how good that version is, and when something last changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trikk.console.page_view import Sheet, View
from trikk.models.registry import Registry
from trikk.models.state import ModelState, model_summary
from trikk.server.http.doors import Doors
from trikk.server.http.paging import names_page
from trikk.server.http.routes import Call

_CHAMPION = "champion"


def show_models(doors: Doors, call: Call) -> View:
    """List registered models."""
    registry, where = doors.site.models, doors.site.project.settings.environment
    names, cursor = names_page(registry.names(), call.query)
    listed = [_listed(registry.state(name), where) for name in names]
    document = {"environment": where, "models": listed, "next": cursor}
    sheets = {"models": lambda: _sheet(registry, where)}
    return View("Models", "models/model_list.html.j2", document, sheets=sheets, live="project")


def _listed(state: ModelState, environment: str) -> dict[str, Any]:
    """A model, with its foremost alias, and the metrics of the version that holds it."""
    summary = model_summary(state, environment)
    alias = foremost(summary["aliases"])
    metrics = state.get(summary["aliases"][alias]).metrics if alias else {}
    return {**summary, "foremost": alias, "metrics": metrics, "changed": last_change(state)}


def foremost(aliases: Mapping[str, int]) -> str:
    """The alias by which a model is best known: champion, or its first; "" without any."""
    return _CHAMPION if _CHAMPION in aliases else next(iter(aliases), "")


def last_change(state: ModelState) -> float:
    """When a version was last registered or an alias moved, in seconds since 1970."""
    moves = [move.recorded or move.at for move in (*state.moves, *state.requests)]
    return max(*(version.created for version in state.versions.values()), 0.0, *moves)


def _sheet(registry: Registry, environment: str) -> Sheet:
    columns = ("model", "task", "versions", "alias", "version", "last_change")
    rows = []
    for name in registry.names():
        model = _listed(registry.state(name), environment)
        shared = (model["name"], model["task"], model["versions"])
        for alias, number in (model["aliases"] or {"": None}).items():
            rows.append((*shared, alias, number, model["changed"]))
    return Sheet(columns, rows)
