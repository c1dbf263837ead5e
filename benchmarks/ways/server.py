"""A server beside what else starts jobs by the clock: how late their first step is, and what waiting costs.

How late a step is, it says itself: it notes the time on the wall. Costs are those of the whole tree of processes,
seen from outside while it lives: seconds of CPU of each and of its children that have ended, and its share of
memory (PSS), which counts a page that forks share once.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import environments, process
from benchmarks.places import FLOWS
from benchmarks.samples import Sample
from benchmarks.ways import Unavailable
from benchmarks.ways.commands import Command, fresh, own_folder, python_command, trikk_command
from benchmarks.ways.peers import PEERS

SLOTS = 16
"""Runs at once, for all alike: trikk's default on two cores."""
NEVER = "0 0 29 2 *"
KEY = "c2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXMgZm9yIGJlbmNo"
_LEAD = {"prefect": 420.0, "dagster": 60.0}
"""Seconds before the moment that a peer needs to take its schedules in."""
_PATIENCE = 840.0  # seconds after the moment
_SETTLED = 5.0  # seconds after which a server that is ready is at rest
_TICKS = os.sysconf("SC_CLK_TCK")


def due_by_trikk(size: int) -> Callable[[], Sample]:
    """From the minute to the first steps of its schedules; all of one pipeline."""

    def run() -> Sample:
        folder, (moment, line) = project(), coming_minute(25)
        with running(served(folder, size, line)):
            return lateness(folder, size, moment)

    return run


def due_by_hand(size: int) -> Callable[[], Sample]:
    """The same by an interpreter for each job, started by a loop."""

    def run() -> Sample:
        folder, (moment, _) = fresh(), coming_minute(10)
        arguments = (str(moment), str(size), str(SLOTS))
        command = python_command(folder, "cron_by_hand.py", *arguments, PYTHONPATH=str(FLOWS))
        with running(command):
            return lateness(folder, size, moment)

    return run


