"""Runs, models and aliases copied to a tracking server afterwards: nothing waits for it, nothing is copied twice.

What has been copied is in the ledger, and what a copy leads to is found on the server again by its tags, so that a
process that dies between the two makes no second one. A server that is away is asked a few times; what is left is
copied by the next call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from trikk.core.clock import Clock, SystemClock
from trikk.core.digests import digest_bytes
from trikk.core.errors import TrikkError
from trikk.core.values import JSON
from trikk.models.registry import Registry
from trikk.models.version import ModelVersion
from trikk.runs.back_off import BackOff
from trikk.runs.states import OVER
from trikk.storage.stores.locks import file_lock
from trikk.tracking.fold import read_record
from trikk.tracking.mlflow.run_content import RunContent, content_of

if TYPE_CHECKING:
    from trikk.execution.project import Project

RUN = "run.mirrored"
MODEL = "model.mirrored"
ALIAS = "alias.mirrored"
_BACK_OFF = BackOff(first=1.0, longest=60.0)  # somebody may wait for it at a terminal


class Away(TrikkError):
    """The server can't be reached, or fails for reasons of its own; what is left is copied later."""

    code = "away"


class Refused(TrikkError):
    """The server does not take this one; others may go on."""

    code = "refused"


class Target(Protocol):
    """A tracking server. Methods raise Away or Refused, and may be repeated: what is there is not made again."""

    def put_run(self, content: RunContent) -> str:
        """Make or complete the run, with its files; returns the server's id of it."""

    def put_version(self, version: ModelVersion, run: str) -> str:
        """Make the version of a model that the server's `run` registered; returns the server's number of it."""

    def put_alias(self, model: str, alias: str, environment: str, version: str | None) -> None:
        """Have an alias name one of the server's versions, or none."""


@dataclass(slots=True)
class Mirrored:
    """What a call has copied."""

    runs: list[str] = field(default_factory=list)  # ids
    models: list[str] = field(default_factory=list)  # references such as "people:3"
    aliases: list[str] = field(default_factory=list)  # such as "people@champion"
    refused: list[str] = field(default_factory=list)  # sentences
    left: int = 0  # how many runs still wait
    away: str | None = None  # why it stopped, if it did

    def to_json(self) -> dict[str, JSON]:
        """The outcome as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class Mirror:
    """Copies what is not there yet.

    Args:
        project: the project.
        uri: where the server is; only its digest is kept.
        target: the server.
        attempts: how often a server that is away is asked, with pauses of 1, 2, 4 ... seconds between.
        clock: by which it waits; the machine's if not given.
    """

    def __init__(
        self, project: Project, uri: str, target: Target, *, attempts: int = 3, clock: Clock | None = None
    ) -> None:
        digest = digest_bytes(uri.rstrip("/").encode())[:16]
        self.project = project
        self.target = target
        self.attempts = attempts
        self.clock = clock or SystemClock()
        self.subject = f"mirror/mlflow/{digest}"
        self._ledger: Any = project.journal
        self._lock = project.state_dir / "mirror" / f"{digest}.lock"

    def copy(self, runs: Sequence[str] | None = None) -> Mirrored:
        """Copy runs that are over, then the models that they registered, then aliases.

        Raises:
            StorageError: if another process mirrors to this server for longer than ten minutes.
        """
        outcome = Mirrored()
        with file_lock(self._lock):
            pending = self._pending(runs)
            try:
                for position, (run, identity) in enumerate(pending):
                    outcome.left = len(pending) - position
                    self._one(outcome, lambda run=run, identity=identity: self._run(outcome, run, identity))
                outcome.left = 0
                # After the runs: a version names the run that registered it.
                self._models(outcome)
            except Away as error:
                outcome.away = error.what
        return outcome

    def _pending(self, runs: Sequence[str] | None) -> list[tuple[str, str]]:
        """Runs that are over and not there as they are now, the oldest first, each with its copy's identity."""
        journal = self.project.journal
        done = {entry.identity for entry in self._ledger.entries(self.subject)}
        pending = []
        for row in reversed(journal.runs(limit=None)):
            if row.state in OVER and not row.forgotten and (runs is None or row.id in runs):
                # With the newest event: a run that was resumed since its copy is copied again.
                identity = f"{row.id}/{journal.last_seq(row.id)}"
                if identity not in done:
                    pending.append((row.id, identity))
        return pending

    def _run(self, outcome: Mirrored, run: str, identity: str) -> None:
        state = self.project.run(run)
        content = content_of(self.project.settings.name, state, read_record(self.project.journal, run))
        # First the copy, then the note of it: after a crash in between the server has the run, and its tag tells.
        copy = self.target.put_run(content)
        self._note(RUN, {"run": run, "mlflow_run": copy}, identity)
        outcome.runs.append(run)

    def _models(self, outcome: Mirrored) -> None:
        registry = Registry(self._ledger)
        runs, versions, aliases = self._known()
        for name in registry.names():
            state = registry.state(name)
            for number, version in state.versions.items():
                if (name, number) not in versions and version.run in runs:
                    self._one(outcome, lambda v=version: self._version(outcome, v, runs[v.run], versions))
            for (environment, alias), holders in state.holders.items():
                place = (name, environment, alias)
                wanted = versions.get((name, holders[-1])) if holders else None
                if aliases.get(place) != wanted:
                    self._one(outcome, lambda p=place, w=wanted: self._alias(outcome, p, w))

    def _version(
        self, outcome: Mirrored, version: ModelVersion, run: str, versions: dict[tuple[str, int], str]
    ) -> None:
        copy = self.target.put_version(version, run)
        body: dict[str, JSON] = {"name": version.name, "version": version.version, "mlflow_version": copy}
        self._note(MODEL, body, f"model/{version.name}/{version.version}")
        versions[version.name, version.version] = copy
        outcome.models.append(version.reference)

    def _alias(self, outcome: Mirrored, place: tuple[str, str, str], version: str | None) -> None:
        name, environment, alias = place
        self.target.put_alias(name, alias, environment, version)
        body: dict[str, JSON] = {
            "name": name,
            "environment": environment,
            "alias": alias,
            "mlflow_version": version,
        }
        self._note(ALIAS, body, None)
        outcome.aliases.append(f"{name}@{alias}")

    def _known(self) -> tuple[dict[str, str], dict[tuple[str, int], str], dict[tuple[str, str, str], str | None]]:
        """What has been copied: the server's runs, versions and aliases by those of trikk."""
        runs: dict[str, str] = {}
        versions: dict[tuple[str, int], str] = {}
        aliases: dict[tuple[str, str, str], str | None] = {}
        for entry in self._ledger.entries(self.subject):
            body = entry.body
            if entry.kind == RUN:
                runs[body["run"]] = body["mlflow_run"]
            elif entry.kind == MODEL:
                versions[body["name"], body["version"]] = body["mlflow_version"]
            elif entry.kind == ALIAS:
                aliases[body["name"], body["environment"], body["alias"]] = body["mlflow_version"]
        return runs, versions, aliases

    def _note(self, kind: str, body: dict[str, JSON], identity: str | None) -> None:
        self._ledger.add(self.subject, kind, body, at=self.clock.now(), identity=identity)

    def _one(self, outcome: Mirrored, work: Any) -> None:
        """Do one thing, several times if the server is away; what it refuses is noted, and the rest goes on."""
        for attempt in range(1, self.attempts + 1):
            try:
                work()
            except Refused as error:
                outcome.refused.append(error.what)
            except Away:
                if attempt == self.attempts:
                    raise
                self.clock.sleep(_BACK_OFF.pause(attempt))
                continue
            return
