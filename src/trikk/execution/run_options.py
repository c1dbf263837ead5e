"""How runs are carried out, beside what they do; and what that needs of an executor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from trikk.core.clock import Clock, SystemClock
from trikk.core.values import JSON
from trikk.execution.workers.executor import Executor

if TYPE_CHECKING:
    from trikk.execution.driving.limits import Capacity
    from trikk.pipeline.graph import Graph


class ProjectExecutor(Executor, Protocol):
    """An executor that also knows the project's pipelines."""

    def graphs(self) -> dict[str, Graph]:
        """The project's pipelines as graphs."""

    def triggers(self) -> list[dict[str, JSON]]:
        """The triggers that its code declares, as `trikk.triggers.declared.Declared` reads them."""

    def codes(self, pipeline: str) -> dict[str, str]:
        """For each step the digest of the code that it reaches in the project."""

    def check(self, graph: Graph, code: str) -> None:
        """Raise a TrikkError if the graph's steps can't be run, before anything is started.

        Args:
            graph: what is to be run.
            code: digest of the bundle of the run's code, which is in the store.
        """

    def capacity(self, max_parallel: int | None) -> Capacity:
        """What may be used at once, where the steps run; `max_parallel` bounds how many steps that are."""


@dataclass(slots=True)
class How:
    """How a run is carried out, beside what it does.

    Attributes:
        target: where steps run: "local", or "ray".
        inline: everything in this process, one step after the other.
        keep_going: after a failure, finish what does not depend on it.
        max_parallel: how many steps at once; the project's setting if None.
        listener: told of every event.
        hands_over: a signal to end leaves the run to whoever goes on with it, rather than cancels it.
        clock: time.
    """

    target: str = "local"
    inline: bool = False
    keep_going: bool = False
    max_parallel: int | None = None
    listener: Callable[[Any, Any], None] | None = None
    hands_over: bool = False
    clock: Clock = field(default_factory=SystemClock)
