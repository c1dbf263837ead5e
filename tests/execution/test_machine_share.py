"""What drivers of one machine share: never more than there is, never in vain, and nothing is kept by the dead."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trikk.execution.driving import machine_share
from trikk.execution.driving.limits import Capacity
from trikk.execution.driving.machine_share import MachineShare
from trikk.testing import ManualClock

WHOLE = Capacity(cpus=2.0, memory=1e9, gpus=1, slots=64)
OTHER = """
import sys
from pathlib import Path
from trikk.core.clock import SystemClock
from trikk.execution.driving.limits import Capacity
from trikk.execution.driving.machine_share import MachineShare
share = MachineShare(Path(sys.argv[1]), Capacity(cpus=2.0, memory=1e9, gpus=1, slots=64), SystemClock())
for line in sys.stdin:
    cpus, memory, gpus = map(float, line.split())
    print(share.take((cpus, memory, int(gpus))) is not None, flush=True)
"""


class Other:
    """Another driver's process."""

    def __init__(self, file: Path) -> None:
        command = [sys.executable, "-c", OTHER, str(file)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def takes(self, cpus: float, memory: float = 0.0, gpus: int = 0) -> bool:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{cpus} {memory} {gpus}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == "True\n"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Other]:
    other = Other(tmp_path / "share")
    yield other
    other.process.kill()
    other.process.communicate()


def test_drivers_take_of_one_machine_and_a_killed_one_gives_all_back(tmp_path: Path, other: Other) -> None:
    clock = ManualClock(1000.0)
    share = MachineShare(tmp_path / "share", WHOLE, clock)
    assert other.takes(1.5, 6e8)
    assert share.take((1.0, 0.0, 0)) is None
    assert share.take((0.5, 5e8, 0)) is None  # the core that is free is not kept for the memory that is not
    assert share.is_waiting
    half = share.take((0.5, 0.0, 1))
    assert half is not None
    assert not share.is_waiting
    assert share.take((0.0, 0.0, 1)) is None
    assert share.take((0.0, 0.0, 0)) == frozenset()  # what takes nothing waits for nothing
    share.give(half)
    other.process.send_signal(signal.SIGKILL)
    other.process.wait()
    whole = share.take((8.0, 1e12, 0))  # more than there is: all of it
    assert whole is not None
    assert len(whole) == 8 + 512


def test_a_step_that_needs_much_is_overtaken_for_a_while_only_and_one_that_is_stopped_holds_nobody_up(
    tmp_path: Path, other: Other
) -> None:
    clock = ManualClock(1000.0)
    share = MachineShare(tmp_path / "share", WHOLE, clock)
    kept = share.take((0.5, 0.0, 0))
    assert kept is not None
    assert not other.takes(2.0)  # and has the turn from now on
    assert share.take((0.5, 0.0, 0)) is None
    share.give(kept)
    assert other.takes(2.0)
    other.process.kill()
    other.process.wait()
    again = Other(tmp_path / "share")
    kept = share.take((0.5, 0.0, 0))
    assert not again.takes(2.0)
    again.process.send_signal(signal.SIGSTOP)  # it has the turn, and does nothing any more
    assert share.take((0.5, 0.0, 0)) is None
    clock.advance(machine_share._TURN_SECONDS)
    assert share.take((0.5, 0.0, 0)) is not None
    again.process.kill()
    again.process.communicate()
