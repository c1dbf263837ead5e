"""`python -m trikk.targets.jobs.step_job STEP ...`: what every engine runs, one step of one execution.

A job is a small run: the project's own driver does one step of the graph, with its retries, time-outs and items,
and the engine only decides when the job begins. What the steps before it have done comes from the exchange, as the
events of their journals; what this one does goes there as it happens. A job that is run again goes on where it
stopped, and does nothing if its step is done.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trikk.core.errors import RunError, TrikkError, UsageError
from trikk.core.logs import log_to_stderr
from trikk.core.settings import load_settings
from trikk.core.text import shorten
from trikk.core.values import JSON
from trikk.execution.launch import drive, driver_of, graph_of, leased
from trikk.execution.project import Project
from trikk.execution.run_options import How, ProjectExecutor
from trikk.execution.step_messages import StepCall, failure
from trikk.execution.workers.process_executor import ProcessExecutor
from trikk.pipeline.graph import Graph
from trikk.runs.bundle import restore
from trikk.runs.events import EventKind
from trikk.runs.run_state import RunState
from trikk.storage.stores.locations import open_store
from trikk.targets.jobs.exchange import Exchange, open_exchange
from trikk.targets.jobs.execution_plan import ExecutionPlan, agreed_plan
from trikk.targets.jobs.first_job import plan_of
from trikk.targets.jobs.job_outcome import write_message, write_outcome
from trikk.targets.jobs.job_progress import JobProgress
from trikk.targets.jobs.job_report import (
    JobReport,
    JobState,
    StepEvent,
    begin_try,
    last_reports,
    report_names,
    reports,
)
from trikk.targets.jobs.model_folder import write_model
from trikk.targets.jobs.partial_graph import steps_before, up_to
from trikk.targets.target_port import left_in_folder

_EXIT = {JobState.FAILED: 1, JobState.RUNNING: 1}


@dataclass(frozen=True, slots=True)
class Job:
    """What the command line says.

    Attributes:
        step: the step.
        pipeline: its pipeline.
        execution: what the engine calls the execution; a name of one part.
        engine: the target's name.
        exchange: where jobs leave what they have done.
        store: where artifacts and code bundles are.
        code: digest of the code bundle.
        tables, journal: where they are, if not where trikk.toml says.
        state: the project's `.trikk`, where the job sees it; "" if it does not.
        environment: whose aliases of models it sees; as trikk.toml says if "".
        parameters: texts by name.
        trigger, tick: why the execution was started; "" if by hand.
        outcome, message: files for the engine; None for none.
        model: a folder that the engine keeps as a model, for the step's output; None for none.
    """

    step: str
    pipeline: str
    execution: str
    engine: str
    exchange: str
    store: str
    code: str
    tables: str
    journal: str
    state: str
    environment: str
    parameters: Mapping[str, str]
    trigger: str
    tick: str
    outcome: Path | None
    message: Path | None
    model: Path | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the job; 0 if the step succeeded, is skipped or failed as it may, 1 if it failed, 2 for wrong usage."""
    job = parsed(sys.argv[1:] if arguments is None else arguments)
    try:
        report = run_job(job)
    except TrikkError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the engine shows what a job prints
        write_message(job.message, str(error))
        return error.exit_code
    line = f"step {job.step}: {report.state}" + (f": {report.error}" if report.error else "")
    print(line, file=sys.stderr)  # noqa: T201
    if report.error:
        write_message(job.message, report.error)
    return _EXIT.get(report.state, 0)


def run_job(job: Job) -> JobReport:
    """Do one step of an execution, unless an earlier try has done it.

    Returns:
        What became of it.

    Raises:
        UsageError: if the step, the pipeline, a parameter or a place of storage is wrong.
        StorageError: if the exchange or the store can't be reached.
    """
    exchange = open_exchange(job.exchange)
    with _workplace() as folder:
        root = restore(open_store(job.store), job.code, folder / "code")
        project = _project(job, root, folder)
        executor = ProcessExecutor(project.settings)
        try:
            return _with_code(job, exchange, project, executor)
        finally:
            executor.close()
            project.close()


