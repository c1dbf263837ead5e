"""A pipeline compiled as for SageMaker, carried out on this machine, and mirrored as from there."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trikk.core.errors import ProjectError, RunError, StorageError
from trikk.core.settings import FILE, Settings
from trikk.execution.process_environment import changed_variables
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.pipeline.graph import Graph
from trikk.pipeline.pipeline import parameters_for
from trikk.runs.run_state import RunState
from trikk.storage.stores.locks import file_lock, is_locked
from trikk.storage.stores.s3_store import S3Store
from trikk.targets.jobs.exchange import open_exchange
from trikk.targets.mirroring.mirrored_run import mirror
from trikk.targets.safe_names import safe_names
from trikk.targets.sagemaker.definition_names import LONGEST_NAME, step_names
from trikk.targets.sagemaker.local.containers.bucket_transfer import S3Access
from trikk.targets.sagemaker.local.definition.pipeline_definition import read_definition
from trikk.targets.sagemaker.local.execution_surroundings import job_environment, needing, stopping
from trikk.targets.sagemaker.local.local_engine import LocalEngine
from trikk.targets.sagemaker.local.local_execution import LocalExecution, LocalSettings
from trikk.targets.sagemaker.local.object_server import BUCKET, ObjectServer
from trikk.targets.sagemaker.local.shared_store import HomecomingExchange, SharedStore, needed_objects
from trikk.targets.sagemaker.sagemaker_settings import NAME, sagemaker_settings
from trikk.targets.sagemaker.sagemaker_target import SageMaker
from trikk.targets.target_port import Source

_LOOK = 0.5  # seconds between two looks at what jobs have reported
_FOLDER = "sagemaker-local"
_NOT_FOR_JOBS = ("TRIKK_ARTIFACTS", "TRIKK_EVENTS", "TRIKK_SERVER")
_ROLE, _IMAGE = "arn:aws:iam::000000000000:role/this-machine", "this-machine"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the jobs of a run meet.

    Attributes:
        access: the S3 server.
        bucket: a bucket on it.
        store: the artifact store that jobs have, `s3://...`.
        exchange: the exchange's address.
        server: the run's own server; None where one is configured.
    """

    access: S3Access
    bucket: str
    store: str
    exchange: str
    server: ObjectServer | None = None


def run_on_this_machine(
    project: Project,
    pipeline: str,
    given: Mapping[str, str],
    how: How,
    look: Callable[[Session, Graph], None] | None = None,
) -> RunState:
    """Run a pipeline as SageMaker would, with processes of this machine as its jobs.

    Args:
        project: the project.
        pipeline: the pipeline's name.
        given: parameters, as texts.
        how: how many jobs at once, who is told of events, and the time.
        look: called with the code loaded and the pipeline's graph, before anything begins.

    Returns:
        The run's state at its end.

    Raises:
        UsageError: if the pipeline can't run so, or a parameter, table or model is wrong or missing.
        RunError: if no job of it has come as far as to begin the run.
    """
    with Session(project, How(clock=how.clock)) as session:
        graph = session.graph(pipeline)
        parameters_for(graph, given, text=True)
        session.pin(pipeline)
        if look is not None:
            look(session, graph)
        code = session.lock.code
    name = secrets.token_hex(6)
    with (
        _own_folder(project, name) as folder,
        _place(project, folder) as place,
        changed_variables(place.access.environment()),
    ):
        text = _localised(SageMaker().document(Source(graph, _as_there(project.settings, place), code)), project)
        execution = _execution(project, graph, text, given, name, folder, place, how)
        exchange = HomecomingExchange(open_exchange(place.exchange), _lent(project, graph, code, place))
        engine = LocalEngine(execution, text, {called: step for step, called in step_names(graph.nodes).items()})
        return _carried_out(project, execution, engine, exchange, place, how)


# ---- before


def _execution(
    project: Project,
    graph: Graph,
    text: str,
    given: Mapping[str, str],
    name: str,
    folder: Path,
    place: Place,
    how: How,
) -> LocalExecution:
    called = safe_names([spec.name for spec in graph.parameters], LONGEST_NAME)
    settings = LocalSettings(
        folder,
        place.access,
        _variables(project, place, folder),
        max_parallel=how.max_parallel or project.settings.max_parallel,
        clock=how.clock,
    )
    parameters = {called[parameter]: value for parameter, value in given.items()}
    return LocalExecution(read_definition(text), graph.pipeline, parameters, name, settings)


def _as_there(settings: Settings, place: Place) -> Settings:
    """The settings as the compiler takes them: with all that jobs share in the bucket."""
    section: dict[str, Any] = {
        **settings.targets.get(NAME, {}),
        "role": _ROLE,
        "image": _IMAGE,
        "bucket": place.bucket,
        "exchange": place.exchange,
        "python": "python",
    }
    shared = f"s3://{place.bucket}"
    return replace(
        settings,
        artifacts=place.store,
        tables=settings.tables if "://" in settings.tables else f"{shared}/tables",
        # Jobs here see the project's own: that is no reason to refuse what needs its ledger.
        journal=settings.journal if settings.journal.startswith("postgresql") else f"{shared}/journal",
        shared_state=str(settings.state),
        targets={**settings.targets, NAME: section},
    )


