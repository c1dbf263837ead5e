"""A graph as the states of a machine: jobs after and beside each other, choices where a job need not start.

The Amazon States Language, in JSONPath: https://states-language.net/spec.html. Nothing passes through the
machine but the parameters: what steps give each other goes through the artifact store, so that no payload grows
with the data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trikk.core.digests import digest_bytes
from trikk.core.values import JSON
from trikk.pipeline.arguments import Argument, OutputRef, ParameterRef
from trikk.pipeline.condition import Condition
from trikk.pipeline.graph import Graph, Node
from trikk.targets.step_functions.choice_rules import Rule, false_rule, path_in_outcome, steps_asked
from trikk.targets.step_functions.series_parallel import Part, Together, series_parallel
from trikk.targets.step_functions.state_texts import Text, fields

State = dict[str, Any]
States = dict[str, State]
_LONGEST_NAME = 80
_LONGEST_ASKED = 30  # characters of another step's name within a state's
_MARK = 6  # of a digest
_MOST_ASKED = 3  # steps whose outcomes one choice reads: together they stay far below a payload's limit
_SEEN = "$.seen"  # where outcomes are while a choice looks at them
_PLAIN_KINDS = ("bool", "int", "float", "str")
_FAILED_AS_IT_MAY = "failed, as it may"
SKIPPED = "skipped"
"""How the state is named, after its step, in which a step is skipped without a job."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """What the machine has to know of jobs.

    Attributes:
        tasks: by step the `Task` state without `Next`, `Catch` and name.
        outcomes: the bucket, and the key before `STEP/outcome.json`, where jobs leave their outcome.
        asked: the steps whose jobs do.
        topic: where failures are told; "" for nowhere.
    """

    tasks: Mapping[str, State]
    outcomes: tuple[Text, Text]
    asked: Collection[str] = ()
    topic: str = ""


def state_name(step: str, after: str = "") -> str:
    """What a state is called: the step's name, and what the state does for it; at most 80 characters."""
    rest = f": {after}" if after else ""
    return shortened(step, _LONGEST_NAME - len(rest)) + rest


def shortened(name: str, longest: int) -> str:
    """A name of at most so many characters; one that is cut ends in a piece of its digest."""
    if len(name) <= longest:
        return name
    return f"{name[: longest - _MARK - 1]}-{digest_bytes(name.encode())[:_MARK]}"


def asked_steps(graph: Graph) -> set[str]:
    """The steps whose outcomes choices read."""
    return {
        step
        for node in graph.nodes.values()
        for condition, _ in _decidable(graph, node)
        for step in steps_asked(condition)
    }


def machine(graph: Graph, jobs: Jobs, entry: list[tuple[str, State]], comment: str) -> dict[str, JSON]:
    """The definition.

    Args:
        graph: the pipeline.
        jobs: what its jobs are.
        entry: the states that come first, by name, without their `Next` where it is the next of them.
        comment: for people.
    """
    start, states = _Builder(graph, jobs).part(series_parallel(graph), None)
    names = [name for name, _ in entry]
    first = {
        name: state if "Choices" in state or state["Type"] == "Fail" else {**state, "Next": following}
        for (name, state), following in zip(entry, [*names[1:], start], strict=True)
    }
    return {"Comment": comment, "StartAt": names[0], "States": {**first, **states}}


def _decidable(graph: Graph, node: Node) -> Iterator[tuple[Condition, Rule]]:
    """The conditions of a node that a choice can find false, each with its rule."""
    for condition in node.when:
        rule = false_rule(condition, lambda argument: _path_of(graph, argument))
        sources = steps_asked(condition)
        if rule is not None and len(sources) <= _MOST_ASKED:
            yield condition, rule


def _path_of(graph: Graph, argument: Argument) -> str | None:
    if isinstance(argument, ParameterRef):
        kind = next(spec.kind.name for spec in graph.parameters if spec.name == argument.name)
        return f"$.p.{argument.name}" if kind in _PLAIN_KINDS else None
    if isinstance(argument, OutputRef):
        place = list(graph.nodes).index(argument.step)
        return path_in_outcome(graph, argument, f"{_SEEN}.s{place}.outcome")
    return None


