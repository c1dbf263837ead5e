"""When a step is tried again, by the clock of `run_inline` and once for real."""

from __future__ import annotations

import pytest
from tests.execution.command import Folder, steps_of

from trikk import PermanentError, Retry, pipeline, step
from trikk.testing import ManualClock, run_inline

calls: list[int] = []


class Broken(Exception):
    pass


class MoreBroken(Broken):
    pass


@step
def unreliable(fails: int, kind: str) -> int:
    calls.append(1)
    if len(calls) <= fails:
        raise {"broken": Broken, "more": MoreBroken, "value": ValueError, "permanent": PermanentError}[kind](kind)
    return fails


EXACT = Retry(6, delay="1s", factor=3, max_delay="10s", jitter=0)


@pipeline(retry=EXACT)
def exact(fails: int, kind: str = "broken"):
    unreliable(fails, kind)


@pipeline
def shaken(fails: int):
    unreliable.options(retry=Retry(6, delay="1s", factor=3, max_delay="10s", jitter=0.5))(fails, "broken")


@pipeline
def choosy(fails: int, kind: str):
    unreliable.options(retry=Retry(3, delay=0, on=Broken))(fails, kind)


@pytest.fixture(autouse=True)
def forget_calls() -> None:
    calls.clear()


def waits(pipeline: object, fails: int) -> list[float]:
    clock = ManualClock()
    run = run_inline(pipeline, clock=clock, fails=fails)  # type: ignore[arg-type]
    assert run.state == "succeeded"
    return [e.body["retry_in"] for e in run.events if e.kind == "step.failed"]


def test_delays_grow_by_the_factor_up_to_the_cap() -> None:
    assert waits(exact, 5) == [1.0, 3.0, 9.0, 10.0, 10.0]


def test_jitter_takes_a_part_of_each_delay_away() -> None:
    found = waits(shaken, 5)
    for delay, full in zip(found, [1.0, 3.0, 9.0, 10.0, 10.0], strict=True):
        assert full * 0.5 <= delay <= full
    assert found != [1.0, 3.0, 9.0, 10.0, 10.0]


def test_the_driver_waits_as_long_as_it_says() -> None:
    clock = ManualClock()
    began = clock.monotonic()
    run_inline(exact, clock=clock, fails=3)
    assert clock.monotonic() - began == pytest.approx(13.0)


def test_attempts_are_counted_and_end() -> None:
    run = run_inline(exact, fails=99)
    assert run.state == "failed"
    assert run.run.steps["unreliable"].attempts == 6
    assert len(calls) == 6


def test_a_permanent_error_is_never_tried_again() -> None:
    run = run_inline(exact, fails=99, kind="permanent")
    assert (run.state, len(calls)) == ("failed", 1)


@pytest.mark.parametrize(("kind", "tried"), [("broken", 3), ("more", 3), ("value", 1), ("permanent", 1)])
def test_only_the_chosen_exceptions_and_their_kin_are_tried_again(kind: str, tried: int) -> None:
    run_inline(choosy, fails=99, kind=kind)
    assert len(calls) == tried


@pytest.mark.parametrize("jump", [-1e7, 1e7])
def test_a_clock_that_jumps_changes_no_delay_and_loses_no_lease(jump: float) -> None:
    class Jumping(ManualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            self.jump(jump)

    clock = Jumping()
    run = run_inline(exact, clock=clock, fails=5)
    assert run.state == "succeeded"
    assert clock.monotonic() == pytest.approx(33.0)


def test_a_flaky_step_succeeds_in_the_end_and_the_attempts_show(folder: Folder) -> None:
    run = folder.good("run", "retried", "-p", "times=2")
    assert steps_of(run)["flaky"]["attempts"] == 3
    logs = folder.good("logs", run["id"], "flaky")["logs"]
    assert [entry["step"] for entry in logs] == [f"flaky, attempt {n}" for n in (1, 2, 3)]
    assert "pipelines.Flaky: flaky" in logs[0]["text"]
    assert logs[2]["text"] == ""


@pytest.mark.parametrize("kind", ["value", "permanent"])
def test_other_failures_of_a_flaky_step_are_final(folder: Folder, kind: str) -> None:
    run = folder.failed("run", "retried", "-p", "times=2", "-p", f"kind={kind}")
    assert steps_of(run)["flaky"]["attempts"] == 1
