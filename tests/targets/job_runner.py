"""An engine of a few lines: one job after the other, in the graph's order, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trikk.core.clock import SystemClock
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.pipeline.graph import Graph
from trikk.runs.run_state import RunState
from trikk.targets.jobs.exchange import open_exchange
from trikk.targets.mirroring.engine_status import Engine
from trikk.targets.mirroring.mirrored_run import mirror


@dataclass
class JobRunner:
    """A project's pipeline as jobs; `exchange` is a folder or a bucket's prefix."""

    root: Path
    pipeline: str
    exchange: str
    execution: str = "first"
    parameters: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Project:
        return Project.open(self.root)

    def prepared(self) -> tuple[Graph, str]:
        """The graph, and the digest of the code, which is in the store now."""
        with Session(self.project, How()) as session:
            return session.graph(self.pipeline), session.lock.code

    def job(self, step: str, code: str, *options: str) -> subprocess.CompletedProcess[str]:
        settings = self.project.settings
        command = [sys.executable, "-m", "trikk.targets.jobs.step_job", step, "--pipeline", self.pipeline]
        command += ["--execution", self.execution, "--engine", "jobs", "--exchange", self.exchange, "--code", code]
        command += ["--store", settings.location("artifacts"), "--tables", settings.location("tables")]
        command += ["--journal", settings.location("journal"), "--state", str(settings.state)]
        for name, value in self.parameters.items():
            command += ["--parameter", name, value]
        return subprocess.run(
            [*command, *options],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={**os.environ, **self.environment},
        )

    def run(self) -> dict[str, subprocess.CompletedProcess[str]]:
        """All jobs, until one fails."""
        graph, code = self.prepared()
        ended = {}
        for step in graph.nodes:
            ended[step] = self.job(step, code)
            if ended[step].returncode:
                break
        return ended

    def mirrored(self, engine: Engine | None = None) -> RunState | None:
        return mirror(self.project, open_exchange(self.exchange), self.execution, engine, SystemClock())
