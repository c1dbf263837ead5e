"""Steps: functions that stay functions, and that record a node when a pipeline's body calls them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from trikk.core.durations import Duration, seconds
from trikk.core.errors import DefinitionError, UsageError
from trikk.core.names import check_name
from trikk.core.values import decode
from trikk.pipeline import typechecks
from trikk.pipeline.arguments import Argument, Constant, Group, OutputRef, TableRef
from trikk.pipeline.graph import Node, Role
from trikk.pipeline.location import caller, check_plain, defining, of_function
from trikk.pipeline.policies import Cache, Resources, Retry
from trikk.pipeline.symbols import Output, Symbol
from trikk.pipeline.tracing import Trace, current, step_names

P = ParamSpec("P")
R = TypeVar("R")


class Step(Generic[P, R]):
    """A function that can be a step of pipelines. Outside of a pipeline's body it is just that function.

    Attributes:
        function: the author's function.
        name: the name that its nodes get.
        role: what it is to the project; None for an author's own step.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        resources: Resources | None = None,
        cache: Cache | bool = False,
        source: bool = False,
        effect: bool = False,
        allow_failure: bool = False,
        role: Role | None = None,
        after: object = (),
    ) -> None:
        check_plain("step", function, next="a step returns its result: make it a plain function")
        where = of_function(function)
        self.function = function
        self.name = check_name("step", function.__name__ if name is None else name, where=where)
        self._explicit = False  # whether an author chose the name for one call
        self.retry = retry
        with defining(where):
            self.timeout = None if timeout is None else seconds(timeout, what="timeout")
        self.resources = resources or Resources()
        self.cache = Cache() if cache is True else (cache or None)
        self.source = source
        self.effect = effect
        self.allow_failure = allow_failure
        self.role = role
        if effect and self.cache:
            raise DefinitionError(
                f"step {self.name} has an effect, which a cached result would leave out",
                where=where,
                next="drop cache= or effect=",
            )
        self.after = after
        self.signature = inspect.signature(function)
        functools.update_wrapper(self, function)

    @functools.cached_property
    def types(self) -> dict[str, Any]:
        """The function's annotations, resolved."""
        return typechecks.annotations_of(self.function)

    def annotation_of(self, name: str) -> Any:
        """The annotation of an argument, also of one that `**` takes; a text if it can't be resolved, else Any."""
        if name not in self.signature.parameters:
            kinds = ((p.kind, p.name) for p in self.signature.parameters.values())
            name = next((n for kind, n in kinds if kind is inspect.Parameter.VAR_KEYWORD), name)
        return self.types.get(name, Any)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function; in a pipeline's body, record a node and return a stand-in for its result."""
        trace = current()
        if trace is None:
            return self.function(*args, **kwargs)
        # An author's own argument of that name is theirs; `.options(after=...)` is left for the order.
        after = kwargs.pop("after", ()) if "after" not in self.signature.parameters else ()
        return cast("R", self._record(trace, args, kwargs, after, mapped=None))

    def map(self, items: object, /, **fixed: object) -> Any:
        """Run the step once for each item of a list whose length may be known only in the run.

        Args:
            items: a list output of a step, a list parameter, or a list; each item becomes the step's
                first argument.
            **fixed: the other arguments, the same for every item.

        Returns:
            The list of the results in the order of the items.

        Raises:
            DefinitionError: if the step takes no such arguments.
        """
        trace = current()
        if trace is None:
            return [cast("Any", self.function)(item, **fixed) for item in cast("Any", items)]
        names = list(self.signature.parameters)
        if not names:
            raise DefinitionError(
                f"step {self.name} takes no argument to map over",
                where=caller(),
                next="give it one: it gets an item of the list each time",
            )
        after = fixed.pop("after", ()) if "after" not in names else ()
        return self._record(trace, (items,), fixed, after, mapped=names[0])

    def options(
        self,
        *,
        name: str | None = None,
        after: object = (),
        retry: Retry | None = None,
        timeout: Duration | None = None,
        resources: Resources | None = None,
        cache: Cache | bool | None = None,
        allow_failure: bool | None = None,
    ) -> Step[P, R]:
        """The same step with other options for this call; what is not given stays as it is.

        Raises:
            UsageError: if an option is out of its range.
        """
        own = self.cache if cache is None else cache
        try:
            changed = Step(
                self.function,
                name=self.name if name is None else name,
                retry=retry or self.retry,
                timeout=self.timeout if timeout is None else timeout,
                resources=resources or self.resources,
                cache=own or False,
                source=self.source,
                effect=self.effect,
                allow_failure=self.allow_failure if allow_failure is None else allow_failure,
                role=self.role,
                after=after,
            )
        except UsageError as error:
            error.where = caller()
            raise
        # A name that was chosen for one call is meant: a second of it is a mistake and does not become `name-2`.
        changed._explicit = name is not None
        return changed

    def _record(
        self, trace: Trace, args: tuple[object, ...], kwargs: dict[str, Any], after: object, *, mapped: str | None
    ) -> Output:
        where = caller()
        bound = self._bind(args, kwargs, where)
        # Every argument by its name: the graph, cache keys and `trikk show` know no positions.
        given = {name: trace.argument(value, f"argument {name!r} of {self.name}") for name, value in bound.items()}
        self._check_types(bound, given, mapped, where)
        name = trace.name_for(self.name, self.function)
        if self._explicit and name != self.name:
            raise DefinitionError(
                f"two steps are named {self.name!r}", where=where, next='choose another: .options(name="...")'
            )
        returned = self.types.get("return", inspect.Parameter.empty)
        parts, fields = typechecks.tuple_parts(returned) if mapped is None else ((), ())
        retry = self.retry or trace.defaults.get("retry")
        node = Node(
            name=name,
            function=f"{self.function.__module__}:{self.function.__qualname__}",
            arguments=given,
            outputs=len(parts) or None,
            mapped=mapped,
            after=tuple(dict.fromkeys([*step_names(after), *step_names(self.after)])),
            when=tuple(trace.conditions),
            retry=retry.to_json() if retry else None,
            timeout=self.timeout if self.timeout is not None else trace.defaults.get("timeout"),
            resources=self.resources.to_json(),
            cache=self.cache.to_json() if self.cache else None,
            source=self.source,
            effect=self.effect,
            allow_failure=self.allow_failure,
            role=str(self.role or ""),
            where=where,
        )
        trace.add(node, self)
        return Output(OutputRef(name), list[returned] if mapped else returned, parts, fields)  # type: ignore[valid-type]

    def _bind(self, args: tuple[object, ...], kwargs: dict[str, Any], where: str) -> dict[str, object]:
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise DefinitionError(
                f"step {self.name} can't be called like this: {error}",
                where=where,
                next=f"its arguments are {self.signature}",
            ) from None
        flat: dict[str, object] = {}
        for name, value in bound.arguments.items():
            kind = self.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                raise DefinitionError(
                    f"step {self.name} takes *{name}", where=where, next="give it one list argument instead"
                )
            if kind is inspect.Parameter.POSITIONAL_ONLY:
                raise DefinitionError(
                    f"step {self.name} takes {name!r} by position only", where=where, next="remove the / after it"
                )
            flat.update(value if kind is inspect.Parameter.VAR_KEYWORD else {name: value})
        return flat

    def _check_types(
        self, bound: dict[str, object], given: dict[str, Argument], mapped: str | None, where: str
    ) -> None:
        for name, argument in given.items():
            wanted = self.annotation_of(name)
            value = bound[name]
            # A mapped argument is annotated as one item, and given as the list of all.
            if name == mapped:
                self._check_mapped(value, where)
            elif not isinstance(wanted, str) and (misfit := _misfit(value, argument, wanted)):
                raise DefinitionError(
                    f"argument {name!r} of step {self.name} wants {typechecks.show(wanted)}, not {misfit}",
                    where=where,
                    next="pass a value of that type, or change the annotation",
                )

    def _check_mapped(self, value: object, where: str) -> None:
        if isinstance(value, Symbol):
            good = any(typechecks.may_become(value.symbol_annotation, kind) for kind in (list, tuple))
        else:
            good = isinstance(value, list | tuple)
        if not good:
            shown = (
                f"{value.symbol_label} ({typechecks.show(value.symbol_annotation)})"
                if isinstance(value, Symbol)
                else value
            )
            raise DefinitionError(
                f"{self.name}.map wants a list, not {shown}",
                where=where,
                next="map over a list, a parameter that is a list, or the output of a step that returns one",
            )


