"""A project's code loaded once, and the runs that are started from it.

The process that imports the code is begun before anything else is imported here, so that both go on at once.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.execution.run_options import How, ProjectExecutor
from trikk.execution.workers.process_executor import ProcessExecutor

if TYPE_CHECKING:
    from trikk.pipeline.graph import Graph
    from trikk.runs.journals.journal import Cause
    from trikk.runs.lock import Lock
    from trikk.runs.run_state import RunState


def open_executor(project: Project, how: How, code: Path | None = None) -> ProjectExecutor:
    """The executor that `how` asks for; a host process begins to import the project at once."""
    if how.inline:
        from trikk.execution.code.loading import load
        from trikk.execution.workers.child import workplace
        from trikk.execution.workers.inline_executor import InlineExecutor

        return InlineExecutor(workplace(project.settings, load(project.settings, code)), how.clock)
    if how.target == "ray":
        from trikk.execution.ray.ray_executor import RayExecutor

        return RayExecutor(project.settings, code)
    return ProcessExecutor(project.settings, code)


class Session:
    """One loading of a project's code, from which any number of runs are started.

    Its code, packages and commit are captured once, so that every run of a backfill is locked to what was
    really imported. Use it in a `with` statement.

    Args:
        project: the project.
        how: how to carry runs out.
    """

    def __init__(self, project: Project, how: How) -> None:
        self.project = project
        self.how = how
        self.executor = open_executor(project, how)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.executor.close()

    @functools.cached_property
    def lock(self) -> Lock:
        """What all runs of this session are locked to, but for tables and seed."""
        from trikk.execution.launch import current_lock

        return current_lock(self.project)

    @property
    def graphs(self) -> Mapping[str, Graph]:
        """The project's pipelines by name; raises as `ProjectExecutor.graphs` does."""
        return self.executor.graphs()

    def capture(self) -> None:
        """Make the lock now: `graph` waits for the host's imports, and this goes on beside them."""
        _ = self.lock

    def graph(self, pipeline: str) -> Graph:
        """The graph of a pipeline; UnknownName if there is none of that name."""
        from trikk.execution.launch import graph_of

        return graph_of(self.executor, pipeline)

    def pin(self, pipeline: str) -> Lock:
        """What a run of that pipeline would be locked to now; UsageError if a table or model is missing."""
        from trikk.execution.launch import pin

        return pin(self.project, self.graph(pipeline), self.lock)

    def run(
        self,
        pipeline: str,
        parameters: Mapping[str, object],
        *,
        text: bool = False,
        origin: Mapping[str, JSON] | None = None,
        lock: Lock | None = None,
        as_of: float | None = None,
        cause: Cause | None = None,
    ) -> RunState:
        """Run a pipeline to its end.

        Args:
            pipeline: the pipeline's name.
            parameters: real values, or texts as written on a command line if `text`.
            text: whether the parameters are texts.
            origin: why the run exists; by hand if not given.
            lock: from `pin`, where several runs must have the same data and seed; made now if not given.
            as_of: seconds since 1970 that steps take for the present; the clock's time if not given.
            cause: what calls for the run, once; none if not given.

        Returns:
            The run's final state, be it succeeded, failed or cancelled.

        Raises:
            UsageError: if the project, the pipeline's name, a parameter or a table is wrong; nothing was started.
            Conflict: if the cause has a run, or was changed since it was read; nothing was started.
            LeaseHeld: if another process drives the run that was just written down.
        """
        from trikk.execution.launch import start

        base, how = lock or self.lock, self.how
        pinned = lock is not None
        if as_of is not None:
            base = replace(base, moment=as_of, as_of=True)
        return start(
            self.project,
            self.executor,
            base,
            pipeline,
            parameters,
            how,
            text=text,
            origin=origin,
            pinned=pinned,
            cause=cause,
        )
