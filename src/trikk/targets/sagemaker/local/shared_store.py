"""The artifacts that local jobs share, in a bucket, and the way of what they make into the project's own store.

Where the project's store is a folder, jobs get a bucket instead, as they have it on SageMaker: what they need is
brought there first, and what they make is brought home before the journal tells of it, verified by its digest.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from trikk.core.errors import UnknownName
from trikk.execution.project import Project
from trikk.models.registry import Registry
from trikk.models.version import ModelVersion
from trikk.pipeline.graph import Graph
from trikk.runs.bundle import contents
from trikk.storage.stores.s3_store import S3Store
from trikk.storage.stores.store_port import Store
from trikk.targets.jobs.exchange import Exchange
from trikk.targets.target_port import needs_ledger


class SharedStore:
    """A bucket's store beside the project's.

    Args:
        home: the project's store.
        shared: the one that jobs have.
    """

    def __init__(self, home: Store, shared: S3Store) -> None:
        self._home, self._shared = home, shared
        self._same: set[str] = set()  # what both have

    def lend(self, digests: Iterable[str]) -> None:
        """Bring objects into the shared store; raises as `Store.export` and `Store.add`."""
        for digest in digests:
            if not self._shared.contains(digest):
                _copy(self._home, self._shared, digest)
            self._same.add(digest)

    def bring_home(self) -> None:
        """Bring every object that jobs have made into the project's store.

        Raises:
            ArtifactCorrupt: if one does not have the bytes that it is named by; it is not taken.
            StorageError: if a store can't be reached, or has no room.
        """
        for stored in self._shared.list():
            if stored.digest not in self._same:
                if not self._home.touch(stored.digest):
                    _copy(self._shared, self._home, stored.digest)
                self._same.add(stored.digest)


class HomecomingExchange:
    """An exchange that brings home what a report names before it hands the report over.

    A job puts what it has made into the store before it reports that: so nothing in the journal is missing here.

    Args:
        exchange: the jobs' exchange.
        store: their store, and the project's; None where they are one.
    """

    def __init__(self, exchange: Exchange, store: SharedStore | None) -> None:
        self._exchange, self._store = exchange, store
        self._seen: dict[str, bytes] = {}
        self._is_frozen = False
        self.url = exchange.url
        self.put, self.put_new = exchange.put, exchange.put_new

    def freeze(self) -> None:
        """Answer from now on with what was read before: the exchange is gone."""
        self._is_frozen = True

    def names(self, prefix: str) -> list[str]:
        """The names that begin with a text, sorted."""
        if self._is_frozen:
            return sorted(name for name in self._seen if name.startswith(prefix))
        return self._exchange.names(prefix)

    def get(self, name: str) -> bytes | None:
        """An object; None if there is none. Raises as `SharedStore.bring_home`, too."""
        if self._is_frozen:
            return self._seen.get(name)
        data = self._exchange.get(name)
        if data is not None and self._seen.get(name) != data:
            if self._store is not None:
                self._store.bring_home()
            self._seen[name] = data
        return data


def needed_objects(project: Project, graph: Graph, code: str) -> Iterator[str]:
    """The digests of all that jobs may ask the store for and do not make themselves: code and models."""
    yield code
    yield from contents(project.store, code).values()
    if not needs_ledger(graph):
        return
    for version in _versions(project, graph):
        for artifact in filter(None, (version.artifact, version.spare)):
            yield artifact.digest
            yield from (child.digest for child in project.artifacts.children(artifact))


def _versions(project: Project, graph: Graph) -> Iterator[ModelVersion]:
    """The registered models that the pipeline names, and those that hold an alias, which promotions compare."""
    registry, environment = Registry(project.journal), project.settings.environment
    for node in graph.nodes.values():
        for ref in node.models():
            with contextlib.suppress(UnknownName):  # an optional one; the first job refuses any other
                yield registry.resolve(ref.model, environment)
    for name in registry.names():
        state = registry.state(name)
        for (place, _), holders in state.holders.items():
            if place == environment and holders:
                yield state.versions[holders[-1]]


def _copy(source: Store, target: Store, digest: str) -> None:
    path = target.workspace() / f"lent-{os.urandom(8).hex()}"
    try:
        source.export(digest, path)
        target.add(path, digest)
    finally:
        path.unlink(missing_ok=True)