class _Builder:
    """Makes the states of parts, from the last to the first, so that each knows what is next."""

    def __init__(self, graph: Graph, jobs: Jobs) -> None:
        self._graph = graph
        self._jobs = jobs
        self._number = 0

    def part(self, part: Part, following: str | None) -> tuple[str, States]:
        """The name of a part's first state, and its states; the last leads to `following`, or ends the machine."""
        if isinstance(part, str):
            return self._step(self._graph.nodes[part], following)
        if isinstance(part, Together):
            return self._together(part, following)
        states: States = {}
        start = following
        for each in reversed(part.parts):
            start, own = self.part(each, start)
            states = {**own, **states}
        assert start is not None
        return start, states

    def _together(self, part: Together, following: str | None) -> tuple[str, States]:
        self._number += 1
        name = f"side by side {self._number}"
        branches = []
        for branch in part.branches:
            start, states = self.part(branch, None)
            branches.append({"StartAt": start, "States": states})
        # A branch's output is dropped: the steps' results are in the store.
        return name, {name: {"Type": "Parallel", "Branches": branches, "ResultPath": None, **_then(following)}}

    def _step(self, node: Node, following: str | None) -> tuple[str, States]:
        name = state_name(node.name)
        choices = self._choices(node, following)
        job = {**self._jobs.tasks[node.name], "ResultPath": None, **_then(following)}
        if choices:  # what they have looked at goes with the job's answer, so that it is not carried along
            job |= {"ResultSelector": {"of": node.name}, "ResultPath": _SEEN}
        states: States = {name: job}
        if node.allow_failure:
            job["Catch"] = [_catch(state_name(node.name, _FAILED_AS_IT_MAY))]
            states[state_name(node.name, _FAILED_AS_IT_MAY)] = _pass(following)
        elif self._jobs.topic:
            job["Catch"] = [_catch(state_name(node.name, "failed"), "$.error")]
            states |= _alarm(node.name, self._jobs.topic)
        return (next(iter(choices)), {**choices, **states}) if choices else (name, states)

    def _choices(self, node: Node, following: str | None) -> States:
        """The states that look whether a step is to be skipped, in order, and the one that skips it."""
        known = {*self._jobs.asked}
        decidable = [(c, rule) for c, rule in _decidable(self._graph, node) if known.issuperset(steps_asked(c))]
        skipped = state_name(node.name, SKIPPED)
        looks: States = {}
        for number, (condition, rule) in enumerate(decidable, start=1):
            for step in steps_asked(condition):
                looks[state_name(node.name, f"looks at {shortened(step, _LONGEST_ASKED)}")] = self._look(
                    node, step
                )
            state = {"Type": "Choice", "Comment": str(condition), "Choices": [{**rule, "Next": skipped}]}
            looks[state_name(node.name, f"condition {number}")] = state
        if not looks:
            return {}
        for state, after in zip(looks.values(), [*list(looks)[1:], state_name(node.name)], strict=True):
            state["Default" if state["Type"] == "Choice" else "Next"] = after
        return {**looks, skipped: _pass(following)}

    def _look(self, node: Node, step: str) -> State:
        """The state that reads what a step's job wrote as its outcome; without that, the job decides."""
        bucket, prefix = self._jobs.outcomes
        parts = (prefix,) if not isinstance(prefix, tuple) else prefix
        place = list(self._graph.nodes).index(step)
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:s3:getObject",
            "Parameters": {**fields("Bucket", bucket), **fields("Key", (*parts, f"{step}/outcome.json"))},
            "ResultSelector": {"outcome.$": "States.StringToJson($.Body)"},
            "ResultPath": f"{_SEEN}.s{place}",
            "Catch": [_catch(state_name(node.name))],
        }


def _then(following: str | None) -> State:
    return {"End": True} if following is None else {"Next": following}


def _pass(following: str | None) -> State:
    return {"Type": "Pass", "Result": {}, "ResultPath": _SEEN, **_then(following)}


def _catch(following: str, result_path: str | None = None) -> State:
    return {"ErrorEquals": ["States.ALL"], "ResultPath": result_path, "Next": following}


def _alarm(step: str, topic: str) -> States:
    """The states after a failure that tell of it, and then fail in a way that can be redriven.

    A redrive begins at the state that failed, and a `Fail` state fails again. A `Choice` is decided again: by
    then the execution has been redriven once more than when the step failed, which leads back to its job.
    https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    """
    failed, alert, again = (state_name(step, purpose) for purpose in ("failed", "alert", "again if redriven"))
    note = {"redrives.$": "$$.Execution.RedriveCount"}
    message = f"States.Format('Step {step} of execution {{}} has failed: {{}}', $$.Execution.Name, $.error.Cause)"
    return {
        failed: {"Type": "Pass", "Parameters": note, "ResultPath": "$.failed", "Next": alert},
        alert: {
            "Type": "Task",
            "Resource": "arn:aws:states:::sns:publish",
            "Parameters": {"TopicArn": topic, "Subject": f"Step {step} has failed"[:100], "Message.$": message},
            "ResultPath": None,
            "Catch": [_catch(again)],
            "Next": again,
        },
        again: {
            "Type": "Choice",
            "Choices": [
                {
                    "Variable": "$$.Execution.RedriveCount",
                    "NumericGreaterThanPath": "$.failed.redrives",
                    "Next": state_name(step),
                }
            ],
        },
    }
