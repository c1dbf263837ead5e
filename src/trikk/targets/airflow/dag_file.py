"""The text of a DAG file: what a task does, once; then a task for each step, and what waits for what.

The file is made to be read: people see it in Airflow's own pages, and look into it when a run is not as they
expect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trikk.core.record import Record
from trikk.core.text import shorten
from trikk.pipeline.graph import Graph
from trikk.pipeline.parameters.parameter_kinds import Kind
from trikk.targets.airflow.python_text import Expression, call, source_of

_LONGEST_SUMMARY = 80
_WIDTH = 88  # of the formatter's lines


class DagPlan(Record, frozen=True):
    """What a DAG file says beside the steps.

    Attributes:
        dag: its id.
        project: the project's name, for people.
        options: of the job command, by name.
        python: the interpreter of jobs; "" for the worker's.
        lines: of cron; none without a schedule.
        zone: whose clock these go by.
        trigger: the trigger's name; "" if there are several.
        settled: parameters that a scheduled run is given, as texts.
        filled: parameters that come from a scheduled run's moment: `date`, `datetime` or `event`, by name.
        day_offset: how many days after the moment's day a date is.
        at_once: how many runs at the same time; None as Airflow has it.
        retries: of a task whose job was killed.
        retry_delay: seconds.
        tags: of the DAG.
    """

    dag: str
    project: str
    options: dict[str, str]
    python: str
    lines: tuple[str, ...]
    zone: str
    trigger: str
    settled: dict[str, str]
    filled: dict[str, str]
    day_offset: int
    at_once: int | None
    retries: int
    retry_delay: float
    tags: tuple[str, ...]


def dag_file(graph: Graph, plan: DagPlan) -> str:
    """The file's text; the same graph and plan give the same text."""
    parts = [_head(graph, plan), _constants(plan), _TASK, _dag(graph, plan)]
    return "\n".join(parts)


def _head(graph: Graph, plan: DagPlan) -> str:
    timetable = {0: "", 1: "CronTriggerTimetable", 2: "MultipleCronTriggerTimetable"}[min(2, len(plan.lines))]
    imports = [f"from airflow.sdk import DAG, BaseOperator{', Param' if graph.parameters else ''}"]
    imports.append(_EXCEPTIONS)
    imports += [f"from airflow.timetables.trigger import {timetable}"] if timetable else []
    return _HEAD.format(
        title=f"Pipeline {graph.pipeline} of a trikk project, {shorten(plan.project, _LONGEST_SUMMARY)}.",
        imports="\n".join(imports),
    ).replace("\\", "\\\\")


_EXCEPTIONS = """from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)"""
_HEAD = '''"""{title}

Compiled by `trikk compile airflow`: change the pipeline, and compile it again. A task
runs the job of one step; what steps give each other goes through trikk's store.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

{imports}
'''


def _constants(plan: DagPlan) -> str:
    python = Expression("sys.executable") if not plan.python else plan.python
    values = {
        "PYTHON": (python, "the interpreter that has trikk"),
        "OPTIONS": (plan.options, "of every job"),
        "TRIGGER": (plan.trigger, "what a scheduled run is started by"),
        "ZONE": (plan.zone, "whose days scheduled runs are for"),
        "DAY_OFFSET": (plan.day_offset, "days from a scheduled run's own to the one it is for"),
        "SETTLED": (plan.settled, "parameters of a scheduled run"),
        "FILLED": (plan.filled, "parameters that come from a scheduled run's moment"),
    }
    return "".join(f"{name} = {source_of(value)}  # {comment}\n" for name, (value, comment) in values.items())


_TASK = '''
STOP_SECONDS = 30  # that a job has to end by itself when its task is stopped


class StepJob(BaseOperator):
    """Runs the job of one step; what it prints is the task's log."""

    job = None

    def execute(self, context) -> None:
        with tempfile.TemporaryDirectory() as folder:
            outcome, message = Path(folder, "outcome"), Path(folder, "message")
            command = [PYTHON, "-m", "trikk.targets.jobs.step_job", self.task_id]
            command += ["--outcome", str(outcome), "--message", str(message)]
            self.job = subprocess.Popen([*command, *arguments(context)])
            try:
                code = self.job.wait()
            finally:
                self.on_kill()
            state = json.loads(outcome.read_text())["state"] if code == 0 else ""
            told = message.read_text() if message.exists() else ""
        if state in ("skipped", "allowed"):
            raise AirflowSkipException(told or f"step {self.task_id} is not to run")
        if code in (1, 2):  # the author's code has had its attempts inside the job
            raise AirflowFailException(told or f"step {self.task_id} has failed")
        if code != 0:
            raise AirflowException(f"the job of step {self.task_id} ended with {code}")

    def on_kill(self) -> None:
        if self.job is not None and self.job.poll() is None:
            self.job.terminate()
            try:
                self.job.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.job.kill()


def arguments(context) -> list[str]:
    """What a job is told: the run that it belongs to, and its parameters as texts."""
    run, options = context["dag_run"], dict(OPTIONS)
    given = {name: v for name, v in context["params"].items() if v is not None}
    options["execution"] = f"{run.dag_id}.{run.run_id}"
    if run.run_type == "scheduled":
        moment = run.logical_date.astimezone(UTC)
        options |= {"trigger": TRIGGER, "tick": moment.isoformat() if TRIGGER else ""}
        given |= SETTLED | {name: filled(kind, moment) for name, kind in FILLED.items()}
    listed = [part for name, value in options.items() for part in (f"--{name}", value)]
    for name, value in given.items():
        text = value if isinstance(value, str) else json.dumps(value)
        listed += ["--parameter", name, text]
    return listed


def filled(kind: str, moment: datetime) -> str:
    """A date, a time or an event of a scheduled run."""
    if kind == "date":
        local = moment.astimezone(ZoneInfo(ZONE))
        return str(local.date() + timedelta(days=DAY_OFFSET))
    at = moment.isoformat()
    event = {"id": at, "kind": "cron", "at": at}
    return at if kind == "datetime" else json.dumps(event)
'''


