"""What the first job of an execution decides for all: the tables, models, code and packages of its run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from msgspec.structs import replace

from trikk.core.values import JSON
from trikk.execution.launch import pin
from trikk.execution.project import Project
from trikk.pipeline.graph import Graph
from trikk.pipeline.pipeline import parameters_for
from trikk.runs.lock import Lock, installed_packages, platform_name, python_version
from trikk.targets.jobs.execution_plan import ExecutionPlan, origin_of, run_of_execution


class Start(Protocol):
    """What an execution was started with."""

    @property
    def pipeline(self) -> str:
        """The pipeline's name."""

    @property
    def execution(self) -> str:
        """What the engine calls the execution."""

    @property
    def engine(self) -> str:
        """The target's name."""

    @property
    def code(self) -> str:
        """Digest of the code bundle."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """Texts by name."""

    @property
    def trigger(self) -> str:
        """The trigger for whose tick it was started; "" if by hand."""

    @property
    def tick(self) -> str:
        """That tick's identity."""


def plan_of(start: Start, project: Project, graph: Graph) -> ExecutionPlan:
    """The plan of an execution that begins now; the graph is put into the store.

    Raises:
        UsageError: if a parameter is wrong, or a table or model is missing.
        StorageError: if the store can't be written.
    """
    parameters = parameters_for(graph, start.parameters, text=True)
    packages: dict[str, JSON] = dict(installed_packages())
    base = Lock(
        code=start.code, packages=project.keep_json(packages), python=python_version(), platform=platform_name()
    )
    now, run = time.time(), run_of_execution(start.pipeline, start.execution)
    return ExecutionPlan(
        run=run,
        pipeline=start.pipeline,
        engine=start.engine,
        execution=start.execution,
        environment=project.settings.environment,
        parameters=parameters,
        origin=origin_of(start.engine, start.execution, start.trigger, start.tick),
        lock=replace(pin(project, graph, base), run=run, moment=now).to_json(),
        graph=project.keep_json(graph.to_json()),
        created=now,
    )
