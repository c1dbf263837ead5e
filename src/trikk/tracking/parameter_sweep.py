"""A parameter search: one run for each trial, several at once, all with the same data, code, packages and seed.

The plan is in the ledger before the first run, and every run's origin names its search and trial, so that a search
whose process has died goes on from what there is.
"""

from __future__ import annotations

import math
import queue
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from trikk.core.errors import RunError, StorageError, TrikkError, UsageError
from trikk.core.names import new_run_id
from trikk.execution.driving.limits import Capacity
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.pipeline.pipeline import parameters_for
from trikk.runs.events import EventKind
from trikk.runs.lock import Lock
from trikk.runs.states import OVER, RunStatus
from trikk.storage.stores.locks import file_lock
from trikk.tracking.propose import Grid, Optuna, Proposer
from trikk.tracking.space import Choices, read_space
from trikk.tracking.trials import CREATED, Plan, Trial, check_direction, rank, rows_of, trial_of

if TYPE_CHECKING:
    from trikk.core.values import JSON
    from trikk.execution.project import Project

Listener = Callable[[Trial], None]


class Sweep:
    """The runs of a search; use it in a `with` statement.

    Args:
        project: the project.
        parallel: how many trials at once; as many as there are cores if None.
        listener: told of every trial that is over.
    """

    def __init__(self, project: Project, *, parallel: int | None = None, listener: Listener | None = None) -> None:
        cores = int(Capacity.of_machine().cpus)
        self.project = project
        self.parallel = parallel or cores
        self.listener = listener or (lambda _: None)
        # Trials share the cores: each with all of them would only make the others wait.
        self._steps = max(1, cores // self.parallel)
        self._sessions: queue.Queue[Session] = queue.Queue()
        self._open: list[Session] = []
        self._active: set[str] = set()
        self._stopped = False
        self._ledger: Any = project.journal
        _ = (project.store, project.artifacts, project.tables)  # opened once, for all threads

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._open:
            session.executor.close()

    def plan(
        self, pipeline: str, given: Mapping[str, str], metric: str, *, maximize: bool, trials: int | None
    ) -> Plan:
        """Write a search down.

        Raises:
            UsageError: if the pipeline, a parameter, or a table or model that it reads is wrong, or the worst of a
                metric that trikk knows would win.
            MissingExtra: if Optuna is needed and not installed.
        """
        check_direction(metric, maximize=maximize)
        session = self._add_session()
        graph = session.graph(pipeline)
        space = read_space(graph.parameters, given)
        first = {n: p.values[0] if isinstance(p, Choices) else p.low for n, p in space.searched.items()}
        # What can't go well is told before anything is written down: parameters, tables, a missing Optuna.
        parameters_for(graph, {**space.fixed, **first})
        lock = session.pin(pipeline).to_json()
        plan = Plan(new_run_id(), pipeline, space, metric, maximize, trials, lock)
        proposer_of(plan)
        self._ledger.add(plan.subject, CREATED, plan.to_json(), at=session.how.clock.now(), identity="plan")
        return plan

    def run(self, plan: Plan) -> list[Trial]:
        """Make all trials of a plan that has none yet; ranked.

        Raises:
            KeyboardInterrupt: when stopped by Ctrl-C or a signal to end; what was going on has been cancelled.
        """
        with self._alone(plan), _signals():
            return self._search(plan, proposer_of(plan), [])

    def resume(self, plan: Plan) -> list[Trial]:
        """Go on with a search: finish the runs that are not over, then make those that are missing; ranked.

        Raises:
            RunError: if the project's code is no longer the one that the search began with, or the search goes on
                in another process.
            KeyboardInterrupt: as for `run`.
        """
        session = self._add_session()
        # The trials that are over were made by the other code: ranked together they would say nothing.
        if session.lock.code != plan.lock["code"]:
            raise RunError(
                f"the project's code has changed since sweep {plan.id}", next="begin a new search: trikk sweep"
            )
        proposer = proposer_of(plan)
        with self._alone(plan), _signals():
            # What was broken off is finished first, so that the sampler learns of all before it proposes more.
            rows = sorted(rows_of(self.project, plan)[0].items())
            left = [
                (number, row.id)
                for number, row in rows
                if row.state not in (RunStatus.SUCCEEDED, RunStatus.FAILED)
            ]
            self._all(partial(self._finish, plan, number, run) for number, run in left)
            done = [trial_of(self.project, plan, number, row.id) for number, row in rows]
            for trial in done:
                proposer.known(trial.number, trial.parameters, _finite(plan, trial))
            return self._search(plan, proposer, done)

    @contextmanager
    def _alone(self, plan: Plan) -> Iterator[None]:
        """Keep other processes of this machine from the same search."""
        with ExitStack() as stack:
            try:
                lock = self.project.state_dir / "sweeps" / f"{plan.id}.lock"
                stack.enter_context(file_lock(lock, timeout=0.0))
            except StorageError as error:
                raise RunError(
                    f"sweep {plan.id} is still running in another process", next="wait for it"
                ) from error
            yield

    # -- runs ---------------------------------------------------------------------------------------

    def _search(self, plan: Plan, proposer: Proposer, done: list[Trial]) -> list[Trial]:
        def calls() -> Iterator[Callable[[], Trial]]:
            while (proposed := proposer.next()) is not None:
                yield partial(self._run, plan, *proposed)

        trials = self._all(calls(), lambda trial: proposer.tell(trial.number, _finite(plan, trial)))
        return rank([*done, *trials], maximize=plan.maximize, compared=plan.compared)

    def _all(self, calls: Iterator[Callable[[], Trial]], tell: Listener | None = None) -> list[Trial]:
        """Make calls, so many at once; the next is asked for when one has ended and was told."""
        trials: list[Trial] = []
        running: set[Future[Trial]] = set()
        with ThreadPoolExecutor(self.parallel) as pool:
            try:
                while True:
                    while len(running) < self.parallel and (call := next(calls, None)) is not None:
                        running.add(pool.submit(call))
                    if not running:
                        return trials
                    over, running = wait(running, return_when=FIRST_COMPLETED)
                    for trial in (future.result() for future in over):
                        trials.append(trial)
                        if tell is not None:
                            tell(trial)
                        self.listener(trial)
            except BaseException:
                self._stop()
                raise

    def _run(self, plan: Plan, number: int, searched: dict[str, JSON]) -> Trial:
        """One trial from its beginning; whatever happens to it is a trial's end."""
        session = self._take_session()
        broken = True
        run = ""
        try:
            if self._stopped:
                return Trial(number, "", searched, RunStatus.CANCELLED, why="the search was stopped")
            origin: dict[str, JSON] = {"kind": "sweep", "sweep": plan.id, "trial": number}
            given = {**plan.space.fixed, **searched}
            state = session.run(plan.pipeline, given, origin=origin, lock=Lock.read(plan.lock))
            run = state.id
            # A host whose worker was lost may be out of memory itself: the next trial gets a fresh one.
            broken = any((step.error or {}).get("kind") == "lost" for step in state.steps.values())
            return trial_of(self.project, plan, number, run)
        except TrikkError as error:
            return Trial(number, run, searched, RunStatus.FAILED, why=error.what)
        finally:
            self._give_back(session, broken=broken)

    def _finish(self, plan: Plan, number: int, run: str) -> Trial:
        """Go on with a run that another process has left."""
        from trikk.execution.resume import resume

        how = How(max_parallel=self._steps, listener=self._watch)
        resume(self.project, run, how, code="locked", confirm=lambda _: None)
        return trial_of(self.project, plan, number, run)

    def _watch(self, event: Any, state: Any) -> None:
        """Keep in mind which runs are going on."""
        if state.state in OVER:
            self._active.discard(event.run)
        else:
            self._active.add(event.run)

    def _stop(self) -> None:
        """Cancel what is going on; the threads end when their runs have."""
        self._stopped = True
        for run in list(self._active):
            try:
                self.project.journal.append(
                    run, EventKind.RUN_CANCEL_REQUESTED, {"by": "the search"}, at=How().clock.now()
                )
            except TrikkError:
                continue  # it goes on, and ends by itself

    # -- sessions -----------------------------------------------------------------------------------

    def _add_session(self) -> Session:
        session = Session(self.project, How(max_parallel=self._steps, listener=self._watch))
        self._open.append(session)
        self._sessions.put(session)
        return session

    def _take_session(self) -> Session:
        """A session that is free, or one more: there are never more than trials at once."""
        try:
            return self._sessions.get_nowait()
        except queue.Empty:
            self._add_session()
            return self._sessions.get()

    def _give_back(self, session: Session, *, broken: bool) -> None:
        if broken:
            self._open.remove(session)
            session.executor.close()
        else:
            self._sessions.put(session)


def proposer_of(plan: Plan) -> Proposer:
    """Who proposes a plan's trials; UsageError if the space does not suit it, MissingExtra without Optuna."""
    if plan.trials is None:
        return Grid(plan.space)
    if plan.trials < 1:
        raise UsageError(f"--optuna {plan.trials} makes no run", next="give a number of runs")
    seed = int(str(plan.lock.get("seed", 0))) % 2**32
    return Optuna(plan.space, plan.trials, seed, maximize=plan.maximize)


def _finite(plan: Plan, trial: Trial) -> float | None:
    """What is compared of a trial's value, where it can be ranked."""
    if trial.state != RunStatus.SUCCEEDED or trial.value is None or not math.isfinite(trial.value):
        return None
    return plan.compared(trial.value)


@contextmanager
def _signals() -> Iterator[None]:
    """A signal to end counts as Ctrl-C, where this is the main thread."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    # Signals can be set in the main thread alone.
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
