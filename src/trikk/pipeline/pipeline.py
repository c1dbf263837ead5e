"""Pipelines: functions whose body is run once, with stand-ins for values, to find out what should happen."""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn, ParamSpec, Protocol, Self, TypeVar, overload

from trikk.core.durations import Duration, seconds
from trikk.core.errors import DefinitionError, ParameterError, TrikkError
from trikk.core.names import check_name
from trikk.core.values import JSON
from trikk.pipeline import typechecks
from trikk.pipeline.arguments import ParameterRef
from trikk.pipeline.arrivals import check_written
from trikk.pipeline.graph import Graph, ParameterSpec
from trikk.pipeline.holds.approval import check_awaited
from trikk.pipeline.location import caller, check_plain, defining, of_function
from trikk.pipeline.parameters.parameter_kinds import kind_of
from trikk.pipeline.policies import Retry
from trikk.pipeline.step import Step
from trikk.pipeline.symbols import Parameter
from trikk.pipeline.tracing import Trace, current, tracing

P = ParamSpec("P")
R = TypeVar("R")

_KINDS = "bool, int, float, str, date, datetime, Event, an Enum, a Literal, a list of these, or `X | None`"


class Trigger(Protocol):
    """What starts runs of a pipeline by itself; its kinds are in `trikk.triggers`, which knows of pipelines."""

    @property
    def name(self) -> str:
        """Its name, unique in a project."""

    def for_pipeline(self, graph: Graph, where: str) -> Self:
        """The trigger as that of a pipeline; DefinitionError if that can't be run by it."""

    def to_json(self) -> dict[str, JSON]:
        """The trigger as JSON."""