def _misfit(value: object, argument: Argument, wanted: object) -> str | None:
    """What an argument is, in words, if it is surely not what the annotation wants; else None."""
    if isinstance(argument, Constant):
        return None if typechecks.fits(decode(argument.value), wanted) else repr(value)
    if isinstance(argument, TableRef):
        return None if typechecks.may_be_frame(wanted) else f"the rows of table {argument.table}"
    if isinstance(value, Symbol):
        good = typechecks.may_become(value.symbol_annotation, wanted)
        return None if good else f"{value.symbol_label} ({typechecks.show(value.symbol_annotation)})"
    if isinstance(argument, Group):
        kind = dict if argument.keys is not None else tuple if argument.is_tuple else list
        return None if typechecks.may_become(kind, wanted) else f"a {kind.__name__}"
    return None


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: Duration | None = None,
    resources: Resources | None = None,
    cache: Cache | bool = False,
    source: bool = False,
    effect: bool = False,
    allow_failure: bool = False,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...


def step(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a step; use as `@step` or `@step(retry=Retry(4), timeout="10m")`.

    Args:
        function: the function; it stays callable and testable as it is.
        **options: the following.
        name: instead of the function's own.
        retry: a `Retry`; the pipeline's default if not given.
        timeout: how long one attempt may take, in seconds or as a text such as "10m"; then its whole process group
            is ended.
        resources: a `Resources`; one core if not given.
        cache: True or a `Cache` to reuse an earlier run's result when nothing it depends on has changed.
        source: True if the step reads from outside (a database, a service): a replay takes its result as it was.
        effect: True if the step changes something outside (sends, registers, pays): a replay takes its result as
            it was and does not do it again.
        allow_failure: True if the run goes on when the step has failed for good, whatever the reason: steps that
            need its output are skipped, steps that only come `after` it run, and the run succeeds if nothing
            else fails.

    Raises:
        DefinitionError: if the function can't be a step.
        UsageError: if an option is out of its range.
    """
    if function is not None:
        return Step(function)
    return lambda f: Step(f, **options)
