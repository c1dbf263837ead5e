"""What a local execution says of itself, for whoever mirrors it: read as the service's own answers are."""

from __future__ import annotations

from collections.abc import Mapping

from trikk.targets.mirroring.engine_status import EngineStatus
from trikk.targets.sagemaker.execution_status import execution_status
from trikk.targets.sagemaker.local.local_execution import LocalExecution


class LocalEngine:
    """The engine of one execution.

    Args:
        execution: the execution.
        definition: what it runs.
        steps: by what the definition calls a step, the step.
    """

    name = "sagemaker-local"

    def __init__(self, execution: LocalExecution, definition: str, steps: Mapping[str, str]) -> None:
        self._execution = execution
        self._definition = definition
        self._steps = steps

    def status(self, execution: str, steps: Mapping[str, str]) -> EngineStatus | None:  # noqa: ARG002 - the port's
        """How the execution stands; None if it is another one."""
        if execution != self._execution.execution:
            return None
        described, listed = self._execution.describe(), self._execution.list_steps()
        return execution_status(described, listed, self._steps, self._definition)

    def stop(self, execution: str) -> None:
        """Stop it; another one is left alone."""
        if execution == self._execution.execution:
            self._execution.stop()