def due_by_peer(size: int, name: str) -> Callable[[], Sample]:
    """The same by a tool's own scheduler, as its users serve schedules on one machine.

    Raises:
        Unavailable: its environment can't be made.
    """
    trouble = environments.make(name)
    if trouble is not None:
        raise Unavailable(trouble)
    peer = PEERS[name]()

    def run() -> Sample:
        folder, (moment, line) = fresh(), coming_minute(_LEAD[name])
        peer.home = folder
        peer.set_up()
        variables = {"BENCH_CRON": line, "BENCH_SIZE": str(size), "BENCH_SLOTS": str(SLOTS)}
        with contextlib.ExitStack() as stack:
            if name == "prefect":
                port = "8771"
                variables["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
                server = peer.command(folder, "prefect", "server", "start", "--port", port)
                stack.enter_context(running(server))
                wait_for(f"{variables['PREFECT_API_URL']}/health")
                command = peer.command(folder, "python", str(FLOWS / "prefect_served.py"))
            else:
                with (folder / "dagster.yaml").open("a") as settings:
                    settings.write(f"concurrency:\n  runs:\n    max_concurrent_runs: {SLOTS}\n")
                command = peer.command(folder, "dagster-daemon", "run", "-f", str(FLOWS / "dagster_served.py"))
            stack.enter_context(running(Command(command.argv, folder, {**command.env, **variables})))
            return lateness(folder, size, moment)

    return run


def lone(size: int) -> Callable[[], Sample]:
    """How late the first step of one schedule is that comes due every five seconds, of `size` of them."""

    def run() -> Sample:
        folder = project()
        with running(served(folder, 0, NEVER, BENCH_LONE="1")) as address:
            assert address
            before = costs()
            until(lambda: len(begun(folder)) > size, 5.0 * size + 60)
            late = [at % 5 for _, at in begun(folder)][1:]  # the first has the project imported
            return sample_of(late, costs() - before, {})

    return run


def event(size: int, kind: str) -> Callable[[], Sample]:
    """How long after it a step begins for an event, `size` times, one after the other.

    Args:
        size: how many.
        kind: `file` for one that is moved into a folder, `webhook` for a signed call.
    """

    def run() -> Sample:
        folder = project()
        late: list[float] = []
        with running(served(folder, 0, NEVER)) as address:
            before = costs()
            for number in range(size + 1):
                name, at = f"inbox/{number}.csv" if kind == "file" else f"call-{number}", time.time()
                if kind == "file":
                    (folder / "whole").write_text("1\n")
                    (folder / "whole").rename(folder / name)
                else:
                    call(address, name)
                until(lambda name=name: name in dict(begun(folder)), 60)
                late.append(dict(begun(folder))[name] - at)
                time.sleep(1.0)
            return sample_of(late[1:], costs() - before, {})

    return run


def at_rest(size: int) -> Callable[[], Sample]:
    """What a minute of a server costs in which none of its schedules comes due."""

    def run() -> Sample:
        with running(served(project(), size, NEVER)):
            time.sleep(3 * _SETTLED)
            before, began = costs(), time.perf_counter()
            time.sleep(60)
            cpu, seconds = costs() - before, time.perf_counter() - began
            more = {"rest MB": memory(), "% of a core": 100 * cpu / seconds, "processes": len(tree())}
        return Sample(seconds, cpu, peak_of_all(), more)

    return run


def project() -> Path:
    """A project whose pipelines the server has."""
    folder = fresh()
    (folder / "inbox").mkdir()
    (folder / "trikk.toml").write_text(f'name = "bench"\npipelines = ["pipelines"]\n[server]\nslots = {SLOTS}\n')
    shutil.copy(FLOWS / "trikk_served.py", folder / "pipelines.py")
    shutil.copy(FLOWS / "workload.py", folder)
    return folder


def served(folder: Path, size: int, line: str, **more: str) -> Command:
    """`trikk serve` of it, with so many schedules that come due by a line of cron."""
    variables = {"BENCH_CRON": line, "BENCH_SIZE": str(size), "BENCH_KEY": KEY, **more}
    return trikk_command(folder, "serve", "--port=0", **variables)


@contextlib.contextmanager
def running(command: Command) -> Iterator[str]:
    """A command while it runs; trikk's address, "" of others. Then it ends, and what it has started."""
    environ = process.environment(command.folder, Path(os.environ["HOME"]), **command.env)
    said = own_folder() / f"{Path(command.argv[0]).name}.txt"
    child = process.started(command.argv, command.folder, environ, said)

    def check() -> None:
        if child.poll() not in (None, 0):
            raise RuntimeError(f"ended with {child.returncode}: {said.read_text(errors='replace')[-600:]}")

    try:
        address = ""
        if "serve" in command.argv:
            until(lambda: "serving " in said.read_text() or child.poll() is not None, 60)
            check()
            address = said.read_text().partition("serving ")[2].split()[0]
        yield address
        check()
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(20)
        process.end(tree())
        child.wait()


def lateness(folder: Path, size: int, moment: float) -> Sample:
    """Wait for the steps of all that come due at a moment; how late they were, with the memory before it.

    Raises:
        RuntimeError: a step has begun twice.
    """
    time.sleep(max(0.0, moment - _SETTLED - time.time()))
    if begun(folder):
        raise RuntimeError("steps have begun before they were due")
    rest, before = memory(), costs()
    until(lambda: len(begun(folder)) >= size, moment - time.time() + _PATIENCE, every=0.25, strict=False)
    waited = time.time() - moment
    time.sleep(2.0)  # in which a double would show
    lines = begun(folder)
    if len(lines) != len(dict(lines)):
        raise RuntimeError(f"{len(lines) - len(dict(lines))} steps have begun twice")
    late = [at - moment for _, at in lines]
    # One that has not begun is at least as late as that.
    late += [waited] * (size - len(lines))
    return sample_of(late, costs() - before, {"rest MB": rest, "begun": len(lines)})


def sample_of(late: list[float], cpu: float, more: dict[str, float]) -> Sample:
    """A sample whose seconds are the 99th percentile of how late steps were."""
    if not late:
        raise RuntimeError("no step has begun")
    p99 = statistics.quantiles(late, n=100, method="inclusive")[-1]
    figures = {"median s": statistics.median(late), "p99 s": p99, "last s": max(late)}
    return Sample(p99, cpu, peak_of_all(), {**figures, **more})


def begun(folder: Path) -> list[tuple[str, float]]:
    """Which steps have begun, and when."""
    with contextlib.suppress(FileNotFoundError):
        pairs = (line.split() for line in (folder / "begun.txt").read_text().splitlines())
        return [(name, float(at)) for name, at in pairs]
    return []


def coming_minute(lead: float) -> tuple[float, str]:
    """The first whole minute that is so many seconds away: seconds since 1970, and as a line of cron in UTC."""
    moment = -(-int(time.time() + lead) // 60) * 60
    return moment, datetime.fromtimestamp(moment, UTC).strftime("%-M %-H %-d %-m *")


def tree() -> list[int]:
    """The processes that this way has started, and theirs."""
    return process.survivors(own_folder())


def memory() -> float:
    """Megabytes of them together; a page that several share counts once."""
    return sum(process.share_of(pid) or 0 for pid in tree()) / 1e6


def peak_of_all() -> int:
    """The largest peak of any of them, in bytes."""
    return max((process.peak_of(pid) or 0 for pid in tree()), default=0)


def costs() -> float:
    """Seconds of CPU of them and of their children that have ended."""
    seconds = 0.0
    for pid in tree():
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            seconds += sum(int(each) for each in fields[11:15]) / _TICKS
    return seconds


def call(address: str, name: str) -> None:
    """Make a signed call of the webhook."""
    from trikk.server.sources.webhook_signature import sign  # earlier builds have none

    body, at = json.dumps({"name": name}).encode(), int(time.time())
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": sign(base64.b64decode(KEY), name, at, body),
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(f"{address}/hooks/calls", body, headers)
    urllib.request.urlopen(request, timeout=30).close()


def wait_for(address: str) -> None:
    """Wait until an address answers."""

    def answers() -> bool:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(address, timeout=5).close()
            return True
        return False

    until(answers, 120)


def until(happened: Callable[[], bool], seconds: float, *, every: float = 0.05, strict: bool = True) -> None:
    """Wait until something has happened; RuntimeError after so many seconds, unless not `strict`."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            if strict:
                raise RuntimeError(f"it has not happened within {seconds:.0f} s")
            return
        time.sleep(every)
