"""A worker's process: from the fork, or a fresh interpreter, to the answer on the pipe."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NoReturn

from msgspec import structs

from trikk.core.logs import log_as, log_to_stderr
from trikk.core.network.masking import mask_file
from trikk.core.settings import Settings, load_settings
from trikk.execution.code.loading import Loaded, load
from trikk.execution.step_messages import StepCall, StepResult, failure
from trikk.execution.workers.attempt import Workplace, raised, run_call
from trikk.execution.workers.descendants import die_with_parent, end_children, has_children, take_in_orphans
from trikk.execution.workers.warm_up import limit_threads
from trikk.runs.journals.lazy_journal import LazyJournal
from trikk.storage.artifacts import Artifacts
from trikk.storage.lazy_tables import LazyTables
from trikk.storage.stores.locations import open_store
from trikk.telemetry.tracing_switch import flush_authors_spans, step_tracer

ANSWERED = b"\n"
"""Ends an answer: one without it was cut off by the worker's death. JSON on one line has none inside."""


def workplace(settings: Settings, loaded: Loaded) -> Workplace:
    """Where the workers of a project store things; connections are made at their first use."""
    artifacts = Artifacts(open_store(settings.location("artifacts")), loaded.codecs)
    return Workplace(
        loaded,
        artifacts,
        LazyTables(settings.location("tables")),
        LazyJournal(settings.location("journal"), settings.events),
        settings.root,
        settings.lasting_state,
        settings.environment,
    )


def work(call: StepCall, root: Path, place: Workplace, pipe: int) -> NoReturn:
    """Do the call, answer on the pipe and end the process."""
    result = carry_out(call, root, place, redirect)
    if call.log:
        _mask(Path(call.log))
    _answer(pipe, result)
    finish(0)


def carry_out(
    call: StepCall,
    root: Path,
    place: Workplace,
    capture: Callable[[str], object],
    keep: Collection[int] = (),
) -> StepResult:
    """Do the call in this process, and end what the step has left running; whatever happens becomes a result.

    Args:
        call: what to do.
        root: the current folder of the step.
        place: where its code and its data are.
        capture: has the standard streams go to the call's log, if it has one.
        keep: child processes that are not the step's.
    """
    try:
        if call.log:
            capture(call.log)
            log_as(_about(call, place))
        if place.tracer is not None:
            log = Path(call.log) if call.log else None
            place.tracer.enter(call.run, call.step, call.item, call.attempt, log)
        os.chdir(root)
        limit_threads(call.cpus)
        result = run_call(call, place)
    except BaseException as error:  # noqa: BLE001 - the driver must hear of it, whatever it is
        result = raised("raised", error, structs.replace(call, on=None), place)
    if result.error is not None:
        with contextlib.suppress(Exception):  # the step may have closed its log
            print(result.error["traceback"] or result.error["message"], file=sys.stderr)  # noqa: T201
    place.artifacts.release()  # only now: what the step returned may have rested on files that it was given
    flush_authors_spans()
    if has_children():
        end_children(keep)  # before the step counts as over: what it has left behind writes no more
    return result


def _mask(log: Path) -> None:
    """Mask in the log what did not come by Python's streams, as what programs of the step's have printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(OSError):  # clean-up may have taken it
        mask_file(log)


def _about(call: StepCall, place: Workplace) -> dict[str, object]:
    """What the records of a step's log say that they are about, where they are JSON."""
    about = {"run": call.run, "pipeline": call.pipeline, "step": call.step, "item": call.item}
    trace = place.tracer.trace(call.run) if place.tracer is not None else None
    return {**about, "attempt": call.attempt, "trace_id": trace}


def finish(status: int) -> NoReturn:
    """End this process now, its output flushed; nothing that the host had registered is run."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status)  # not sys.exit: handlers of atexit and threads that do not end are the host's, or the step's


def _answer(pipe: int, result: StepResult) -> None:
    data = memoryview(result.to_bytes() + ANSWERED)
    while data:
        data = data[os.write(pipe, data) :]


def redirect(log: str) -> None:
    """Take stdin from nowhere; send stdout and stderr to the log, which others read while it grows."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    os.close(nothing)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    sys.stderr.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]


def main() -> None:
    """`python -m trikk.execution.workers.child PIPE ROOT CODE`: a fresh interpreter; the call comes on stdin."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the host, which ignores it, has passed that on
    die_with_parent(True)
    take_in_orphans()
    pipe, root, code = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    call = StepCall.from_bytes(sys.stdin.buffer.read())
    try:
        if call.log:
            redirect(call.log)
        settings = load_settings(root, stored=True)
        loaded = load(settings, code)
        log_to_stderr(settings)
        place = workplace(settings, loaded)
        place.tracer = step_tracer(settings, code)
    except Exception as error:  # noqa: BLE001 - the driver must hear of it, whatever it is
        _answer(pipe, failure("loaded", str(error), retryable=False, type=type(error).__name__))
        finish(0)
    work(call, root, place, pipe)


if __name__ == "__main__":
    main()
