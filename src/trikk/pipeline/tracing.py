"""The pipeline that is being traced right now: what `step(...)`, `table.append(...)` and `when` add to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from trikk.core.errors import DefinitionError, UsageError
from trikk.core.values import encode
from trikk.pipeline.arguments import Argument, Constant, Group, ModelRef, OutputRef, TableRef
from trikk.pipeline.arrivals import Arrival
from trikk.pipeline.condition import Condition, condition_of
from trikk.pipeline.graph import Node, OnRefusal
from trikk.pipeline.holds.gating import Hold, held_back, hold_of, replaced_by
from trikk.pipeline.location import caller
from trikk.pipeline.symbols import Output, Symbol


@dataclass(slots=True)
class Trace:
    """The nodes recorded so far, with what their names and order need."""

    pipeline: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    steps: dict[str, Any] = field(default_factory=dict)  # node name -> Step, for the worker
    writes: dict[str, list[str]] = field(default_factory=dict)  # table -> names of the nodes that write it
    arrivals: list[Arrival] = field(default_factory=list)  # steps that read what a table has not taken in yet
    holds: list[Hold] = field(default_factory=list)  # steps for which others below them wait
    _bases: dict[str, object] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def name_for(self, base: str, owner: object) -> str:
        """A node name from a step's own name: `fit`, then `fit-2` when the same step is called again.

        Raises:
            DefinitionError: if another step of that name was called before.
        """
        # Two functions of one name: `fit` and `fit-2` would hide which is which, and swap when lines move.
        if self._bases.setdefault(base, owner) != owner:
            raise DefinitionError(
                f"two different steps are named {base!r}",
                where=caller(),
                next=f'name one of them: @step(name="...") or {base}.options(name="...")(...)',
            )
        count = self._counts[base] = self._counts.get(base, 0) + 1
        return base if count == 1 else f"{base}-{count}"

    def argument(self, value: object, what: str) -> Argument:
        """Turn what the author passed into an edge of the graph.

        Raises:
            DefinitionError: if it is neither a stand-in, a table nor a plain value.
        """
        if isinstance(value, Symbol):
            # Before any look at attributes: a stand-in refuses to be asked for one.
            return value.symbol_argument
        if isinstance(value, Condition):
            raise DefinitionError(
                f"{what} is a condition", where=caller(), next="pass the output itself and compare inside the step"
            )
        table = getattr(value, "table_name", None)
        if isinstance(table, str):
            optional = bool(getattr(value, "optional", False))
            # Only the writes above this line: a body is read from above to below, as any function.
            return TableRef(table, tuple(self.writes.get(table, ())), optional)
        model = getattr(value, "model_reference", None)
        if isinstance(model, str):
            return ModelRef(model, bool(getattr(value, "optional", False)))
        if _has_stand_ins(value):
            if isinstance(value, dict):
                if not all(isinstance(k, str) for k in value):
                    raise DefinitionError(
                        f"{what} has a key that is not a text", where=caller(), next="use texts as keys"
                    )
                items = tuple(self.argument(v, f"{what}[{k!r}]") for k, v in value.items())
                return Group(items, tuple(value))
            assert isinstance(value, list | tuple)
            items = tuple(self.argument(v, f"{what}[{i}]") for i, v in enumerate(value))
            return Group(items, is_tuple=isinstance(value, tuple))
        try:
            return Constant(encode(value))
        except UsageError as error:
            raise DefinitionError(
                f"{what} is {error.what}, so it can't be part of a pipeline's definition",
                where=caller(),
                next="return it from a step, or " + (error.next or ""),
            ) from error

    def add(self, node: Node, step: Any) -> None:
        """Record a node, and its step for whoever runs it."""
        # Before it is recorded: a gate below this line has no say over it.
        if (gate := replaced_by(node, self.holds)) is not None:
            raise DefinitionError(
                f"step {node.name} is given the rows that {gate} sorts, the bad ones among them",
                where=node.where,
                next="give it the good ones: good, rejected, result = quality_gate(...)",
            )
        self.nodes.append(held_back(self._approved(node), self.holds))
        self.steps[node.name] = step

    def _approved(self, node: Node) -> Node:
        """The node; one that comes after an approval waits for a yes, unless it has a condition on it itself."""
        refusable = [
            asking.name
            for asking in self.nodes
            if asking.question is not None
            and asking.question.on_refusal == OnRefusal.SKIP
            and asking.name in node.after
            and asking.name not in node.asks()
        ]
        granted = [Condition("true", (OutputRef(name),)) for name in refusable]
        return replace(node, when=(*node.when, *granted)) if granted else node

    def hold(self, argument: str, *, replaced: bool = False) -> None:
        """Let what is recorded from now on wait for the last node, if it uses what that is given as `argument`.

        Args:
            argument: the argument's name.
            replaced: whether an output of that node takes its place, so that no later step may be given it.
        """
        gate = self.nodes[-1]
        self.holds.append(hold_of(gate, gate.arguments[argument], self.nodes, replaced=replaced))


_NAMED = ("table_name", "model_reference")  # what a Table and a Model are known by


def _has_stand_ins(value: object) -> bool:
    if isinstance(value, Symbol) or any(isinstance(getattr(value, n, None), str) for n in _NAMED):
        return True
    if isinstance(value, dict):
        return any(_has_stand_ins(v) for v in value.values())
    return isinstance(value, list | tuple) and any(_has_stand_ins(v) for v in value)


# A context variable, so that threads that import pipelines at once don't trace into each other.
_CURRENT: ContextVar[Trace | None] = ContextVar("trikk_trace", default=None)


def current() -> Trace | None:
    """The trace in progress, or None outside of a pipeline's body."""
    return _CURRENT.get()


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """Make `trace` the one in progress."""
    token = _CURRENT.set(trace)
    try:
        yield trace
    finally:
        _CURRENT.reset(token)


def step_names(after: object) -> tuple[str, ...]:
    """Names of the steps whose outputs were given as `after=`: one, or a list.

    Raises:
        DefinitionError: if something else was given.
    """
    items: Iterable[object] = after if isinstance(after, list | tuple) else [after]
    found = []
    for item in items:
        if not (isinstance(item, Output) and isinstance(item.symbol_argument, OutputRef)):
            raise DefinitionError(
                f"after={item!r} is not a step",
                where=caller(),
                next="give what calling a step returned: after=loaded",
            )
        found.append(item.symbol_argument.step)
    return tuple(dict.fromkeys(found))


def when(condition: object) -> AbstractContextManager[None]:
    """Run the steps of this block only if the condition holds in the run; otherwise they are skipped.

    A step that is given an output of a skipped step is skipped too; one that only comes `after=` it is not.

    Args:
        condition: a comparison of a step's output or a parameter, such as `score["mae"] <= limit`, several
            joined by `&`, `|`, `~`, or an output or parameter itself, which is then tested for truth.

    Raises:
        DefinitionError: outside of a pipeline, or if the condition is known already.
    """
    trace = current()
    if trace is None:
        raise DefinitionError("when() has no meaning outside of a pipeline", where=caller(), next="use if")
    return _block(trace, condition_of(condition))


@contextmanager
def _block(trace: Trace, condition: Condition) -> Iterator[None]:
    trace.conditions.append(condition)
    try:
        yield
    finally:
        trace.conditions.pop()
