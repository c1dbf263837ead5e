"""All that engines do for a project, taken into its journal: by a command, and again and again by a server."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from trikk.core.clock import Clock
from trikk.core.errors import TrikkError, UnknownName
from trikk.execution.project import Project
from trikk.runs.run_state import RunState
from trikk.targets.jobs.exchange import Exchange, open_exchange
from trikk.targets.jobs.exchange_place import exchanges_of
from trikk.targets.jobs.execution_plan import read_plan
from trikk.targets.mirroring.engine_status import Engine
from trikk.targets.mirroring.mirrored_run import mirror, open_executions
from trikk.targets.target_port import target_named, target_names


class ProjectMirror:
    """Looks into the exchanges of a project.

    Args:
        project: the project.
        clock: the time.

    Raises:
        ProjectError: if a section `[targets.NAME]` is wrong.
    """

    def __init__(self, project: Project, clock: Clock) -> None:
        self._project = project
        self._clock = clock
        self._exchanges = tuple(open_exchange(url) for url in exchanges_of(project.settings))
        self._engine = functools.cache(self._engine_named)

    def look(self) -> Iterator[RunState | TrikkError]:
        """Take in what is new of all executions that are not over; yields each run, or why it could not be.

        Raises:
            StorageError: if an exchange can't be reached.
        """
        for exchange in self._exchanges:
            for execution in open_executions(self._project, exchange):
                try:
                    run = self._mirrored(exchange, execution)
                except TrikkError as error:
                    error.where = error.where or f"execution {execution}"
                    yield error
                else:
                    if run is not None:
                        yield run

    def look_at(self, execution: str) -> RunState:
        """Take in what is new of one execution, also if it was over.

        Raises:
            UnknownName: if no job of it has begun.
            TrikkError: as `mirror`.
        """
        for exchange in self._exchanges:
            run = self._mirrored(exchange, execution)
            if run is not None:
                return run
        places = ", ".join(exchange.url for exchange in self._exchanges)
        raise UnknownName("execution", execution, (), next=f"no job of it has reported in {places}")

    def _mirrored(self, exchange: Exchange, execution: str) -> RunState | None:
        plan = read_plan(exchange, execution)
        if plan is None:
            return None
        return mirror(self._project, exchange, execution, self._engine(plan.engine), self._clock)

    def _engine_named(self, name: str) -> Engine | None:
        return target_named(name).engine(self._project.settings) if name in target_names() else None
