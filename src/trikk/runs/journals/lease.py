"""Who drives a run: a lease with an epoch, so that two drivers never write to one run.

The epoch grows with every taking (a fencing token): the journal refuses what comes with an older one. Whether
a run may be taken is decided by `may_take`, which does no I/O.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from trikk.core.clock import iso
from trikk.core.errors import LeaseHeld
from trikk.core.record import Record

LEASE_TTL = 30.0
"""Seconds after which another host may take a run whose driver is not heard of."""
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of linux/proc_ns.h
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Holder(Record, frozen=True):
    """One process, told from any other that ever had the same pid.

    Attributes:
        host: the host's name, with its pid namespace if that is a container's, whose pids mean nothing outside.
        boot: the kernel's boot id; empty if unknown.
        pid: the process id.
        started: start of the process in clock ticks since boot (field 22 of /proc/PID/stat); 0 if unknown.
    """

    host: str
    boot: str
    pid: int
    started: float

    @classmethod
    def current(cls) -> Holder:
        """This process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Holder:
        """A process of this machine."""
        started, _ = _start_and_state(pid)
        return cls(_host(), _boot(), pid, started)

    def is_alive(self) -> bool | None:
        """Whether the process lives; None if it is on another host.

        A zombie is dead, and so is a process whose pid another one has now.
        """
        if self.host != _host():
            return None
        boot = _boot()
        if self.boot and boot and self.boot != boot:
            return False
        if not _exists(self.pid):
            return False
        started, state = _start_and_state(self.pid)
        if state in ("Z", "X"):
            return False
        return not (self.started and started and self.started != started)


class Lease(Record, frozen=True):
    """The right to drive a run.

    Attributes:
        run: the run's id.
        epoch: greater than that of every earlier lease of the run.
        holder: the driver's process.
        expires: wall time in seconds since 1970, after which another host may take the run.
        since: wall time in seconds since 1970 at which it was taken.
    """

    run: str
    epoch: int
    holder: Holder
    expires: float
    since: float = 0.0


class Decision(Record, frozen=True):
    """Whether a run may be taken, and why."""

    take: bool
    reason: str


def may_take(current: Lease | None, me: Holder, alive: bool | None, now: float) -> Decision:
    """Decide whether `me` may drive a run.

    Args:
        current: the lease there is; None if nobody has the run.
        me: the process that asks.
        alive: whether the current holder's process lives; None if that can't be told from here.
        now: wall time in seconds since 1970.

    A holder that lives on this host keeps the run whatever the clock says: a clock that jumps must not give
    a run two drivers. One that died here is replaced at once, so that resuming need not wait.
    """
    if current is None:
        return Decision(True, "nobody has it")
    holder = current.holder
    if holder.host == me.host:
        if holder.boot and me.boot and holder.boot != me.boot:
            return Decision(True, "its host was restarted")
        if alive is False:
            return Decision(True, "its driver is dead")
        if alive is True:
            return Decision(False, "its driver lives")
    if current.expires <= now:
        return Decision(True, "its lease ran out")
    return Decision(False, "its driver is on another host and its lease has not run out")


def check_free(current: Lease | None, me: Holder, now: float) -> None:
    """Raise LeaseHeld if `me` may not take the run by `may_take`; asks the system whether the holder lives."""
    alive = current.holder.is_alive() if current else None
    if current is None or may_take(current, me, alive, now).take:
        return
    holder = current.holder
    stop = f"wait for it, or stop process {holder.pid} on {holder.host} and try again"
    if alive is None:
        stop += f"; if that host is gone, try again after {iso(current.expires)}"
    raise LeaseHeld(
        f"run {current.run} is driven by process {holder.pid} on {holder.host} since {iso(current.since)}",
        next=stop,
    )


def _host() -> str:
    name = socket.gethostname()
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return name
    return name if namespace == _INITIAL_PID_NAMESPACE else f"{name}/{namespace}"


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _exists(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _start_and_state(pid: int) -> tuple[float, str]:
    """(start in clock ticks, state letter) from /proc/PID/stat (proc_pid_stat(5)); (0, "") if it can't be read."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0.0, ""
    fields = stat[stat.rfind(b")") + 2 :].split()
    return float(fields[19]), fields[0].decode()
