"""The driver decides on plain values only: it never loads what the author's code would have to."""

from __future__ import annotations

import polars as pl
import pytest

from trikk import pipeline, step, when
from trikk.testing import run_inline


@step
def frame() -> pl.DataFrame:
    return pl.DataFrame({"load": [1, 2]})


@step
def opaque() -> object:
    return {1, 2}


@step
def large() -> list[int]:
    return list(range(5_000))


@step
def frames(x: int) -> list[pl.DataFrame]:
    return [pl.DataFrame({"load": [x]})]


@step
def twice(x: int) -> int:
    return 2 * x


@step
def note(text: str) -> str:
    return text


@pipeline
def on_a_frame() -> None:
    with when(frame()["load"] > 1):
        note("more")


@pipeline
def on_a_pickle() -> None:
    with when(opaque()):
        note("some")


@pipeline
def on_a_large_list() -> None:
    with when(large()[4_999] == 4_999):
        note("all")


@pipeline
def on_a_list_of_frames() -> None:
    with when(frames(1)):
        note("some")


@pipeline
def on_what_a_map_gave() -> None:
    doubled = twice.map([1, 2])
    with when(doubled[1] == 4):
        note("four")


REFUSED = {"frame": on_a_frame, "pickle": on_a_pickle, "frames": on_a_list_of_frames}


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED)
def test_a_condition_on_what_is_no_plain_value_fails_with_a_mend(made: object) -> None:
    run = run_inline(made)  # type: ignore[arg-type]
    assert run.state == "failed"
    assert "can't look into" in (run.error or "")
    assert run.run.steps["note"].attempts == 0


def test_a_condition_looks_into_a_list_that_the_journal_does_not_hold() -> None:
    assert run_inline(on_a_large_list).output("note") == "all"


def test_a_condition_looks_into_the_list_that_a_mapped_step_gives() -> None:
    assert run_inline(on_what_a_map_gave).output("note") == "four"
