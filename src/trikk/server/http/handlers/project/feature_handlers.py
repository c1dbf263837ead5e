"""Requests on feature tables: what is online, one entity's features, sync.

Only the store that a definition names is asked: no address from outside is trusted.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from trikk.core.errors import ParameterError
from trikk.features.actions import remembered
from trikk.features.feature_view import EntityFeatures, entity_features, feature_tables, moment
from trikk.features.project_place import Place
from trikk.features.sync import Synced, sync
from trikk.server.http.documents.project_documents import FeatureTablesDocument
from trikk.server.http.doors import Doors, at_length
from trikk.server.http.routes import Answer, Call, Given

_KEY = '{"line": "4", "stop": 1}'
_Moment = Annotated[str, Meta(max_length=40, description="ISO 8601, such as 2024-03-01T09:30:00+00:00.")]


class EntityQuery(Given, frozen=True):
    """Whose features are wanted, and for which moment."""

    key: Annotated[str, Meta(max_length=4000, description=f"The entity, JSON: {_KEY}")]
    at: _Moment | None = None  # now if not given


class SyncFeatures(Given, frozen=True):
    """How an online store is brought up to its table."""

    rebuild: bool = False  # read the whole table, and replace what is online
    at: _Moment | None = None  # the first moment that will be asked for
    by: str = ""


def list_features(doors: Doors, _: Call) -> Answer[FeatureTablesDocument]:
    """List feature tables: what is online, and how far it is behind its table."""
    return Answer(FeatureTablesDocument(feature_tables(doors.site.project)))


def show_entity_features(doors: Doors, call: Call) -> Answer[EntityFeatures]:
    """Show the features of one entity as they are served."""
    query: EntityQuery = call.query
    at = None if query.at is None else moment(query.at)
    return Answer(entity_features(doors.site.project, call.path["features"], _texts(query.key), at))


def sync_features(doors: Doors, call: Call) -> Answer[Synced]:
    """Bring the online store of a feature table up to it, by the definition that its pipeline used last."""
    body: SyncFeatures = call.body
    project = doors.site.project
    definition = remembered(project.journal, call.path["features"])
    place = Place(project.tables, project.journal, project.state_dir, doors.site.clock.now())
    at = None if body.at is None else moment(body.at)
    with at_length("feature tables are being synced"):
        return Answer(sync(definition, place, at=at, rebuild=body.rebuild))


def _texts(key: str) -> dict[str, str]:
    """A key's values as commands are given them."""
    try:
        values = msgspec.json.decode(key, type=dict[str, str | int | bool])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParameterError(f"key does not fit: {error}", next=f"write it as {_KEY}") from error
    return {
        column: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for column, value in values.items()
    }
