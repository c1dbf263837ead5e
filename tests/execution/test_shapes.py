"""What runs, and how much at once: parallel steps, maps, conditions, several outputs."""

from __future__ import annotations

import json
import os

import numpy as np
import polars as pl
import pytest
from tests.execution.command import Folder, states_of, steps_of

from trikk import pipeline, step
from trikk.pipeline.graph import Graph
from trikk.testing import run_inline

CORES = len(os.sched_getaffinity(0))


def most_at_once(folder: Folder) -> int:
    spans = [tuple(map(float, line.split())) for line in folder.lines("intervals")]
    return max(sum(begin <= at < end for begin, end in spans) for at, _ in spans)


def test_as_many_steps_run_at_once_as_there_are_cores(folder: Folder) -> None:
    folder.good("run", "parallel", "-p", f"n={CORES + 2}")
    assert most_at_once(folder) == CORES


def test_steps_that_take_part_of_a_core_share_it(folder: Folder) -> None:
    folder.good("run", "parallel_tiny", "-p", f"n={CORES + 4}")
    assert CORES < most_at_once(folder) <= CORES * 10


def test_max_parallel_bounds_them(folder: Folder) -> None:
    folder.good("run", "parallel_tiny", "-p", "n=4", "--max-parallel", "1")
    assert most_at_once(folder) == 1


def test_a_step_that_wants_more_than_the_machine_runs_alone(folder: Folder) -> None:
    folder.good("run", "alone")
    assert most_at_once(folder) == 1


def test_steps_that_take_no_core_do_not_swamp_the_machine(folder: Folder) -> None:
    run = folder.good("run", "crowd", "-p", "n=300")
    assert steps_of(run)["free"]["outputs"][0]["summary"]["length"] == 300


def test_accelerators_that_are_not_there_are_refused_before_anything_runs(shared: Folder) -> None:
    error = shared.refused("run", "accelerated")
    assert "needs 1000 gpus" in error["what"]
    assert "pipelines.py" in error["where"]
    assert not [r for r in shared.good("runs")["runs"] if r["pipeline"] == "accelerated"]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_map_has_as_many_items_as_its_list(folder: Folder, n: int) -> None:
    run = folder.good("run", "mapped", "-p", f"n={n}")
    assert steps_of(run)["each"]["count"] == n
    assert steps_of(run)["total"]["outputs"][0]["summary"]["value"] == sum(range(n)) * 10


def test_a_failed_item_fails_the_map_and_resume_runs_only_that_item_again(folder: Folder) -> None:
    run = folder.failed("run", "mapped", "--keep-going")
    assert states_of(run) == {"made": "succeeded", "each": "failed", "total": "waiting"}
    assert [i["state"] for i in steps_of(run)["each"]["items"]] == [
        "succeeded",
        "succeeded",
        "failed",
        "succeeded",
    ]
    assert run["error"] == "step each[2]: ValueError: not mended (pipelines.py:236 in each)"
    folder.touch("mended")
    before = folder.lines("ran")
    done = folder.trikk("resume", "last")
    assert "run   each: it failed; 3 of its 4 items are reused" in done.err
    assert folder.lines("ran")[len(before) :] == ["each 2", "total"]
    assert folder.trikk("show", "last", "each[2]").code == 0


def test_without_keep_going_what_has_not_begun_is_left(folder: Folder) -> None:
    run = folder.failed("run", "branches", "--max-parallel", "1")
    assert states_of(run)["other"] == "waiting"


def test_keep_going_finishes_what_does_not_depend_on_the_failure(folder: Folder) -> None:
    run = folder.failed("run", "branches", "--keep-going")
    assert states_of(run) == {"each": "failed", "total": "waiting", "aside": "succeeded", "other": "succeeded"}


def test_conditions_on_outputs_parameters_enums_and_dates_decide_what_runs(shared: Folder) -> None:
    run = shared.good("run", "conditions")
    states = states_of(run)
    assert {name for name, state in states.items() if state == "skipped"} == {"bad"}
    values = {n: s["outputs"][0]["summary"]["value"] for n, s in steps_of(run).items() if s["outputs"]}
    assert values["label"] == "done first"
    assert (values["number"], values["text"], values["loop_2"]) == ("done 3", "done 3", "done 2")
    assert "mood" in steps_of(run)["bad"]["reason"] or "moody" in steps_of(run)["bad"]["reason"]


def test_what_needs_a_skipped_step_is_skipped_and_what_only_comes_after_it_is_not(shared: Folder) -> None:
    run = shared.good("run", "conditions", "-p", "value=3", "-p", "mood=BAD", "-p", "day=2020-02-29")
    skipped = {n: s["reason"] for n, s in steps_of(run).items() if s["state"] == "skipped"}
    assert set(skipped) == {"low", "below", "good", "late"}
    assert skipped["low"] == "score['mae'] < 2.0 is false (3.0 against 2.0)"
    assert skipped["below"] == "step low, whose output it needs, was skipped"
    assert states_of(run)["afterwards"] == "succeeded"
    assert states_of(run)["bad"] == "succeeded"


@step
def frames(n: int) -> list[pl.DataFrame]:
    return [pl.DataFrame({"a": [i, i + 1]}) for i in range(n)]


@step
def height(frame: pl.DataFrame, plus: int) -> int:
    return int(frame["a"].sum()) + plus


@pipeline
def over_frames(n: int = 3):
    height.map(frames(n), plus=1)


@step
def twice(number: int) -> int:
    return 2 * number


@pipeline
def map_of_map(numbers: list[int]):
    twice.options(name="again").map(twice.map(numbers))


@pipeline
def map_of_constants():
    twice.map([1, 2])


def test_a_map_goes_over_frames_parameters_constants_and_the_results_of_maps() -> None:
    assert run_inline(over_frames).output("height") == [2, 4, 6]
    assert run_inline(over_frames, n=0).output("height") == []
    assert run_inline(map_of_map, numbers=[1, 2]).output("again") == [4, 8]
    assert run_inline(map_of_constants).output("twice") == [2, 4]


@step
def mean(numbers: list[float], *, more: float = 0.0) -> dict[str, float]:
    return {"mean": np.mean(numbers) + more, "gap": np.float64("nan")}


@step
def half(number: float) -> float:
    return number / 2


@pipeline
def scores():
    half(mean([1.0, 2.0], more=np.float64(0.5))["mean"])


def test_numbers_of_numpy_go_from_step_to_step_as_constants_and_as_results() -> None:
    run = run_inline(scores)
    assert repr(run.output("mean")) == "{'mean': 2.0, 'gap': nan}"
    assert run.output("half") == 1.0
    assert scores.graph == Graph.read(json.loads(json.dumps(scores.graph.to_json())))
