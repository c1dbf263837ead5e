"""A project opened: its settings, and its journal, artifacts and tables, each opened when first used."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.errors import JournalError, ProjectError, RunError, StorageError, UnknownName
from trikk.core.network.addresses import encoded_names
from trikk.core.settings import Settings, find_project, load_settings
from trikk.runs.states import RunStatus

if TYPE_CHECKING:
    from trikk.pipeline.graph import Graph
    from trikk.runs.journals.journal import Event, Journal
    from trikk.runs.run_state import RunState
    from trikk.storage.artifacts import Artifacts
    from trikk.storage.stores.store_port import Store
    from trikk.storage.tables.versioned_tables import Tables

_OF_THIS_MACHINE = "-local"
"""How the names of engines end that are a process of this machine, with a lock file while it lives."""


class Project:
    """Everything that a command needs of a project's folder.

    Args:
        settings: what its trikk.toml says.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    def open(cls, folder: Path | None = None) -> Project:
        """The project that a folder (the current one if not given) lies in.

        Raises:
            ProjectError: if it lies in none, or the trikk.toml is wrong.
        """
        return cls(load_settings(find_project(folder or Path.cwd())))

    @property
    def root(self) -> Path:
        """The folder with the trikk.toml."""
        return self.settings.root

    @property
    def state_dir(self) -> Path:
        """The folder with everything that runs made, there after this call.

        Raises:
            ProjectError: if it can't be made.
        """
        folder = self.settings.state
        try:
            folder.mkdir(exist_ok=True)
            ignore = folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            if folder.is_dir():
                return folder  # a copy that may only be read
            raise ProjectError(
                f"{folder} can't be made: {error.strerror}", next="check the folder's permissions"
            ) from error
        return folder

    def close(self) -> None:
        """Close the journal, if it was opened; it is opened anew when it is needed."""
        if "journal" in self.__dict__:
            self.__dict__.pop("journal").close()

    @functools.cached_property
    def journal(self) -> Journal:
        """The project's journal."""
        from trikk.runs.journals.open_journal import open_journal

        _ = self.state_dir
        try:
            return open_journal(self.settings.location("journal"), self.settings.events)
        except JournalError as error:
            if hint := encoded_names(self.settings.journal):
                error.next = f"{error.next}; {hint}" if error.next else hint
            raise

    @functools.cached_property
    def store(self) -> Store:
        """Where artifacts, graphs and code bundles are."""
        from trikk.storage.stores.locations import open_store

        _ = self.state_dir
        return open_store(self.settings.location("artifacts"))

    @functools.cached_property
    def artifacts(self) -> Artifacts:
        """The store's values, as far as trikk's own codecs can read them."""
        from trikk.storage.artifacts import Artifacts

        return Artifacts(self.store)

    @functools.cached_property
    def tables(self) -> Tables:
        """The project's tables; their libraries are imported when one is touched."""
        from trikk.storage.lazy_tables import LazyTables

        tables: Any = LazyTables(self.settings.location("tables"))
        return tables  # type: ignore[no-any-return]

    def find_run(self, text: str) -> str:
        """The id of the run that a user means: `last`, or the beginning of its id.

        Raises:
            UnknownName: if there is none, or several begin so.
        """
        if text == "last":
            rows = self.journal.runs(limit=1)
            if not rows:
                raise UnknownName("run", text, [], next="start one: trikk run PIPELINE")
            return rows[0].id
        ids = self.journal.find(text)
        if text in ids or len(ids) == 1:
            return text if text in ids else ids[0]
        if not ids:
            raise UnknownName("run", text, (r.id for r in self.journal.runs()), next=None)
        raise UnknownName("run", text, ids, next=f"several begin so: {', '.join(ids)}")

    def run(self, run: str) -> RunState:
        """The state of a run, by its full id, with all steps of its graph."""
        return self.state_after(run, self.journal.events(run))

    def state_after(self, run: str, events: Iterable[Event]) -> RunState:
        """The state of a run after these events, its first ones, with all steps of its graph in their order."""
        from trikk.runs.run_state import RunState, StepState

        state = RunState.fold(run, events)
        try:
            names = list(self.graph(state).nodes)
        except (StorageError, RunError):
            return state
        begun = state.steps
        state.steps = {name: begun[name] if name in begun else StepState() for name in names} | begun
        return state

    def graph(self, state: RunState) -> Graph:
        """The graph that a run was made from.

        Raises:
            ArtifactMissing: if clean-up has removed it.
        """
        if not state.graph:
            why = "forgotten by clean-up" if state.forgotten else "never started"
            mend = "choose another: trikk runs" if state.forgotten else f"start it: trikk resume {state.id}"
            raise RunError(f"run {state.id} has no graph: it was {why}", next=mend)
        from trikk.pipeline.graph import Graph

        return Graph.read(json.loads(self.store.fetch(state.graph).read_bytes()))

    def keep_json(self, value: Any) -> str:
        """Store a JSON value under its digest, which is returned."""
        from trikk.core.digests import digest_bytes
        from trikk.core.values import canonical

        data = canonical(value)
        digest = digest_bytes(data)
        if not self.store.touch(digest):
            path = self.store.workspace() / f"json-{os.urandom(8).hex()}"
            path.write_bytes(data)
            self.store.add(path, digest)
        return digest

    def read_json(self, digest: str) -> Any:
        """The JSON value that `keep_json` stored."""
        return json.loads(self.store.fetch(digest).read_bytes())

    def logs_of(self, run: str) -> Path:
        """The folder for a run's logs, there after this call."""
        folder = self.state_dir / "runs" / run
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProjectError(
                f"{folder} can't be made: {error.strerror}", next="check that folder, and the room on the disk"
            ) from error
        return folder

    def is_driven(self, run: str) -> bool:
        """Whether a process has the run's lease and is at it, or an engine elsewhere; False for one that is over.

        A process on another host is at it as long as it renews its lease.
        """
        lease = self.journal.lease(run)
        if lease is not None:
            alive = lease.holder.is_alive()
            if alive or (alive is None and time.time() < lease.expires):
                return True
        row = self.journal.row(run)
        # Only who mirrors such a run has a lease of it, for a moment; that nobody has says nothing.
        return row.state == RunStatus.RUNNING and "engine" in row.origin and self.is_at_engine(self.run(run))

    def is_at_engine(self, state: RunState) -> bool:
        """Whether an engine carries it out: one elsewhere until its end, one of this machine while that lives."""
        if not state.engine or state.state != RunStatus.RUNNING:
            return False
        if not state.engine.endswith(_OF_THIS_MACHINE):
            return True
        from trikk.storage.stores.locks import is_locked

        return is_locked(self.settings.state / state.engine / Path(str(state.origin["execution"])).name / "lock")
