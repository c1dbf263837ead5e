"""What can happen next in a run: pure decisions over the graph and the state, one step's worth of work at a time.

The frontier counts, for each step, the steps it still waits for. Settling a step costs as much as it has
dependents, so a run of two thousand steps costs no more per step than one of fifty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from trikk.core.errors import TrikkError
from trikk.core.record import Record
from trikk.pipeline.arguments import Argument
from trikk.pipeline.condition import Condition, evaluate
from trikk.pipeline.graph import Graph, Node
from trikk.runs.run_state import RunState, Task
from trikk.runs.states import StepStatus


class Start(Record, frozen=True):
    """Start an attempt of this task."""

    task: Task


class Skip(Record, frozen=True):
    """The step will not run, and that is no failure."""

    step: str
    reason: str


class Expand(Record, frozen=True):
    """A mapped step has this many items."""

    step: str
    count: int


class Collect(Record, frozen=True):
    """All items of a mapped step have succeeded: put the list together."""

    step: str


class Refuse(Record, frozen=True):
    """The step can't be decided: its condition or its map does not work on these values."""

    step: str
    message: str


Decision = Start | Skip | Expand | Collect | Refuse


class Frontier:
    """Which steps may be decided now.

    Args:
        graph: the run's graph.
        state: the run's state; steps that have succeeded are taken as settled.
        value_of: what an argument's value is, for conditions.
        length_of: how many items an argument has, for mapped steps.
    """

    def __init__(
        self,
        graph: Graph,
        state: RunState,
        value_of: Callable[[Argument], Any],
        length_of: Callable[[Argument], int],
    ) -> None:
        self.graph = graph
        self.state = state
        self.value_of = value_of
        self.length_of = length_of
        self.blocked: dict[str, str] = {}
        self._below: dict[str, list[str]] = {name: [] for name in graph.nodes}
        self._waiting: dict[str, int] = {}
        self._ready: deque[str] = deque()
        self._open_items: dict[str, int] = {}
        done = {name for name in graph.nodes if name in state.steps and self._is_done(name)}
        for name, node in graph.nodes.items():
            if name in done:
                continue
            upstream = node.upstream()
            for up in upstream:
                self._below[up].append(name)
            self._waiting[name] = sum(up not in done for up in upstream)
            if not self._waiting[name]:
                self._ready.append(name)

    @property
    def idle(self) -> bool:
        """Whether `decide` has nothing to decide now."""
        return not self._ready

    def decide(self) -> list[Decision]:
        """All decisions that can be made now, in order; calling again without news gives none."""
        decisions: list[Decision] = []
        while self._ready:
            decisions += self._decide(self.graph.nodes[self._ready.popleft()])
        return decisions

    def settled(self, step: str) -> None:
        """Tell that a step has succeeded, failed for good, or been skipped."""
        for name in self._below[step]:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                self._ready.append(name)

    def item_settled(self, step: str) -> list[Decision]:
        """Tell that an item has succeeded; the decision to collect once all have."""
        self._open_items[step] -= 1
        return [] if self._open_items[step] else [Collect(step)]

    def _decide(self, node: Node) -> list[Decision]:
        culprit = next((up for up in node.upstream() if self._failed(up)), None)
        if culprit is not None:
            self.blocked[node.name] = self.blocked.get(culprit, culprit)
            self.settled(node.name)
            return []
        needed = dict.fromkeys([*node.data_from(), *node.asks()])
        gone = next(
            (up for up in needed if self.state.steps[up].state in (StepStatus.SKIPPED, StepStatus.FAILED)), None
        )
        if gone is not None:
            how = "was skipped" if self.state.steps[gone].state == StepStatus.SKIPPED else "failed, as it may"
            return self._skip(node, f"step {gone}, whose output it needs, {how}")
        try:
            for condition in node.when:
                if not evaluate(condition, self.value_of):
                    return self._skip(node, f"{condition} is false{self._seen(condition)}")
            return self._expand(node) if node.mapped else [Start((node.name, None))]
        except (TypeError, ValueError, LookupError, TrikkError) as error:
            return [Refuse(node.name, f"{type(error).__name__}: {error}")]

    def _expand(self, node: Node) -> list[Decision]:
        assert node.mapped is not None
        count = self.length_of(node.arguments[node.mapped])
        items = self.state.steps[node.name].items
        open_items = [i for i in range(count) if i not in items or items[i].state != StepStatus.SUCCEEDED]
        self._open_items[node.name] = len(open_items)
        starts: list[Decision] = [Start((node.name, i)) for i in open_items]
        return [Expand(node.name, count), *(starts or [Collect(node.name)])]

    def _skip(self, node: Node, reason: str) -> list[Decision]:
        return [Skip(node.name, reason)]

    def _is_done(self, step: str) -> bool:
        return self.state.steps[step].state == StepStatus.SUCCEEDED or self.state.steps[step].allowed

    def _failed(self, step: str) -> bool:
        """Whether what comes after a step can't run."""
        state = self.state.steps[step]
        return step in self.blocked or (
            state.state in (StepStatus.FAILED, StepStatus.CANCELLED) and not state.allowed
        )

    def _seen(self, condition: Condition) -> str:
        if len(condition.operands) != 2:
            return ""
        left, right = (self.value_of(o) for o in condition.operands)
        return f" ({left!r} against {right!r})"
