"""The process that holds the author's code: it imports the project once and does nothing else.

A driver starts it, asks it what the pipelines look like, and has it fork a worker for each attempt, so that
the imports are paid once and a step still has a process of its own. It never runs a step itself; a fork of it
is therefore a fresh process. Where forking is unsafe it starts fresh interpreters instead, and says why.

When the driver goes away, it ends every worker's process group and itself. What it is told and tells is in `wire`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from trikk.core.errors import ProjectError, TrikkError
from trikk.core.logs import log_to_stderr
from trikk.core.settings import Settings, load_settings
from trikk.execution.code.loading import Loaded, load
from trikk.execution.step_messages import StepCall, failure
from trikk.execution.workers.attempt import Workplace
from trikk.execution.workers.child import ANSWERED, finish, work, workplace
from trikk.execution.workers.descendants import (
    children,
    die_with_parent,
    end_children,
    has_children,
    take_in_orphans,
)
from trikk.execution.workers.fork_safety import why_not_fork
from trikk.execution.workers.spare import Rehearsal, Spare, fork_spare
from trikk.execution.workers.warm_up import use_large_pages, warm_up
from trikk.execution.workers.wire import AskCodes, AskParts, Codes, Kill, Over, Parts, Ready, Refused, ToHost, Wire
from trikk.telemetry.tracing_switch import step_tracer

_PIPE = 1 << 16
_MANY = 8  # forks after which as many more are likely: large pages cost what they save in seven


@dataclass(slots=True)
class _Child:
    task: str
    pid: int
    pipe: int
    answer: bytearray = field(default_factory=bytearray)


class Host:
    """Serves one driver, at the other end of `wire`, until it hangs up."""

    wire: Wire

    def __init__(self, root: Path, code: Path) -> None:
        self.root = root
        self.code = code
        self.pid = os.getpid()
        self.children: dict[int, _Child] = {}
        self.imported: set[int] = set()  # processes that importing the project has started
        self.selector = selectors.DefaultSelector()
        self.fresh: str | None = None
        self.loaded = Loaded()
        self.place: Workplace
        self.spare: Spare | None = None
        self.rehearsal: Rehearsal | None = None
        self.forks = 0
        self.description = b""
        self.is_fork = False  # of another host, which imported the project and has made ready what both use

    def serve(self) -> None:
        """Import the project, report, and start and watch workers until the driver is gone."""
        settings = load_settings(self.root, stored=True)
        die_with_parent(True)  # a module that hangs on import must not outlive its driver
        try:
            self.load(settings)
        except TrikkError as error:
            self.wire.send(Refused(error.to_json()))
            return
        die_with_parent(False)  # from now on it notices by itself, and ends what the workers have started
        self.report()
        # After the answer: the driver decides on its first step meanwhile.
        self.make_ready(settings)
        self.attend()

    def load(self, settings: Settings) -> None:
        """Import the project.

        Raises:
            TrikkError: if it can't be imported.
        """
        # Until all is imported: what importing makes stays, and to look through it takes a seventh of the time.
        gc.disable()
        try:
            self.loaded = load(settings, self.code)
        except KeyboardInterrupt:  # not Ctrl-C, which this process ignores
            raise ProjectError(
                "a module of the project raises KeyboardInterrupt", next="let it raise another error"
            ) from None
        log_to_stderr(settings)
        self.place = workplace(settings, self.loaded)
        # Processes that a module has started at import are the project's for as long as the host lives; all that
        # come after are a step's, also those whose parent has ended and that are the host's children then.
        self.imported = children(self.pid) if has_children() else set()
        self.fresh = None if settings.isolation == "fork" else why_not_fork()
        if settings.isolation == "fresh":
            self.fresh = "trikk.toml says so"
        self.description = json.dumps(self._described()).encode()

    def report(self) -> None:
        """Tell the driver that the project is imported, and what it has."""
        self.wire.send(Ready(self.fresh, os.getpid()), self.description)

    def make_ready(self, settings: Settings) -> None:
        """Do once what no worker then has to do."""
        warm_up(self.loaded, settings.location("journal"))
        self.place.tracer = step_tracer(settings, self.code)
        with contextlib.suppress(OSError, TrikkError):  # no room: then a spare is only slower
            self.rehearsal = Rehearsal(self.place)
        gc.collect()
        gc.freeze()  # the collector of a worker would write to every page that it shares with this process
        gc.enable()

    def attend(self) -> None:
        """Start and watch workers until the driver is gone."""
        take_in_orphans()
        awake = wake_on_child()
        self.selector.register(self.wire, selectors.EVENT_READ, "wire")
        self.selector.register(awake, selectors.EVENT_READ, "child")
        self._make_spare()
        while self._turn(awake):
            pass
        self._end_all()

    def become(self, wire: Wire) -> None:
        """In a fork of a host that has no driver: be the host of one."""
        self.wire, self.pid, self.is_fork = wire, os.getpid(), True
        self.selector = selectors.DefaultSelector()

    def _turn(self, awake: int) -> bool:
        for key, _ in self.selector.select():
            if key.data == "wire":
                messages = self.wire.receive()
                if messages is None:
                    return False
                for head, load in messages:
                    self._obey(head, load)
            elif key.data == "child":
                os.read(awake, 4096)
                self._reap()
            else:
                self._read(key.data)
        return True

    def _described(self) -> dict[str, Any]:
        prefix = f"{self.code}{os.sep}"
        graphs = {}
        for name, pipeline in self.loaded.pipelines.items():
            graph = pipeline.graph.to_json()
            for node in graph["nodes"]:  # type: ignore[union-attr]
                node["where"] = node["where"].removeprefix(prefix)  # type: ignore[index,call-overload,union-attr]
            graphs[name] = graph
        return {"graphs": graphs, "triggers": self.loaded.triggers()}

    def _obey(self, head: ToHost, load: bytes) -> None:
        if isinstance(head, Kill):
            child = next((c for c in self.children.values() if c.task == head.task), None)
            if child is not None:  # else it has ended meanwhile
                _signal_group(child.pid, head.signal)
        elif isinstance(head, AskCodes):
            from trikk.execution.code.fingerprint import step_codes

            self.wire.send(Codes(step_codes(self.loaded.pipeline(head.pipeline), self.code)))
        elif isinstance(head, AskParts):
            from trikk.execution.code.fingerprint import import_digest, step_parts

            self.wire.send(
                Parts(step_parts(self.loaded.pipeline(head.pipeline), self.code), import_digest(self.code))
            )
        else:
            self._start(head.task, load)

    def _start(self, task: str, call: bytes) -> None:
        try:
            pid, answers = self._spawn(call) if self.fresh else self._hand_over(call)
        except OSError as error:
            result = failure("exited", f"no process could be started for it: {error.strerror}", retryable=True)
            self.wire.send(Over(task, status=0, peak=0), result.to_bytes())
            return
        os.set_blocking(answers, False)
        child = _Child(task, pid, answers)
        self.children[pid] = child
        self.selector.register(answers, selectors.EVENT_READ, child)
        self._make_spare()

    def _hand_over(self, call: bytes) -> tuple[int, int]:
        """Give the call to the spare process, or to a new one; returns its pid and the pipe of its answer."""
        while True:
            spare = self.spare or fork_spare(self._begin_worker, self._work)
            self.spare = None
            if spare.take(call):
                return spare.pid, spare.answers

    def _make_spare(self) -> None:
        if self.fresh is None and self.spare is None:
            self.forks += 1
            if self.forks == _MANY:
                use_large_pages()
            with contextlib.suppress(OSError):  # then the next call makes one, or says why not
                self.spare = fork_spare(self._begin_worker, self._work)

    def _begin_worker(self) -> None:
        _become_worker(self.pid)
        self.wire.sock.close()
        self.selector.close()
        if self.rehearsal is not None:
            self.rehearsal()

    def _work(self, call: bytes, answer: int) -> NoReturn:
        work(StepCall.from_bytes(call), self.root, self.place, answer)

    def _spawn(self, call: bytes) -> tuple[int, int]:
        """Start a fresh interpreter for the call; returns its pid and the pipe of its answer."""
        answers, answer = os.pipe()
        arguments = [str(answer), str(self.root), str(self.code)]
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "trikk.execution.workers.child", *arguments],
                stdin=subprocess.PIPE,
                pass_fds=[answer],
                start_new_session=True,
            )
        except OSError:
            os.close(answers)
            raise
        finally:
            os.close(answer)
        assert process.stdin is not None
        process.stdin.write(call)
        process.stdin.close()
        process.returncode = 0  # it is reaped here, not by Popen
        return process.pid, answers

    def _read(self, child: _Child) -> None:
        if child.pipe < 0:
            return  # it was reaped earlier in this very turn
        try:
            while data := os.read(child.pipe, _PIPE):
                child.answer += data
        except BlockingIOError:
            return
        self.selector.unregister(child.pipe)
        os.close(child.pipe)
        child.pipe = -1

    def _reap(self) -> None:
        while self.children or self.spare is not None:
            try:
                gone = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if gone is None:
                return
            # Before it is waited for: until then its pid, which names its group, can't be another process's.
            _signal_group(gone.si_pid, signal.SIGKILL)  # what the step left running
            _, status, usage = os.wait4(gone.si_pid, 0)
            child = self.children.pop(gone.si_pid, None)
            if child is not None:
                self._report(child, status, usage.ru_maxrss * 1024)
            elif self.spare is not None and self.spare.pid == gone.si_pid:
                self.spare.dismiss()
                self.spare = None

    def _report(self, child: _Child, status: int, peak: int) -> None:
        if child.pipe >= 0:
            self._read(child)
        if child.pipe >= 0:
            self.selector.unregister(child.pipe)
            os.close(child.pipe)
        is_whole = child.answer.endswith(ANSWERED)
        if not is_whole:  # it could not end what it had started, which has come to this process
            self._end_orphans()
        self.wire.send(Over(child.task, status, peak), bytes(child.answer) if is_whole else b"")

    def _end_all(self) -> None:
        if self.spare is not None:
            self.spare.dismiss()
        if self.rehearsal is not None and not self.is_fork:
            self.rehearsal.close()
        for pid in self.children:
            _signal_group(pid, signal.SIGKILL)
        if self.children:
            self.children.clear()
            self._end_orphans()

    def _end_orphans(self) -> None:
        spare = {self.spare.pid} if self.spare is not None else set()
        end_children({*self.children, *spare, *self.imported})


def wake_on_child() -> int:
    """A descriptor that can be read when a child of this process has ended."""
    awake, wake = os.pipe()
    for end in (awake, wake):
        os.set_blocking(end, False)
    # The end of a child wakes a selector by a byte in a pipe, which is written only if there is a handler.
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return awake


def _become_worker(parent: int) -> None:
    """Leave the host's signals and session behind, and die with it."""
    signal.set_wakeup_fd(-1)  # the pipe is the host's: a signal here must not wake it
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    die_with_parent(True)
    take_in_orphans()
    if os.getppid() != parent:  # the host died before the death signal was asked for, which then never comes
        finish(3)


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        os.kill(pid, number)


def main() -> None:
    """`python -m trikk.execution.workers.host FD ROOT CODE`: serve the driver at the other end of socket FD."""
    fd, root, code = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    os.set_inheritable(fd, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        host = Host(root, code)
        host.wire = Wire(socket.socket(fileno=fd), ToHost)
        host.serve()
    except (BrokenPipeError, ConnectionResetError):
        finish(1)  # the driver is gone: so are its workers, by their death signal
    except OSError as error:
        print(f"the host of the project's code can't go on: {error}", file=sys.stderr)  # noqa: T201
        finish(1)


if __name__ == "__main__":
    main()