class Pipeline:
    """A traced pipeline.

    Attributes:
        name: the pipeline's name.
        graph: what happens in a run.
        steps: for each node its `Step`, or None for a table write; what a worker calls.
        where: `file:line` of the definition.
        triggers: what starts its runs, each with its name.
    """

    def __init__(
        self,
        function: Callable[..., object],
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        triggers: Iterable[Trigger] = (),
        pools: Iterable[str] = (),
        where: str | None = None,
    ) -> None:
        check_plain("pipeline", function, next="its body runs once, when it is defined: make it a plain function")
        self.where = where or of_function(function)
        self.name = check_name("pipeline", function.__name__ if name is None else name, where=self.where)
        self.function = function
        with defining(self.where):
            limit = None if timeout is None else seconds(timeout, what="timeout")
        trace = Trace(self.name, {"retry": retry, "timeout": limit})
        hints = typechecks.annotations_of(function)
        specs = tuple(self._spec(p, hints) for p in inspect.signature(function).parameters.values())
        arguments = {s.name: Parameter(ParameterRef(s.name), hints[s.name]) for s in specs}
        if current() is not None:
            raise DefinitionError(
                "a pipeline can't be defined inside another", where=self.where, next="define it beside the other"
            )
        with tracing(trace):
            self._trace(function, arguments)
        check_awaited(self.name, trace.nodes)
        check_written(self.name, trace.arrivals, trace.nodes)
        doc = (inspect.getdoc(function) or "").partition("\n")[0]
        self.graph = Graph.build(self.name, specs, trace.nodes, doc, self._pools(pools))
        self.steps: Mapping[str, Step[..., Any] | None] = trace.steps
        functools.update_wrapper(self, function)
        if not trace.nodes:
            raise DefinitionError(
                f"pipeline {self.name} has no steps", where=self.where, next="call a step in its body"
            )
        self.triggers = tuple(self._triggers(triggers))

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Refused, with the ways to run it."""
        raise DefinitionError(
            f"pipeline {self.name} is not called",
            where=caller(),
            next=f"run it: `trikk run {self.name}`, or trikk.testing.run_inline({self.name}, ...) in a test",
        )

    def __repr__(self) -> str:
        return f"<pipeline {self.name}: {len(self.graph.nodes)} steps>"

    def _spec(self, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> ParameterSpec:
        name = parameter.name
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            raise DefinitionError(
                f"pipeline {self.name} takes *{name}", where=self.where, next="name each parameter, with its type"
            )
        kind = kind_of(hints.get(name))
        if kind is None:
            shown = typechecks.show(hints[name]) if name in hints else "no annotation"
            raise DefinitionError(
                f"parameter {name!r} of pipeline {self.name} has {shown}",
                where=self.where,
                next=f"annotate it as {_KINDS}",
            )
        # A worker finds an Enum by its module and name.
        if "<locals>" in str(kind.to_json()):
            raise DefinitionError(
                f"parameter {name!r} of pipeline {self.name} is an Enum that is defined inside a function",
                where=self.where,
                next="define it at the top level of a module, where workers find it",
            )
        if parameter.default is inspect.Parameter.empty:
            return ParameterSpec(name, kind, required=True)
        try:
            return ParameterSpec(name, kind, required=False, default=kind.check(parameter.default))
        except ParameterError as error:
            raise DefinitionError(
                f"the default {parameter.default!r} of parameter {name!r} of pipeline {self.name} is not {kind}",
                where=self.where,
                next=error.next,
            ) from error

    def _pools(self, pools: object) -> tuple[str, ...]:
        if not isinstance(pools, list | tuple):
            mend = 'write a list of names: pools=["warehouse"]'
            raise DefinitionError(f"pools={pools!r} of pipeline {self.name}", where=self.where, next=mend)
        return tuple(sorted({check_name("pool", pool, where=self.where) for pool in pools}))

    def _triggers(self, triggers: object) -> Iterator[Trigger]:
        listed = list(triggers) if isinstance(triggers, list | tuple) else [triggers]
        names: set[str] = set()
        for given in listed:
            if not hasattr(given, "for_pipeline"):
                raise DefinitionError(
                    f"{given!r} is no trigger of pipeline {self.name}",
                    where=self.where,
                    next='from trikk.triggers import Cron; @pipeline(triggers=[Cron("0 4 * * *")])',
                )
            trigger: Trigger = given.for_pipeline(self.graph, self.where)
            if trigger.name in names:
                raise DefinitionError(
                    f"two triggers of pipeline {self.name} are named {trigger.name!r}",
                    where=self.where,
                    next='give each a name of its own: name="..."',
                )
            names.add(trigger.name)
            yield trigger

    def _trace(self, function: Callable[..., object], arguments: dict[str, Any]) -> None:
        try:
            function(**arguments)
        except TrikkError as error:
            error.where = error.where or _author_line(error, function)
            raise
        # A step that is defined further down, or an output used before its call: a cycle can't be written
        # otherwise.
        except NameError as error:
            where = _author_line(error, function)
            raise DefinitionError(
                f"pipeline {self.name}: {error}",
                where=where,
                next="define steps above the pipeline; using a later step's or one's own output is a cycle",
            ) from error
        except Exception as error:
            mend = "its body only wires steps together: move computing into a step"
            # Arguments that a call does not take are refused by Python in the caller's own frame.
            if (
                isinstance(error, TypeError)
                and traceback.extract_tb(error.__traceback__)[-1].name == function.__name__
            ):
                mend = f"correct the call in that line, if it is one; {mend}"
            raise DefinitionError(
                f"pipeline {self.name} can't be traced: {type(error).__name__}: {error}",
                where=_author_line(error, function),
                next=mend,
            ) from error


def _author_line(error: BaseException, function: Callable[..., object]) -> str:
    file = function.__code__.co_filename
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return f"{file}:{lines[-1]}" if lines else of_function(function)


def parameters_for(graph: Graph, parameters: Mapping[str, object], *, text: bool = False) -> dict[str, JSON]:
    """Check a run's parameters against a pipeline and fill in defaults; the values are the kinds' JSON.

    Args:
        graph: the pipeline's graph.
        parameters: values by name; real ones, or texts as written on a command line if `text`.
        text: whether the values are texts.

    Raises:
        ParameterError: if one is unknown, missing or does not fit; all mistakes are named at once.
    """
    checked, wrong = checked_parameters(graph, parameters, text=text)
    problems = [f"{name}: {problem}" for name, problem in wrong.items()]
    if problems:
        usage = " ".join(f"-p {s.name}=..." for s in graph.parameters if s.required)
        raise ParameterError(
            f"pipeline {graph.pipeline} can't be run with these parameters: " + "; ".join(problems),
            next=f"trikk run {graph.pipeline} {usage}".rstrip(),
        )
    return checked


def checked_parameters(
    graph: Graph, parameters: Mapping[str, object], *, text: bool = False
) -> tuple[dict[str, JSON], dict[str, str]]:
    """What `parameters_for` gives, and by name what is wrong with others; arguments as there."""
    specs = {s.name: s for s in graph.parameters}
    names = ", ".join(specs) or "none"
    # All mistakes at once: who corrects a command line wants to do it once.
    problems = {name: f"no such parameter (there are: {names})" for name in parameters if name not in specs}
    checked: dict[str, JSON] = {}
    for name, spec in specs.items():
        if name not in parameters:
            if spec.required:
                problems[name] = f"missing; give {spec.kind.expected()}"
            else:
                checked[name] = spec.default
            continue
        try:
            value = parameters[name]
            checked[name] = spec.kind.from_text(str(value)) if text else spec.kind.check(value)
        except ParameterError as error:
            problems[name] = f"{error.what}; {error.next}"
    return checked, problems


@overload
def pipeline(function: Callable[P, R], /) -> Pipeline: ...
@overload
def pipeline(
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: Duration | None = None,
    triggers: Iterable[Trigger] = (),
    pools: Iterable[str] = (),
) -> Callable[[Callable[P, R]], Pipeline]: ...


def pipeline(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a pipeline; use as `@pipeline` or `@pipeline(retry=Retry(3))`.

    The function's arguments are the pipeline's parameters. Its body runs once, at definition, to record the steps
    it calls.

    Args:
        function: the function.
        **options: the following.
        name: instead of the function's own.
        retry: of steps that have none of their own.
        timeout: of steps that have none of their own, for one attempt.
        triggers: what starts its runs when `trikk serve` looks after the project: see `trikk.triggers`.
        pools: in each of which a run takes a place while it goes on, if `trikk serve` starts it: `[pools]` in
            trikk.toml says how many there are.

    Raises:
        DefinitionError: if the body or a parameter can't work, with file, line and what to do.
    """
    if function is not None:
        return Pipeline(function)
    return lambda f: Pipeline(f, **options)
