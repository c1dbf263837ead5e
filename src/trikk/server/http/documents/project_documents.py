"""What is stored, served and published, and by which servers, as answers have it: tables, features, models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from trikk.core.record import Record
from trikk.features.feature_view import FeatureTableLine
from trikk.models.state import Move
from trikk.publishing.stream import PublishedStream
from trikk.storage.tables.admin import TableInfo, VersionWrite
from trikk.timeline.happenings import Happening


class TablesPage(TypedDict):
    """Tables by name."""

    tables: list[TableInfo]
    next: str | None


@dataclass(frozen=True)
class TableDocument(TableInfo):
    """A table with its first rows."""

    head: list[dict[str, Any]]


class RowsDocument(TypedDict):
    """Some rows of a table at a version; of how many that meet the conditions."""

    name: str
    version: int
    columns: dict[str, str]
    count: int
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class VersionsPage:
    """Versions of a table, the newest first."""

    versions: list[VersionWrite]
    next: str | None


class _ModelDocument(TypedDict):
    name: str
    environment: str
    registered: float
    task: str | None
    classes: Any
    positive: Any
    aliases: dict[str, int]
    pending: list[Move]


class ModelDocument(_ModelDocument):
    """A registered model, and which version holds which alias."""

    versions: int


class ModelsPage(TypedDict):
    """Registered models by name, with the aliases of one environment."""

    environment: str
    models: list[ModelDocument]
    next: str | None


class VersionDocument(TypedDict):
    """One version of a model; `created` in seconds since 1970."""

    name: str
    version: int
    artifact: dict[str, Any]
    signature: dict[str, Any] | None
    run: str
    step: str
    pipeline: str
    code: str
    tables: dict[str, int | None]
    models: dict[str, int | None]
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    description: str
    environment: str
    created: float
    spare: dict[str, Any] | None


class GuardDocument(TypedDict):
    """An alias that moves only when somebody approves."""

    environment: str
    alias: str


class ModelDetailsDocument(_ModelDocument):
    """A registered model with its versions and moves."""

    versions: list[VersionDocument]
    moves: list[Move]
    approval: list[GuardDocument]


class MovedDocument(TypedDict):
    """A move of an alias; null if the version held it already."""

    move: Move | None


class HoldersDocument(TypedDict):
    """Which version held each alias at a time, in seconds since 1970; null for none."""

    name: str
    environment: str
    at: float
    aliases: dict[str, int | None]


class UseDocument(TypedDict):
    """A step that uses a model; the version is null as long as nobody holds the alias."""

    pipeline: str
    step: str
    reference: str
    version: int | None


class UsesDocument(TypedDict):
    """Where a model is in use, and which versions that are in an environment now."""

    name: str
    environment: str
    uses: list[UseDocument]


class GuardedDocument(TypedDict):
    """Whether moving an alias requires approval."""

    model: str
    alias: str
    environment: str
    required: bool


class VersionLine(TypedDict):
    """One thing that versions may differ in, and its value in each."""

    kind: str
    name: str
    values: list[Any]
    differs: bool


class VersionsDocument(TypedDict):
    """Versions of a model side by side."""

    model: str
    versions: list[int]
    lines: list[VersionLine]


class FeatureTablesDocument(Record, frozen=True):
    """Feature tables by name."""

    features: list[FeatureTableLine]


class PublishedDocument(Record, frozen=True):
    """The streams to which pipelines publish, by name."""

    streams: list[PublishedStream]


class ServerDocument(TypedDict):
    """A server of the project; times in seconds since 1970."""

    id: str
    host: str
    pid: int
    release: str
    since: float
    at: float
    left: float | None
    lives: bool
    fires: bool
    says: dict[str, Any]


class ServersDocument(TypedDict):
    """The project's servers, and which release counts."""

    servers: list[ServerDocument]


@dataclass(frozen=True)
class TimelinePage:
    """What happened to incidents, models and reports, in its order."""

    happenings: list[Happening]
    next: str | None
