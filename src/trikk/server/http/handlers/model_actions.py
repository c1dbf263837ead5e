"""Requests on one registered model: versions, who held an alias when, who uses it, and moves of its aliases."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta

from trikk.core.errors import UnknownName
from trikk.core.zones import moment_named
from trikk.models.registry import Registry
from trikk.models.state import holders_document
from trikk.models.version_table import side_by_side
from trikk.pipeline.model_reference import split_reference
from trikk.server.http.documents.project_documents import (
    GuardedDocument,
    HoldersDocument,
    MovedDocument,
    UsesDocument,
    VersionDocument,
    VersionsDocument,
)
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.data_handlers import WhoseAliases
from trikk.server.http.paging import PageQuery
from trikk.server.http.routes import NAME, Answer, Call, Given, who
from trikk.tracking.lineage import ReadersPage, model_users

Name = Annotated[str, Meta(pattern=NAME)]
Version = Annotated[str, Meta(pattern=f"^[0-9]{{1,9}}$|{NAME}", description="A version's number, or an alias.")]


class MoveAlias(Given, frozen=True):
    """Whose alias moves, and why."""

    alias: Name
    why: str = ""
    environment: Name | None = None  # the server's if not given
    by: str = ""


class Promote(MoveAlias, frozen=True, kw_only=True):
    """To which version an alias moves, and from when it counts if not from now, for a past that is filled in."""

    version: Version
    at: Annotated[str, Meta(max_length=40, description="ISO; by the project's clock.")] | None = None


class RequireApproval(MoveAlias, frozen=True, kw_only=True):
    """Whether moving an alias requires approval."""

    required: bool = True


class HoldersQuery(WhoseAliases, frozen=True, kw_only=True):
    """When, and which alias; all if not given."""

    at: Annotated[str, Meta(max_length=40, description="ISO; by the project's clock; a day means its end.")]
    alias: Name | None = None


class VersionsQuery(Given, frozen=True):
    """Which versions are put beside each other."""

    versions: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,100}(,[A-Za-z0-9_-]{1,100}){1,19}$")]
    environment: Name | None = None


def show_version(doors: Doors, call: Call) -> Answer[VersionDocument]:
    """Show one version of a model, given by its number, or by an alias."""
    registry, where = _registry(doors, call.query.environment)
    return Answer(registry.resolve(_reference(call.path["model"], call.path["version"]), where).to_json())


def show_holders(doors: Doors, call: Call) -> Answer[HoldersDocument]:
    """Tell which version held an alias at a time: what was champion on a day."""
    query: HoldersQuery = call.query
    registry, where = _registry(doors, query.environment)
    at = moment_named(query.at, _zone(doors), day_ends=True).timestamp()
    return Answer(holders_document(registry.state(call.path["model"]), where, at, query.alias))


def list_users(doors: Doors, call: Call) -> Answer[ReadersPage]:
    """List the runs that were locked to a version of a model, the newest first, as readers of a table."""
    query: PageQuery = call.query
    registry, _ = _registry(doors, None)
    name = registry.state(call.path["model"]).name
    return Answer(model_users(doors.site.project.journal, name, query.limit, query.cursor))


def show_uses(doors: Doors, call: Call) -> Answer[UsesDocument]:
    """Show which steps of the project's code use a model, by which reference, and which version that is now."""
    registry, where = _registry(doors, call.query.environment)
    name = registry.state(call.path["model"]).name
    uses = [
        {
            "pipeline": graph.pipeline,
            "step": node.name,
            "reference": model.model,
            "version": _number(registry, model.model, where),
        }
        for graph in doors.site.graphs().values()
        for node in graph.nodes.values()
        for model in node.models()
        if split_reference(model.model)[0] == name
    ]
    return Answer({"name": name, "environment": where, "uses": uses})


def compare_versions(doors: Doors, call: Call) -> Answer[VersionsDocument]:
    """Put versions of a model (numbers or aliases, with commas between them) side by side."""
    query: VersionsQuery = call.query
    registry, where = _registry(doors, query.environment)
    name = call.path["model"]
    chosen = [registry.resolve(_reference(name, text), where) for text in query.versions.split(",")]
    lines = [line.to_json() for line in side_by_side(chosen)]
    return Answer({"model": name, "versions": [version.version for version in chosen], "lines": lines})


def promote_model(doors: Doors, call: Call) -> Answer[MovedDocument]:
    """Move an alias of a model to a version; if that needs approval, ask for it."""
    body: Promote = call.body
    registry, where = _registry(doors, body.environment)
    name = call.path["model"]
    number = registry.resolve(_reference(name, body.version), where).version
    now = doors.site.clock.now()
    at = None if body.at is None else moment_named(body.at, _zone(doors)).timestamp()
    move = registry.move(
        name,
        body.alias,
        number,
        where,
        by=who(call),
        why=body.why,
        at=now if at is None else at,
        recorded=None if at is None else now,
    )
    return Answer({"move": move})


def roll_back_model(doors: Doors, call: Call) -> Answer[MovedDocument]:
    """Return an alias of a model to the version that held it before."""
    registry, where = _registry(doors, call.body.environment)
    at, why = doors.site.clock.now(), call.body.why
    move = registry.rollback(call.path["model"], call.body.alias, where, by=who(call), why=why, at=at)
    return Answer({"move": move})


def approve_model(doors: Doors, call: Call) -> Answer[MovedDocument]:
    """Let a move of an alias happen that waits for approval."""
    registry, where = _registry(doors, call.body.environment)
    at, why = doors.site.clock.now(), call.body.why
    move = registry.approve(call.path["model"], call.body.alias, where, by=who(call), why=why, at=at)
    return Answer({"move": move})


def require_approval(doors: Doors, call: Call) -> Answer[GuardedDocument]:
    """Have moves of an alias of a model wait for approval, or wait no more."""
    body: RequireApproval = call.body
    registry, where = _registry(doors, body.environment)
    name, at = call.path["model"], doors.site.clock.now()
    registry.require_approval(name, body.alias, where, by=who(call), why=body.why, at=at, required=body.required)
    return Answer({"model": name, "alias": body.alias, "environment": where, "required": body.required})


def _number(registry: Registry, reference: str, environment: str) -> int | None:
    try:
        return registry.resolve(reference, environment).version
    except UnknownName:  # nobody holds the alias yet
        return None


def _zone(doors: Doors) -> ZoneInfo:
    return ZoneInfo(doors.site.project.settings.timezone)


def _registry(doors: Doors, environment: str | None) -> tuple[Registry, str]:
    site = doors.site
    return site.models, environment or site.project.settings.environment


def _reference(name: str, text: str) -> str:
    return f"{name}:{text}" if text.isdigit() else f"{name}@{text}"