def _dag(graph: Graph, plan: DagPlan) -> str:
    named: dict[str, Any] = {
        "dag_id": plan.dag,
        "description": graph.doc.strip().partition("\n")[0] or None,
        "schedule": _timetable(plan),
        "start_date": Expression("datetime(2020, 1, 1, tzinfo=UTC)"),
        "catchup": False,
        "max_active_runs": plan.at_once,
        "default_args": {
            "retries": plan.retries,
            "retry_delay": Expression(f"timedelta(seconds={plan.retry_delay:g})"),
        },
        "params": {spec.name: _param(spec.kind, spec, plan) for spec in graph.parameters},
        "tags": [*plan.tags],
    }
    given = {name: value for name, value in named.items() if value not in (None, {}, []) or name == "schedule"}
    lines = [f"\nwith {call('DAG', [], given)} as dag:\n"]
    variables = _variables(graph)
    for name, node in graph.nodes.items():
        # A task is begun when all before it are over and none has failed; its job decides whether it is to run.
        rule = {"trigger_rule": "none_failed"} if node.upstream() else {}
        lines.append(f"    {variables[name]} = {_task(name, rule)}\n")
    for name, node in graph.nodes.items():
        upstream = [variables[up] for up in node.upstream()]
        if len(upstream) == 1:
            lines.append(f"    {upstream[0]} >> {variables[name]}\n")
        elif upstream:
            line = f"    [{', '.join(upstream)}] >> {variables[name]}\n"
            exploded = f"    {source_of([Expression(up) for up in upstream], 1)} >> {variables[name]}\n"
            lines.append(line if len(line) <= _WIDTH + 1 else exploded)
    return "".join(lines)


def _task(name: str, rule: Mapping[str, str]) -> str:
    return call("StepJob", [], {"task_id": name, **rule}, 1)


def _variables(graph: Graph) -> dict[str, str]:
    """By step the name of its variable: a number, since a step may be called like a keyword."""
    return {name: f"step_{place}" for place, name in enumerate(graph.nodes, start=1)}


def _timetable(plan: DagPlan) -> Any:
    if not plan.lines:
        return None
    name = "CronTriggerTimetable" if len(plan.lines) == 1 else "MultipleCronTriggerTimetable"
    return call(name, plan.lines, {"timezone": plan.zone}, 1)


def _param(kind: Kind, spec: Any, plan: DagPlan) -> Expression:
    schema = _schema(kind)
    is_open = spec.required and bool(plan.lines or kind.is_event)
    default: Sequence[Any] = [] if spec.required and not is_open else [None if spec.required else spec.default]
    if is_open or (not spec.required and spec.default is None):
        schema = {**schema, "type": sorted({"null", *_types(schema)})}
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return call("Param", default, schema, 2)


def _types(schema: Mapping[str, Any]) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _schema(kind: Kind) -> dict[str, Any]:
    """A kind of parameter as a JSON schema: https://json-schema.org."""
    if kind.name == "optional" and kind.of is not None:
        inner = _schema(kind.of)
        widened = {**inner, "type": sorted({"null", *_types(inner)})}
        return {**widened, "enum": [*inner["enum"], None]} if "enum" in inner else widened
    if kind.name == "list" and kind.of is not None:
        return {"type": "array", "items": _schema(kind.of)}
    if kind.choices:
        types = sorted({_JSON_TYPES[type(choice)] for choice in kind.choices})
        return {"type": types[0] if len(types) == 1 else types, "enum": list(kind.choices)}
    return {"type": _TYPES[kind.name], **({"format": "date"} if kind.name == "date" else {})}


_TYPES = {
    "bool": "boolean",
    "int": "integer",
    "float": "number",
    "str": "string",
    "date": "string",
    "datetime": "string",
    "event": "object",
}
_JSON_TYPES = {bool: "boolean", int: "integer", str: "string"}
