"""A server's looks at its project, each in a process of its own that can hold up nothing but the next look.

Looks that are close together share a process, since starting it takes longer than most looks. A minute apart, each
has its own, a fork that imports what looks need: 0.1 s of CPU are less than 27 MB. It is ended, too, when the
code has changed, when it has gone on for too long, and with the server; what it was at is gone on with by the next
look, as after any kill.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
from collections.abc import Callable
from typing import Any

from trikk.core.clock import Clock
from trikk.core.errors import TrikkError
from trikk.server.presence.look_brief import Brief, settings_as_json
from trikk.server.presence.served_code import CodeSet, ServedCode
from trikk.server.queue.launcher import Launcher

EVERY = 60.0
LONGEST = 600.0
"""Seconds that a look may take: a mail server or a bucket that does not answer must not end all looking."""
LONGEST_REPORTS = 6 * 3600.0
_KEPT = 20.0  # seconds between looks from which on each has a process of its own
_POLL = 0.25
_ENDS_WITHIN = 2.0
_LOG = logging.getLogger("trikk.server")


class _LookProcess:
    """One process that looks, or makes reports; it answers each request with one line."""

    def __init__(self, brief: Brief, clock: Clock, launcher: Launcher, *, reports: bool = False) -> None:
        self.asked: float | None = None  # by the clock that only goes on; None if it has answered
        self.pid = 0  # as it has said; 0 if it has not yet
        self._clock = clock
        self._answer = b""
        self._has_ended = False
        stdin, self._to = os.pipe()
        self._from, stdout = os.pipe()
        os.set_blocking(self._from, False)
        try:
            launcher.start_look(stdin, stdout, reports=reports)
        except OSError as error:  # its end is what is seen of it
            _LOG.error("no process to look could be started: %s", error.strerror)
        finally:
            os.close(stdin)
            os.close(stdout)
        self._send(brief.to_bytes())

    def ask(self) -> None:
        """Ask it to look; `answer` has the result some day."""
        self.asked = self._clock.monotonic()
        self._send(b"look")

    def answer(self) -> dict[str, Any] | None:
        """What it has answered; None if it is at it.

        Raises:
            ChildProcessError: if it has ended without an answer.
        """
        self._read()
        if not self.pid and b"\n" in self._answer:
            number, _, self._answer = self._answer.partition(b"\n")
            self.pid = int(number)
        line, end, rest = self._answer.partition(b"\n")
        if not end:
            if self._has_ended:
                raise ChildProcessError("no answer")
            return None
        self._answer, self.asked = rest, None
        answer: dict[str, Any] = json.loads(line)
        return answer

    def has_gone_on_for(self, longest: float) -> bool:
        """Whether it has not answered for that many seconds."""
        return self.asked is not None and self._clock.monotonic() - self.asked > longest

    def end(self, within: float = 0.0) -> None:
        """End it with all that it has started; `within` so many seconds by itself."""
        os.close(self._to)
        until = self._clock.monotonic() + within
        while not self._has_ended:
            if not select.select([self._from], [], [], max(0.0, until - self._clock.monotonic()))[0]:
                break
            self._read()
        if self.pid and not self._has_ended:  # else its number may be another's by now
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        os.close(self._from)

    def _send(self, line: bytes) -> None:
        data = memoryview(line + b"\n")
        with contextlib.suppress(BrokenPipeError):  # it has ended: `answer` says so
            while data:
                data = data[os.write(self._to, data) :]

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._from, 1 << 16):
                self._answer += part
            self._has_ended = True


class Looks:
    """Has its project looked at every minute, or sooner if asked.

    Args:
        code: the project's code as the server knows it.
        clock: the time.
        launcher: starts the processes.
        may_look: whether this server's code counts: by older code, incidents of newer rules would end.
        every: seconds from look to look.
    """

    name = "look"

    def __init__(
        self,
        code: ServedCode,
        clock: Clock,
        launcher: Launcher,
        may_look: Callable[[], bool] = lambda: True,
        every: float = EVERY,
    ) -> None:
        self._code = code
        self._launcher = launcher
        self._clock = clock
        self._may_look = may_look
        self._every = every
        self._next = 0.0
        self._looking: _LookProcess | None = None
        self._looked_by: tuple[CodeSet, TrikkError | None] | None = None  # the code that it was told of
        self._reporting: _LookProcess | None = None
        self._told: dict[str, list[str]] = {}

    def soon(self) -> None:
        """Look at the next turn."""
        self._next = 0.0

    def turn(self, now: float) -> float:  # noqa: ARG002 - the process has a clock of its own
        """Take what a look has answered, and begin the next if it is time; seconds until the next turn."""
        self._report()
        if self._looking is not None and self._looking.asked is not None:
            return self._take()
        moment, code = self._clock.monotonic(), (self._code.current, self._code.trouble)
        if moment < self._next and self._looked_by in (None, code):  # of other code it looks at once
            return _POLL if self._reporting is not None else min(self._next - moment, self._every)
        self._next = moment + self._every
        if not self._may_look():
            return self._every
        if self._looking is None or self._looked_by != code:
            self._end_look(_ENDS_WITHIN)
            self._looking, self._looked_by = _LookProcess(self._brief(), self._clock, self._launcher), code
        self._looking.ask()
        return _POLL

    def close(self) -> None:
        """End what is under way; the next server goes on with it."""
        self._end_look(_ENDS_WITHIN)
        if self._reporting is not None:
            self._reporting.end()
            self._reporting = None

    def _brief(self) -> Brief:
        current, trouble = self._code.current, self._code.trouble
        graphs = {name: graph.to_json() for name, graph in current.graphs.items()}
        return Brief(settings_as_json(current.settings), graphs, None if trouble is None else trouble.to_json())

    def _take(self) -> float:
        """See whether the look under way has ended."""
        assert self._looking is not None
        try:
            answer = self._looking.answer()
        except ChildProcessError as error:
            _LOG.error("a look has ended halfway (%s); the next one goes on", error)
            self._end_look()
            return _POLL
        if answer is None:
            if self._looking.has_gone_on_for(LONGEST):
                _LOG.error("a look was ended, after %.0f s without an answer; the next one goes on", LONGEST)
                self._end_look()
            return _POLL
        self._log("look", answer)
        if self._every >= _KEPT:
            self._end_look(_ENDS_WITHIN)
        if answer.get("reports") and self._reporting is None:
            self._reporting = _LookProcess(self._brief(), self._clock, self._launcher, reports=True)
            self._reporting.ask()
        return _POLL

    def _report(self) -> None:
        """See whether the reports under way are made."""
        if self._reporting is None:
            return
        try:
            answer = self._reporting.answer()
        except ChildProcessError as error:
            answer = {"errors": [f"making reports has ended halfway ({error}); the next look goes on"]}
        if answer is None and self._reporting.has_gone_on_for(LONGEST_REPORTS):
            answer = {"errors": [f"making reports was ended, after {LONGEST_REPORTS:.0f} s"]}
        if answer is not None:
            self._log("reports", answer)
            self._reporting.end(_ENDS_WITHIN)
            self._reporting = None
            self.soon()

    def _end_look(self, within: float = 0.0) -> None:
        if self._looking is not None:
            self._looking.end(within)
            self._looking = None

    def _log(self, about: str, answer: dict[str, Any]) -> None:
        """Log what was done, and what is wrong as long as it is news."""
        for line in answer.get("lines", ()):
            _LOG.info("%s", line)
        error = answer.get("error")
        errors = [f"{error['what']}; {error['next']}"] if error else [*answer.get("errors", ())]
        for line in errors:
            if line not in self._told.get(about, ()):
                _LOG.warning("%s", line)
        self._told[about] = errors
