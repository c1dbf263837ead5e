from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from trikk.core.errors import LeaseHeld
from trikk.runs.journals.lease import Holder, Lease, check_free, may_take

ME = Holder("here", "boot-2", 10, 100.0)
NOW = 1000.0


def held(host: str = "here", boot: str = "boot-2", expires: float = NOW + 30) -> Lease:
    return Lease("abc", 4, Holder(host, boot, 11, 50.0), expires)


@pytest.mark.parametrize(
    ("current", "alive", "take", "reason"),
    [
        (None, None, True, "nobody has it"),
        (held(), True, False, "its driver lives"),
        (held(expires=NOW - 1000), True, False, "its driver lives"),
        (held(), False, True, "its driver is dead"),
        (held(expires=NOW - 1), False, True, "its driver is dead"),
        (held(boot="boot-1"), None, True, "its host was restarted"),
        (held(boot="boot-1"), True, True, "its host was restarted"),
        (held(boot=""), True, False, "its driver lives"),
        (held(), None, False, "its driver is on another host and its lease has not run out"),
        (held(expires=NOW), None, True, "its lease ran out"),
        (held("there"), None, False, "its driver is on another host and its lease has not run out"),
        (held("there", "boot-1"), None, False, "its driver is on another host and its lease has not run out"),
        (held("there", expires=NOW), None, True, "its lease ran out"),
        (
            held("there", expires=NOW + 0.001),
            None,
            False,
            "its driver is on another host and its lease has not run out",
        ),
    ],
)
def test_who_may_take_a_run(current: Lease | None, alive: bool | None, take: bool, reason: str) -> None:
    decision = may_take(current, ME, alive, NOW)
    assert (decision.take, decision.reason) == (take, reason)


holders = st.builds(
    Holder,
    host=st.sampled_from(["here", "there"]),
    boot=st.sampled_from(["boot-1", "boot-2"]),
    pid=st.integers(1, 5),
    started=st.floats(0, 9),
)
leases = st.builds(Lease, st.just("abc"), st.integers(1, 9), holders, st.floats(0, 2000))


@given(current=leases, me=holders, now=st.floats(0, 2000))
def test_a_living_driver_of_this_host_and_boot_is_never_replaced(current: Lease, me: Holder, now: float) -> None:
    me = structs.replace(me, host=current.holder.host, boot=current.holder.boot)
    assert not may_take(current, me, True, now).take


@given(current=leases, me=holders, alive=st.sampled_from([None, False]), now=st.floats(0, 2000))
def test_a_run_can_be_taken_in_the_end(current: Lease, me: Holder, alive: bool | None, now: float) -> None:
    assert may_take(current, me, alive, max(now, current.expires)).take


@given(current=leases, me=holders, now=st.floats(0, 2000))
def test_nothing_but_its_end_frees_a_lease_of_another_host(current: Lease, me: Holder, now: float) -> None:
    if current.holder.host != me.host:
        assert may_take(current, me, None, now).take == (current.expires <= now)


def test_this_process_is_alive() -> None:
    me = Holder.current()
    assert me.pid == os.getpid()
    assert me.is_alive() is True
    assert Holder.current() == me


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_pid_that_another_process_has_now_is_not_the_driver() -> None:
    me = Holder.current()
    assert me.started > 0
    assert me.boot
    assert structs.replace(me, started=me.started - 1).is_alive() is False


def test_a_process_whose_start_is_unknown_is_judged_by_its_pid() -> None:
    assert structs.replace(Holder.current(), started=0.0).is_alive() is True


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_process_from_before_the_last_boot_is_dead() -> None:
    assert structs.replace(Holder.current(), boot="another").is_alive() is False


def test_whether_a_process_of_another_host_lives_can_not_be_told() -> None:
    assert structs.replace(Holder.current(), host="another").is_alive() is None


@pytest.mark.parametrize("pid", [0, -1, 2**31 - 1, 2**80])
def test_a_pid_that_no_process_has_is_dead(pid: int) -> None:
    assert structs.replace(Holder.current(), pid=pid).is_alive() is False


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_killed_process_is_dead_before_and_after_its_parent_has_seen_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        holder = structs.replace(Holder.current(), pid=process.pid, started=0.0)
        assert holder.is_alive() is True
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
        assert holder.is_alive() is False
        process.wait()
        assert holder.is_alive() is False


def test_a_refusal_names_host_pid_time_and_what_to_do() -> None:
    lease = Lease("abc", 1, Holder("elsewhere", "boot", 77, 1.0), expires=1000.0, since=500.0)
    with pytest.raises(LeaseHeld) as caught:
        check_free(lease, Holder.current(), 900.0)
    assert "77 on elsewhere since 1970-01-01T00:08:20.000Z" in caught.value.what
    assert "1970-01-01T00:16:40.000Z" in str(caught.value.next)
    check_free(lease, Holder.current(), 1000.0)
    check_free(None, Holder.current(), 0.0)