def _localised(text: str, project: Project) -> str:
    """The definition with what is of this machine: where tables are, and which engine it is."""
    document = json.loads(text)
    own = {"--tables": _tables(project), "--engine": LocalEngine.name}

    def localise(steps: list[dict[str, Any]]) -> None:
        for step in steps:
            arguments = step["Arguments"]
            localise([*arguments.get("IfSteps", []), *arguments.get("ElseSteps", [])])
            container = arguments.get("AppSpecification") or arguments.get("AlgorithmSpecification") or {}
            words = container.get("ContainerArguments", [])
            for option, value in own.items():
                if option in words:
                    words[words.index(option) + 1] = value

    localise(document["Steps"])
    return json.dumps(document)


def _tables(project: Project) -> str:
    """Where tables are, as an argument: variables in it are filled in by the jobs."""
    given = project.settings.tables
    return given if "://" in given else project.settings.location("tables")


def _variables(project: Project, place: Place, folder: Path) -> dict[str, str]:
    settings = project.settings
    journal = settings.journal if "://" in settings.journal else settings.location("journal")
    more = {"TRIKK_JOURNAL": journal, "TRIKK_STATE": str(settings.state)}
    if place.server is not None:
        more["XDG_CACHE_HOME"] = str(folder / "cache")  # of a bucket that goes with the run
    known = job_environment(place.access, more)
    return {name: value for name, value in known.items() if name not in _NOT_FOR_JOBS}


def _lent(project: Project, graph: Graph, code: str, place: Place) -> SharedStore | None:
    """The bucket's store with what jobs need of the project's; None where that is the same."""
    if project.settings.artifacts == place.store:
        return None
    store = SharedStore(project.store, S3Store(place.store))
    store.lend(needed_objects(project, graph, code))
    return store


# ---- where jobs meet


@contextlib.contextmanager
def _place(project: Project, folder: Path) -> Iterator[Place]:
    """The configured server and bucket, or a server of the run's own."""
    section = sagemaker_settings(project.settings).values
    known = (os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    endpoint = next(filter(None, (section.get("endpoint"), *known)), "")
    has_bucket = project.settings.artifacts.startswith("s3://")
    if not endpoint and not has_bucket:
        server = ObjectServer(folder / "s3")
        with server as access:
            yield Place(access, BUCKET, f"s3://{BUCKET}/artifacts", f"s3://{BUCKET}/exchange", server)
        return
    bucket = section.get("bucket") or project.settings.artifacts.removeprefix("s3://").partition("/")[0]
    if not bucket:
        raise ProjectError(
            "an S3 server is configured, and no bucket on it",
            where=f"{project.root / FILE}, [targets.{NAME}]",
            next='write bucket = "...", or unset AWS_ENDPOINT_URL to have a server started for the run',
        )
    store = project.settings.artifacts if has_bucket else f"s3://{bucket}/{_FOLDER}/artifacts"
    yield Place(S3Access(endpoint), bucket, store, f"s3://{bucket}/{_FOLDER}/exchange")


@contextlib.contextmanager
def _own_folder(project: Project, name: str) -> Iterator[Path]:
    """A folder for the run's jobs, which goes with it; those of runs that were killed go now."""
    above = project.state_dir / _FOLDER
    above.mkdir(exist_ok=True)
    for path in above.iterdir():
        if (path / "lock").exists() and not is_locked(path / "lock"):
            shutil.rmtree(path, ignore_errors=True)
    folder = above / name
    folder.mkdir()
    with file_lock(folder / "lock"):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


# ---- while it runs


def _carried_out(
    project: Project,
    execution: LocalExecution,
    engine: LocalEngine,
    exchange: HomecomingExchange,
    place: Place,
    how: How,
) -> RunState:
    """Carry the execution out in a thread, and write what becomes of it into the journal meanwhile."""
    worker = threading.Thread(target=execution.run, name="execution")
    state: RunState | None = None
    seen = 0
    with stopping(execution), needing(place.server, execution):
        worker.start()
        try:
            while worker.is_alive():
                worker.join(_LOOK)
                try:
                    state = mirror(project, exchange, execution.execution, engine, how.clock)
                except StorageError as error:
                    execution.abort(error.what)
                    exchange.freeze()
                seen = _tell(project, state, seen, how)
        finally:
            execution.kill()
            worker.join()
    state = mirror(project, exchange, execution.execution, engine, how.clock)
    _tell(project, state, seen, how)
    if state is None:
        reason = execution.describe().get("FailureReason", "it was stopped")
        raise RunError(f"no job of {execution.pipeline} has begun the run: {reason}", next=_last_words(execution))
    return state


def _tell(project: Project, state: RunState | None, after: int, how: How) -> int:
    """Tell the listener of events that are new; returns the last one's number."""
    if state is None:
        return after
    events = project.journal.events(state.id, after=after)
    for event in events:
        if how.listener is not None:
            how.listener(event, state)
    return events[-1].seq if events else after


def _last_words(execution: LocalExecution) -> str | None:
    for step in execution.list_steps():
        log = execution.log_of(step["StepName"])
        if step["StepStatus"] == "Failed" and log.exists():
            lines = log.read_text(errors="replace").strip().splitlines()
            return "\n        ".join(lines[-5:])[-1000:] or None
    return None
