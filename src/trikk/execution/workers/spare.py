"""A worker that is forked before it is needed: while one step runs, the process of the next is made ready.

A fork costs a step two things that have nothing to do with its work: the fork itself, and a page fault for each
page that the new process touches first. A spare has both behind it when its call arrives. It is still a fork of
a process that was never used, and it does one call of the author's code and no other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from trikk.core.record import Record
from trikk.execution.step_messages import StepCall
from trikk.execution.workers.attempt import Workplace, run_call
from trikk.pipeline.step import Step
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.local import LocalStore

_CHUNK = 1 << 16


class Spare(Record, frozen=True):
    """A forked process that waits for its call.

    Attributes:
        pid: its process id, and that of its process group.
        calls: the descriptor to write the call to.
        answers: the descriptor to read its answer from.
    """

    pid: int
    calls: int
    answers: int

    def take(self, call: bytes) -> bool:
        """Give it its call; False if it has died meanwhile."""
        try:
            left = memoryview(call)
            while left:
                left = left[os.write(self.calls, left) :]
        except BrokenPipeError:
            os.close(self.answers)
            return False
        finally:
            os.close(self.calls)
        return True

    def dismiss(self) -> None:
        """Tell it that there is no call for it: it ends."""
        os.close(self.calls)
        os.close(self.answers)


def fork_spare(begin: Callable[[], None], serve: Callable[[bytes, int], NoReturn]) -> Spare:
    """Fork a process that makes itself ready and waits.

    Args:
        begin: called first in the new process, to make it ready.
        serve: called there with the call and the descriptor for its answer; never returns.

    Raises:
        OSError: if no process can be made.
    """
    called, calls = os.pipe()
    answers, answer = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        for end in (called, calls, answers, answer):
            os.close(end)
        raise
    if pid:
        os.close(called)
        os.close(answer)
        return Spare(pid, calls, answers)
    data = b""
    try:
        os.close(calls)
        os.close(answers)
        begin()
        data = _read_all(called)
        if data:  # none: dismissed, or the host is gone
            serve(data, answer)
    finally:
        os._exit(3 if data else 0)  # serve() ends the process itself


def _read_all(pipe: int) -> bytes:
    data = bytearray()
    while chunk := os.read(pipe, _CHUNK):
        data += chunk
    os.close(pipe)
    return bytes(data)


def _value(value: int) -> int:
    return value


REHEARSED = Step(_value, name="rehearsal")


class Rehearsal:
    """One call that every spare does before its own: what a call touches first is touched when the real one comes.

    It loads, calls and stores as any step, but in a folder of its own and with no code of the author's, so that
    nothing of it is in the project. Each page of memory that a forked process writes to for the first time, be it
    to count a reference, is a fault: of some 1,000 in a step of nothing, a third came after its call.

    Args:
        place: where the workers of the project store things.

    Raises:
        OSError, TrikkError: if there is no room for it. A spare without it is only slower.
    """

    def __init__(self, place: Workplace) -> None:
        self._folder = Artifacts(place.artifacts.store)  # not the workers' own, who remove what that has given
        artifacts = Artifacts(LocalStore(self._folder.scratch(), durable=False))
        self._place = replace(place, artifacts=artifacts)
        given = {"value": {"artifact": artifacts.save(1).to_json(), "path": []}}
        self._call = StepCall(
            "run", "pipeline", "step", None, 1, given, ready_made=f"{__name__}:REHEARSED"
        ).to_bytes()
        self()  # here once, too: what is imported or made late and then kept is there for all workers

    def __call__(self) -> None:
        """Do the call."""
        # mlflow would be asked what it has logged, and must not be used before the step.
        if "mlflow" not in sys.modules:
            run_call(StepCall.from_bytes(self._call), self._place).to_bytes()

    def close(self) -> None:
        """Remove its folder."""
        self._folder.release()
