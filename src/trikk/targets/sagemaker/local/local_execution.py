"""One execution of a pipeline definition on this machine: what the service does once it has been started.

What it says of itself has the form of DescribePipelineExecution and ListPipelineExecutionSteps, so that whoever
reads those of the service reads these.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trikk.core.clock import Clock, SystemClock, iso
from trikk.core.errors import DefinitionError, RunError, TrikkError
from trikk.targets.sagemaker.local.containers.bucket_transfer import BucketTransfer, S3Access
from trikk.targets.sagemaker.local.containers.job_process import GRACE, best_view
from trikk.targets.sagemaker.local.containers.job_requests import check_request, check_requests, job_name
from trikk.targets.sagemaker.local.containers.job_site import MOST_TOLD, JobEnd, JobFailed, JobSite, failures_told
from trikk.targets.sagemaker.local.containers.processing_job import run_processing
from trikk.targets.sagemaker.local.containers.training_job import run_training
from trikk.targets.sagemaker.local.definition.condition_verdict import all_hold
from trikk.targets.sagemaker.local.definition.definition_expressions import Reference, at_path, evaluate
from trikk.targets.sagemaker.local.definition.pipeline_definition import (
    DefinedStep,
    PipelineDefinition,
    StepKind,
)
from trikk.targets.sagemaker.local.definition.service_retries import FailureType, wait_before_retry
from trikk.targets.sagemaker.local.definition.step_order import (
    ExecutionPhase,
    StepPhase,
    never_run,
    outcome_of,
    ready,
    unanswered_failures,
)
from trikk.targets.sagemaker.local.execution_record import ARN, JOBS, StepRecord, described_step, moment
from trikk.targets.sagemaker.local.local_functions import call_function, check_functions

_JOB_NAMES = {"ProcessingJobName", "TrainingJobName"}
_MOST_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """With what an execution is carried out, beside what it does.

    Attributes:
        folder: for its jobs' folders and logs; made if it is missing.
        access: the S3 server.
        environment: the variables that containers have beside their own.
        functions: the handler `module:function` for a Lambda function's name or ARN.
        code: the folder that handlers are imported from.
        max_parallel: how many jobs at once.
        grace: seconds from SIGTERM to SIGKILL of a job that is stopped.
        clock: time.
    """

    folder: Path
    access: S3Access
    environment: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    code: Path = Path()
    max_parallel: int | None = None
    grace: float = GRACE
    clock: Clock = field(default_factory=SystemClock)


class LocalExecution:
    """An execution, from its start to its end.

    Args:
        definition: what is to be done.
        pipeline: the pipeline's name.
        parameters: given ones, by name; texts as StartPipelineExecution takes them, or values.
        execution: its id, 12 lower-case letters and digits, as the service makes them.
        settings: with what.
        listener: told of a step's name whenever that has changed; called by several threads.

    Raises:
        UsageError: if a parameter is missing or wrong, or this machine can't do what is asked; nothing was begun.
    """

    def __init__(
        self,
        definition: PipelineDefinition,
        pipeline: str,
        parameters: Mapping[str, Any],
        execution: str,
        settings: LocalSettings,
        listener: Callable[[str], None] | None = None,
    ) -> None:
        check_requests(definition)
        check_functions(definition, settings.functions)
        if not re.fullmatch(r"[a-z0-9]{1,32}", execution):
            raise DefinitionError(
                f"{execution!r} is no id of an execution", next="use lower-case letters and digits"
            )
        self.execution, self.pipeline = execution, pipeline
        self._steps = definition.steps
        self._values = definition.values(parameters)
        self._settings = settings
        self._listener = listener
        self._view = best_view()
        self._transfer = BucketTransfer(settings.access)
        self._records = {name: StepRecord() for name in definition.steps}
        self._outcomes: dict[str, bool] = {}
        self._lock = threading.RLock()
        self._ended: queue.Queue[str] = queue.Queue()
        self._stopping, self._killing = threading.Event(), threading.Event()
        self._started = settings.clock.now()
        self._changed = self._started
        self._state = ExecutionPhase.EXECUTING
        self._broken = ""

    # ---- from outside

    def run(self) -> ExecutionPhase:
        """Carry it out; returns how it ended, when nothing of it runs any more."""
        at_once = min(self._settings.max_parallel or os.cpu_count() or 1, _MOST_AT_ONCE)
        running: set[str] = set()
        with ThreadPoolExecutor(at_once, thread_name_prefix="job") as pool:
            while True:
                with self._lock:
                    states = {name: record.state for name, record in self._records.items()}
                    for name in never_run(self._steps, states, self._outcomes):
                        states[name] = StepPhase.NOT_RUN
                        self._change(name, state=StepPhase.NOT_RUN)
                    begin = [] if self._stopping.is_set() else ready(self._steps, states, self._outcomes)
                for name in begin[: at_once - len(running)]:
                    running.add(name)
                    self._change(name, state=StepPhase.STARTING, started=self._settings.clock.now())
                    pool.submit(self._carry_out, self._steps[name])
                if not running:
                    break
                running.discard(self._ended.get())
        with self._lock:
            states = {name: record.state for name, record in self._records.items()}
            outcome = outcome_of(self._steps, states, stopped=self._stopping.is_set())
            self._state = ExecutionPhase.FAILED if self._broken else outcome
            self._changed = self._settings.clock.now()
        return self._state

    def stop(self) -> None:
        """End it: jobs are told to end, and killed after their grace; no step begins any more."""
        self._stopping.set()
        with self._lock:
            if self._state == ExecutionPhase.EXECUTING:
                self._state = ExecutionPhase.STOPPING

    def kill(self) -> None:
        """End it at once."""
        self.stop()
        self._killing.set()

    def abort(self, reason: str) -> None:
        """End it at once as failed: what it needs is gone."""
        with self._lock:
            self._broken = self._broken or reason
        self.kill()

    @property
    def arn(self) -> str:
        """Its ARN; the account and the region in it are none."""
        return f"{ARN}pipeline/{self.pipeline}/execution/{self.execution}"

    def describe(self) -> dict[str, Any]:
        """As DescribePipelineExecution answers."""
        with self._lock:
            states = {name: record.state for name, record in self._records.items()}
            failed = unanswered_failures(self._steps, states)
            answer: dict[str, Any] = {
                "PipelineArn": f"{ARN}pipeline/{self.pipeline}",
                "PipelineExecutionArn": self.arn,
                "PipelineExecutionStatus": str(self._state),
                "CreationTime": moment(self._started),
                "LastModifiedTime": moment(self._changed),
            }
            if self._broken:
                answer["FailureReason"] = self._broken[:MOST_TOLD]
            elif failed and self._state == ExecutionPhase.FAILED:
                said = f"Step failure: {', '.join(failed)}: {self._records[failed[0]].reason}"
                answer["FailureReason"] = said[:MOST_TOLD]
            return answer

    def list_steps(self) -> list[dict[str, Any]]:
        """As ListPipelineExecutionSteps has them, in the order in which they began; others are not listed."""
        with self._lock:
            started = [(name, record) for name, record in self._records.items() if record.started is not None]
            started.sort(key=lambda each: each[1].started or 0.0)
            stopping = self._stopping.is_set()
            return [
                described_step(self._steps[name].kind, name, record, self._job_of(name, record), stopping=stopping)
                for name, record in started
            ]

    def answers(self) -> dict[str, Mapping[str, Any]]:
        """What the Describe call would say of each step's job, by the step's name."""
        with self._lock:
            return {name: record.answer for name, record in self._records.items() if record.answer}

    def log_of(self, step: str) -> Path:
        """The file with what a step's containers have printed; it may not be there yet."""
        return self._settings.folder / "logs" / f"{step}.log"

    def _job_of(self, name: str, record: StepRecord) -> str:
        return job_name(self.execution, name, record.attempts)

    # ---- what expressions see

    def value_of(self, reference: Reference) -> Any:
        """The value that a `Get` means now; RunError if there is none."""
        if reference.root == "Parameters":
            return self._values[str(reference.path[0])]
        if reference.root == "Execution":
            return self._variables()[str(reference.path[0])]
        name, *path = reference.path
        with self._lock:
            record = self._records[str(name)]
        if path and path[0] == "PropertyFiles":
            return self._property_file(str(name), str(path[1]))
        if not record.answer:
            raise RunError(f"step {name} has not run, so that {reference.text} is nothing", next="depend on it")
        return at_path(record.answer, tuple(path), reference.text)

    def json_at(self, uri: str) -> Any:
        """The JSON document at an address of S3."""
        return self._transfer.read_json(uri)

    def _variables(self) -> dict[str, str]:
        return {
            "PipelineExecutionId": self.execution,
            "PipelineName": self.pipeline,
            "PipelineArn": f"{ARN}pipeline/{self.pipeline}",
            "PipelineExecutionArn": self.arn,
            "StartDateTime": iso(self._started),
            "CurrentDateTime": iso(self._settings.clock.now()),
        }

    def _property_file(self, step: str, name: str) -> str:
        """The address of a property file: where its output went."""
        (declared,) = (f for f in self._steps[step].body["PropertyFiles"] if f["PropertyFileName"] == name)
        with self._lock:
            answer = self._records[step].answer
        path = ("ProcessingOutputConfig", "Outputs", declared["OutputName"], "S3Output", "S3Uri")
        return f"{at_path(answer, path, f'output of {name}').rstrip('/')}/{declared['FilePath']}"

    # ---- one step

    def _carry_out(self, step: DefinedStep) -> None:
        """Try a step until it has ended, in a thread of its own."""
        try:
            self._try_until_over(step)
        except Exception as error:  # noqa: BLE001 - the execution must hear of it, whatever it is
            reason = f"InternalServerError: {type(error).__name__}: {error}"
            self._change(step.name, state=StepPhase.FAILED, reason=reason, ended=self._settings.clock.now())
        finally:
            self._ended.put(step.name)

    def _try_until_over(self, step: DefinedStep) -> None:
        policies = step.body.get("RetryPolicies") or []
        retries: Counter[FailureType] = Counter()
        first: dict[FailureType, float] = {}
        while True:
            attempt = self._records[step.name].attempts + 1
            self._change(step.name, state=StepPhase.EXECUTING, attempts=attempt)
            end = self._attempt(step, attempt)
            if self._broken and end.state == StepPhase.STOPPED:
                end = JobEnd(StepPhase.FAILED, end.answer, reason=self._broken)
            if end.failure is None or self._stopping.is_set():
                break
            now = self._settings.clock.monotonic()
            since = now - first.setdefault(end.failure, now)
            wait = wait_before_retry(policies, end.failure, retries[end.failure], since)
            if wait is None or self._stopping.wait(wait):
                break
            retries[end.failure] += 1
        if step.kind == StepKind.CONDITION and end.state == StepPhase.SUCCEEDED:
            with self._lock:
                self._outcomes[step.name] = end.answer["Outcome"]
        self._change(
            step.name, state=end.state, answer=end.answer, reason=end.reason, ended=self._settings.clock.now()
        )

    def _attempt(self, step: DefinedStep, attempt: int) -> JobEnd:
        try:
            with failures_told():
                return self._do(step, attempt)
        except JobFailed as error:
            return JobEnd(StepPhase.FAILED, {}, error.failure, error.what[:MOST_TOLD])
        except TrikkError as error:
            return JobEnd(StepPhase.FAILED, {}, FailureType.CLIENT, f"ClientError: {error.what}"[:MOST_TOLD])

    def _do(self, step: DefinedStep, attempt: int) -> JobEnd:
        scope = StepScope(self, job_name(self.execution, step.name, attempt))
        if step.kind == StepKind.CONDITION:
            holds = all_hold(evaluate(step.arguments["Conditions"], scope))
            return JobEnd(StepPhase.SUCCEEDED, {"Outcome": holds})
        arguments = evaluate(step.arguments, scope)
        if step.kind == StepKind.FAIL:
            reason = str(arguments.get("ErrorMessage", ""))[:MOST_TOLD]
            return JobEnd(StepPhase.FAILED, {"ErrorMessage": reason}, FailureType.CLIENT, reason)
        if step.kind == StepKind.LAMBDA:
            outputs = call_function(
                step.body,
                arguments,
                self._settings.functions,
                self._settings.code,
                {**self._settings.environment, **self._settings.access.environment()},
                self._log(step.name),
            )
            return JobEnd(StepPhase.SUCCEEDED, {"OutputParameters": outputs})
        if step.kind in (StepKind.MODEL, StepKind.REGISTER_MODEL):
            return JobEnd(StepPhase.SUCCEEDED, self._recorded(step, arguments))
        return self._job(step, arguments, attempt)

    def _job(self, step: DefinedStep, arguments: dict[str, Any], attempt: int) -> JobEnd:
        check_request(step.kind, arguments)
        name = job_name(self.execution, step.name, attempt)
        arn = f"{ARN}{JOBS[step.kind][0]}/{name}"
        with self._folder(name) as folder:
            site = JobSite(
                folder,
                self._log(step.name),
                self._transfer,
                self._view,
                {**self._settings.environment, **self._settings.access.environment()},
                self._settings.grace,
                self._settings.clock,
                self._stopping,
                self._killing,
            )
            run = run_processing if step.kind == StepKind.PROCESSING else run_training
            return run(arguments, name, arn, site)

    def _recorded(self, step: DefinedStep, arguments: dict[str, Any]) -> dict[str, Any]:
        """What is only written down: a model, a model package in its group, with the group's next number."""
        if step.kind == StepKind.MODEL:
            name = job_name(self.execution, step.name, 1)
            return {**arguments, "ModelName": name, "ModelArn": f"{ARN}model/{name}"}
        group = str(arguments.get("ModelPackageGroupName", step.name))
        if not re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", group):
            raise RunError(f"{group!r} is no name of a model package group", next="use letters, digits and -")
        folder = self._settings.folder.parent / "model-packages" / group
        folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(path.stem) for path in folder.glob("*.json")), default=0)
        while True:
            arn = f"{ARN}model-package/{group}/{number}"
            answer = {**arguments, "ModelPackageArn": arn, "ModelPackageVersion": number}
            with contextlib.suppress(FileExistsError), (folder / f"{number}.json").open("x") as file:
                json.dump(answer, file, indent=2, default=str)
                return answer
            number += 1

    @contextlib.contextmanager
    def _folder(self, job: str) -> Iterator[Path]:
        folder = self._settings.folder / "jobs" / job
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _log(self, step: str) -> Path:
        path = self.log_of(step)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    # ---- what is known

    def _change(self, name: str, **changes: Any) -> None:
        with self._lock:
            for key, value in changes.items():
                setattr(self._records[name], key, value)
            self._changed = self._settings.clock.now()
        if self._listener is not None:
            self._listener(name)


class StepScope:
    """What the expressions of one step see: the execution, and the name of the step's own job.

    Args:
        execution: the execution.
        job: the name.
    """

    def __init__(self, execution: LocalExecution, job: str) -> None:
        self._execution = execution
        self._job = job
        self.json_at = execution.json_at

    def value_of(self, reference: Reference) -> Any:
        """The value that a `Get` means now; RunError if there is none."""
        if reference.root == "Execution" and reference.path[0] in _JOB_NAMES:
            return self._job
        return self._execution.value_of(reference)