def _with_code(job: Job, exchange: Exchange, project: Project, executor: ProcessExecutor) -> JobReport:
    graph = up_to(graph_of(executor, job.pipeline), job.step)
    _check_places(project, graph, job.step)
    report = last_reports(exchange, job.execution, [job.step]).get(job.step)
    if report is None or not report.has_settled:
        report = begin_try(exchange, job.execution, job.step)
        with JobProgress(exchange, job.execution, report) as progress:
            plan = agreed_plan(
                exchange, job.execution, lambda: plan_of(job, project, executor.graphs()[job.pipeline])
            )
            report = _driven(job, plan, exchange, project, executor, graph, progress)
    write_outcome(job.outcome, report, project.artifacts)
    write_model(job.model, report, project.artifacts)
    return report


def _driven(
    job: Job,
    plan: ExecutionPlan,
    exchange: Exchange,
    project: Project,
    executor: ProjectExecutor,
    graph: Graph,
    progress: JobProgress,
) -> JobReport:
    """Do the step, after what the steps before it have done, and tell the exchange."""
    journal, how = project.journal, How(listener=progress.heard)
    journal.create(plan.run, plan.pipeline, plan.created_body(), at=plan.created)
    with leased(journal, plan.run, how.clock) as lease:
        started: dict[str, JSON] = {"driver": driver_of(lease), "isolation": executor.isolation}
        journal.append(plan.run, EventKind.RUN_STARTED, started, at=how.clock.now(), lease=lease)
        for report in _earlier(exchange, job, graph):
            for event in report.events:
                journal.append(plan.run, event.kind, dict(event.body), at=event.at, lease=lease)
        state = RunState.fold(plan.run, journal.events(plan.run), graph.nodes)
        progress.follow(journal, plan.run, project.logs_of(plan.run), after=state.seq)
        state = drive(project, OneStep(executor, job.step), graph, state, lease, how, since=state.seq)
    return progress.ended(state)


def _earlier(exchange: Exchange, job: Job, graph: Graph) -> Iterator[JobReport]:
    """What the steps before this one have done, in their order, and earlier tries of this one.

    A step before it that has no report was skipped by the engine: the driver decides the same from its conditions.
    One that may fail has failed, if its job ended without a word: engines wait for its end, whatever that is.

    Raises:
        RunError: if one of them has not ended well.
    """
    before = steps_before(graph, job.step)
    tries = report_names(exchange, job.execution, [*before, job.step])  # one look, however many steps there are
    tries.remove(max(pair for pair in tries if pair[0] == job.step))  # this one
    place = {step: position for position, step in enumerate([*before, job.step])}
    earlier = reports(exchange, job.execution, sorted(tries, key=lambda pair: (place[pair[0]], pair[1])))
    last = {report.step: report for report in earlier}
    lost = [s for s in before if graph.nodes[s].allow_failure and not (s in last and last[s].has_settled)]
    for step in before:
        if step in last and not last[step].has_settled and step not in lost:
            why = f": {last[step].error}" if last[step].error else ""
            raise RunError(
                f"step {step}, which comes before {job.step}, is {last[step].state}{why}",
                next="run that job again first",
            )
    yield from (report for report in earlier if report.step != job.step)
    yield from (_lost(step, last.get(step)) for step in lost)
    yield from (report for report in earlier if report.step == job.step)


def _lost(step: str, report: JobReport | None) -> JobReport:
    """What a job would have reported that ended before it could: that its step has failed, as it may."""
    error = failure("lost", "the job ended without a word", retryable=False).error
    attempts = [event.body["attempt"] for event in report.events if "attempt" in event.body] if report else []
    body = {"step": step, "attempt": max(attempts, default=1), "error": error, "retry_in": None, "allowed": True}
    return JobReport(step, 0, JobState.ALLOWED, (StepEvent(EventKind.STEP_FAILED, time.time(), body),))


