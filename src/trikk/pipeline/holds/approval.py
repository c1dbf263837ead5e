"""Approvals: steps that ask people, and that nothing but a person's decision, or its expiry, ends."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from trikk.core.durations import Duration, seconds
from trikk.core.errors import DefinitionError
from trikk.core.names import check_name
from trikk.core.text import printable
from trikk.pipeline.arguments import Argument, ModelRef, OutputRef, TableRef, walk
from trikk.pipeline.graph import Node, OnExpiry, OnRefusal, Question
from trikk.pipeline.location import caller, defining
from trikk.pipeline.symbols import Output
from trikk.pipeline.tracing import current, step_names

NAME = "approval"


def approval(
    question: str,
    *,
    shows: Mapping[str, object] | None = None,
    expires: Duration | None = None,
    on_expiry: Literal["refuse", "approve"] = "refuse",
    on_refusal: Literal["skip", "fail"] = "skip",
    name: str | None = None,
    after: object = (),
) -> Any:
    """Ask people, and wait for their decision: minutes or days, across restarts, without a process that waits.

    In a run the answer is True or False. `with when(ok):` and `after=ok` let steps wait for a yes; after a refusal
    they are skipped, or the run fails. `with when(~ok):` runs after a refusal. A step that is given `ok` as an
    argument runs whatever was decided.

    People decide by `trikk approve RUN --why ...` and `trikk refuse RUN --why ...`; who, when and why is recorded.
    A replay takes the decision as it was.

    Args:
        question: what is to be decided, such as "publish the model?".
        shows: outputs of steps, parameters and plain values by name, for whoever decides; they are asked for when
            these are there.
        expires: how long to wait, in seconds or as a text such as "3d"; for ever if not given.
        on_expiry: what is decided then, "refuse" or "approve".
        on_refusal: "skip" what waits for a yes, or "fail" the run.
        name: the step's name; "approval", "approval-2", ... if not given.
        after: steps that must be over before people are asked.

    Raises:
        DefinitionError: outside of a pipeline, or if an argument can't work.
    """
    where = caller()
    trace = current()
    if trace is None:
        raise DefinitionError(
            "approval() has no meaning outside of a pipeline", where=where, next="call it in a pipeline's body"
        )
    with defining(where):
        step = check_name("step", NAME if name is None else name)
        limit = None if expires is None else seconds(expires, what="expires")
    _check(question, on_expiry, on_refusal, limit, where)
    shown = {
        key: trace.argument(value, f"{key!r}, which an approval shows") for key, value in (shows or {}).items()
    }
    _check_shown(shown, where)
    node = Node(
        name=trace.name_for(step, approval if name is None else object()),
        function="trikk:approval",
        arguments=shown,
        after=step_names(after),
        when=tuple(trace.conditions),
        question=Question(question, limit, OnExpiry(on_expiry), OnRefusal(on_refusal)),
        where=where,
    )
    trace.add(node, None)
    return Output(OutputRef(node.name), bool)


def _check(question: object, on_expiry: str, on_refusal: str, limit: float | None, where: str) -> None:
    problem = mend = ""
    if not isinstance(question, str) or not question.strip() or printable(question) != question:
        problem, mend = f"{question!r} is no question", 'ask in one line: approval("publish the model?")'
    elif on_expiry not in [*OnExpiry]:
        problem, mend = f"on_expiry={on_expiry!r}", 'use "refuse" or "approve"'
    elif on_refusal not in [*OnRefusal]:
        problem, mend = f"on_refusal={on_refusal!r}", 'use "skip" or "fail"'
    elif limit == 0:
        problem, mend = "an approval that expires at once", 'give it time: expires="3d"'
    elif limit is None and on_expiry == OnExpiry.APPROVE:
        problem, mend = 'on_expiry="approve" without an expiry', 'say when: expires="3d"'
    if problem:
        raise DefinitionError(problem, where=where, next=mend)


def _check_shown(shown: Mapping[str, Argument], where: str) -> None:
    for name, argument in shown.items():
        if any(isinstance(part, TableRef | ModelRef) for part in walk(argument)):
            raise DefinitionError(
                f"an approval can't show {name!r}, a table or a model",
                where=where,
                next="show a figure of it that a step returns",
            )


def check_awaited(pipeline: str, nodes: Collection[Node]) -> None:
    """Raise DefinitionError if a pipeline asks something that nothing waits for: it would go on without an answer.

    The last step of a pipeline may ask, if the run fails when it is refused.
    """
    awaited = {name for node in nodes for name in node.upstream()}
    for number, node in enumerate(nodes, 1):
        ends = number == len(nodes) and node.question is not None and node.question.on_refusal == OnRefusal.FAIL
        if node.question is not None and node.name not in awaited and not ends:
            raise DefinitionError(
                f"nothing in pipeline {pipeline} waits for {node.name}: it would go on without an answer",
                where=node.where,
                next=f"put what waits into `with when({node.name}):`, or give it after={node.name}",
            )
