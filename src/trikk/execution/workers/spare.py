"""A worker that is forked before it is needed: while one step runs, the process of the next is made ready.

A fork costs a step two things that have nothing to do with its work: the fork itself, and a page fault for each
page that the new process touches first. A spare has both behind it when its call arrives. It is still a fork of
a process that was never used, and it does one call and no other.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

from trikk.core.digests import digest_bytes
from trikk.core.record import Record
from trikk.execution.step_messages import StepCall, StepResult
from trikk.execution.workers.seeding import seed_everything
from trikk.storage.artifact import Artifact

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
        begin: called first in the new process.
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
        _rehearse()
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


def _rehearse() -> None:
    """Go through what every call does, so that its pages are there when the real one comes."""
    call = StepCall("run", "pipeline", "step", None, 1, {"x": {"value": 1}})
    StepCall.from_bytes(call.to_bytes())
    StepResult([Artifact(digest_bytes(b"rehearsal"), "json", 0)]).to_bytes()
    seed_everything(call.seed)