class OneStep:
    """An executor that does one step, and refuses to do another's work.

    Args:
        executor: who does it.
        step: which.
    """

    def __init__(self, executor: ProjectExecutor, step: str) -> None:
        self._executor = executor
        self._step = step
        self.isolation = executor.isolation
        self.graphs, self.triggers, self.codes = executor.graphs, executor.triggers, executor.codes
        self.check, self.capacity, self.queues = executor.check, executor.capacity, executor.queues
        self.poll, self.stop, self.close = executor.poll, executor.stop, executor.close

    def start(self, task: str, call: StepCall) -> None:
        """Begin an attempt of the step; RunError for another step's."""
        if call.step != self._step:
            raise RunError(f"step {call.step}, which comes before {self._step}, has not been done")
        self._executor.start(task, call)


def _check_places(project: Project, graph: Graph, step: str) -> None:
    """Refuse a job whose tables would lie in a folder that ends with it."""
    node = graph.nodes[step]
    if node.question is not None:
        raise UsageError(f"step {step} asks people, and a job can't wait for them", where=node.where)
    uses = [*(ref.table for ref in node.tables()), *([node.write.table] if node.write else [])]
    if uses and not project.settings.tables:
        raise UsageError(
            f"step {step} uses table {uses[0]}, and the job was not told where tables are",
            where=node.where,
            next="set [storage] tables, or TRIKK_TABLES in the job's environment",
        )
    if (what := left_in_folder(node)) and not project.settings.shared_state:
        raise UsageError(
            f"step {step} leaves {what} in the project's folder, which this job does not see",
            where=node.where,
            next="use a place that jobs reach, or give the job the folder: TRIKK_STATE",
        )


def _project(job: Job, root: Path, folder: Path) -> Project:
    """The project as the job sees it: its code in a folder of its own, its storage where the job was told."""
    variables = {"TRIKK_ARTIFACTS": job.store, "TRIKK_TABLES": job.tables, "TRIKK_JOURNAL": job.journal}
    variables |= {"TRIKK_STATE": job.state, "TRIKK_ENVIRONMENT": job.environment}
    variables |= {"TRIKK_EVENTS": str(folder / "events.db")}
    # For this process and its workers.
    os.environ.update({name: value for name, value in variables.items() if value})
    settings = load_settings(root, stored=True)
    log_to_stderr(settings)
    return Project(settings)


@contextlib.contextmanager
def _workplace() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="trikk-job-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parsed(arguments: Sequence[str]) -> Job:
    """The job that a command line describes; ends the process if it describes none."""
    parser = argparse.ArgumentParser("python -m trikk.targets.jobs.step_job", description=__doc__)
    parser.add_argument("step", metavar="STEP")
    for name in ("pipeline", "execution", "engine", "exchange", "store", "code"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("tables", "journal", "state", "environment", "trigger", "tick"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument(
        "--optional",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="not given if it is empty",
    )
    for name in ("outcome", "message"):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE")
    parser.add_argument("--model", type=Path, metavar="DIR")
    given = vars(parser.parse_args(_without_dashes(arguments)))
    if "/" in given["execution"] or given["execution"] in ("", ".", ".."):
        parser.error(f"--execution {shorten(given['execution'], 80)!r} is no name of one part")
    optional = {name: value[1:] for name, value in given.pop("optional") if value[1:]}
    parameters = {name: value[1:] for name, value in given.pop("parameter")} | optional
    return Job(**given, parameters=parameters)


def _without_dashes(arguments: Sequence[str]) -> list[str]:
    """The arguments with a mark before each parameter's value: argparse takes one with a hyphen for an option."""
    marked: list[str] = []
    rest = list(arguments)
    while rest:
        count = 3 if rest[0] in ("--parameter", "--optional") else 1
        words, rest = rest[:count], rest[count:]
        marked += [*words[:2], *(f"={value}" for value in words[2:])]
    return marked


if __name__ == "__main__":
    sys.exit(main())
