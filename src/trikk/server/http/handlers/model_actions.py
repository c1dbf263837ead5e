"""Requests that move aliases of registered models, and put their versions beside each other."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from trikk.models.registry import Registry
from trikk.models.version_table import side_by_side
from trikk.server.http.documents.project_documents import MovedDocument, VersionsDocument
from trikk.server.http.doors import Doors
from trikk.server.http.routes import NAME, Answer, Call, Given, who

Name = Annotated[str, Meta(pattern=NAME)]
Version = Annotated[str, Meta(pattern=f"^[0-9]{{1,9}}$|{NAME}", description="A version's number, or an alias.")]


class MoveAlias(Given, frozen=True):
    """Whose alias moves, and why."""

    alias: Name
    why: str = ""
    environment: Name | None = None  # the server's if not given
    by: str = ""


class Promote(MoveAlias, frozen=True, kw_only=True):
    """To which version an alias moves."""

    version: Version


class VersionsQuery(Given, frozen=True):
    """Which versions are put beside each other."""

    versions: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,100}(,[A-Za-z0-9_-]{1,100}){1,19}$")]
    environment: Name | None = None


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
    at = doors.site.clock.now()
    move = registry.move(name, body.alias, number, where, by=who(call), why=body.why, at=at)
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


def _registry(doors: Doors, environment: str | None) -> tuple[Registry, str]:
    project = doors.site.project
    return Registry(project.journal), environment or project.settings.environment


def _reference(name: str, text: str) -> str:
    return f"{name}:{text}" if text.isdigit() else f"{name}@{text}"
