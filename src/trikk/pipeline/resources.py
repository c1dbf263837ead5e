"""What a step needs of the machine, so that as many run at once as fit."""

from __future__ import annotations

from dataclasses import dataclass

from trikk.core.durations import bytes_of
from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.pipeline.location import caller, located


@dataclass(frozen=True, slots=True)
class Resources:
    """What one attempt of a step takes while it runs.

    Args:
        cpus: cores; parts of one are allowed (0.5).
        memory: bytes, or a text such as "4GB"; 0 if it is not known.
        gpus: whole accelerators.

    Raises:
        UsageError: if a value is negative or not understood.
    """

    cpus: float = 1.0
    memory: int | str = 0
    gpus: int = 0

    def __post_init__(self) -> None:
        if self.cpus < 0 or self.gpus < 0:
            raise UsageError(
                "a step can't need less than nothing", where=caller(), next="use cpus >= 0 and gpus >= 0"
            )
        object.__setattr__(self, "memory", located(bytes_of, self.memory, what="memory size"))

    def to_json(self) -> dict[str, JSON]:
        """The needs as JSON, memory in bytes."""
        return {"cpus": self.cpus, "memory": self.memory, "gpus": self.gpus}
