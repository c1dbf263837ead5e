from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.errors import ParameterError, UnknownName, UsageError
from trikk.pipeline.graph import ParameterSpec
from trikk.pipeline.parameters.parameter_kinds import Kind
from trikk.tracking.space import Choices, Range, Space, grid, read_space
from trikk.tracking.trials import Plan, Trial, better_of, check_direction, rank

KINDS = {
    "rate": Kind("float"),
    "weeks": Kind("int"),
    "name": Kind("str"),
    "day": Kind("date"),
    "loss": Kind("enum", choices=("SQUARED", "ABSOLUTE"), enum_class="m:Loss"),
    "flag": Kind("bool"),
    "depth": Kind("optional", of=Kind("int")),
    "days": Kind("list", of=Kind("int")),
}
SPECS = [ParameterSpec(name, kind, required=False) for name, kind in KINDS.items()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rate=0.05,0.1, 0.2", Choices((0.05, 0.1, 0.2))),
        ("rate=0.01..0.3", Range(0.01, 0.3, whole=False, log=False)),
        ("rate=log:1e-4..1e-1", Range(1e-4, 0.1, whole=False, log=True)),
        ("rate=-1..1", Range(-1.0, 1.0, whole=False, log=False)),
        ("weeks=4..20", Range(4, 20, whole=True, log=False)),
        ("depth=none,3", Choices((None, 3))),
        ("depth=1..9", Range(1, 9, whole=True, log=False)),
        ("name=a,b", Choices(("a", "b"))),
        ('name=["a,b", "c"]', Choices(("a,b", "c"))),
        ("day=2020-03-01,2020-03-02", Choices(("2020-03-01", "2020-03-02"))),
        ("loss=SQUARED,ABSOLUTE", Choices(("SQUARED", "ABSOLUTE"))),
        ("flag=true,false", Choices((True, False))),
        ("days=[[1,2],[3]]", Choices(([1, 2], [3]))),
    ],
)
def test_several_values_or_a_range_are_searched(text: str, found: Any) -> None:
    name, _, value = text.partition("=")
    assert read_space(SPECS, {name: value}).searched == {name: found}


@pytest.mark.parametrize(
    ("text", "value"), [("days=1,2", [1, 2]), ("days=[1,2]", [1, 2]), ("rate=0.1,0.1", 0.1), ("name=1..2", "1..2")]
)
def test_one_value_stays_the_same(text: str, value: Any) -> None:
    name, _, given_text = text.partition("=")
    assert read_space(SPECS, {"weeks": "1,2", name: given_text}).fixed == {name: value}


@pytest.mark.parametrize(
    "text",
    [
        "rate=a,b",
        "rate=0.1,",
        "rate=2..1",
        "rate=log:0..1",
        "rate=nan..1",
        "weeks=1.5..2",
        "weeks=1,2.5",
        "loss=SQUARED,CUBIC",
        "days=[[1],[a]]",
        "name=[",
        "name=[]",
        "rate=..",
        "day=2020-03-01..2020-03-04",
    ],
)
def test_what_does_not_fit_is_refused_with_the_text(text: str) -> None:
    name, _, value = text.partition("=")
    with pytest.raises(ParameterError):
        read_space(SPECS, {name: value})


def test_a_search_needs_a_known_parameter_with_several_values() -> None:
    with pytest.raises(UnknownName, match="rat"):
        read_space(SPECS, {"rat": "1,2"})
    with pytest.raises(ParameterError, match="nothing to search"):
        read_space(SPECS, {"rate": "1"})


def test_a_grid_has_every_combination_once_but_no_range() -> None:
    space = Space({"a": Choices((1, 2)), "b": Choices(("x", "y", "z"))})
    combinations = grid(space)
    assert [tuple(c.values()) for c in combinations] == [(a, b) for a in (1, 2) for b in "xyz"]
    with pytest.raises(ParameterError, match="range"):
        grid(Space({"a": Range(1, 2, whole=True, log=False)}))
    with pytest.raises(ParameterError, match="1,000,000 runs"):
        grid(Space({name: Choices(tuple(range(1000))) for name in "ab"}))


def test_a_space_is_read_back_equal() -> None:
    space = read_space(SPECS, {"rate": "log:0.1..1", "days": "[[1],[2]]", "depth": "none,1", "name": "x"})
    assert Space.read(space.to_json()) == space


values = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0, math.nan]))


@given(st.lists(st.tuples(values, st.sampled_from(["succeeded", "failed", "cancelled"]))), st.booleans())
def test_ranks_are_those_of_the_finite_values_of_runs_that_succeeded(
    found: list[tuple[float | None, str]], maximize: bool
) -> None:
    trials = [Trial(n, f"r{n}", {}, state, value) for n, (value, state) in enumerate(found)]
    ranked = rank(reversed(trials), maximize=maximize)
    assert sorted(t.number for t in ranked) == list(range(len(trials)))
    good = [t for t in ranked if t.rank is not None]
    assert [t.rank for t in good] == list(range(1, len(good) + 1))
    assert ranked[: len(good)] == good
    assert {t.number for t in good} == {
        t.number for t in trials if t.state == "succeeded" and t.value is not None and math.isfinite(t.value)
    }
    sign = -1 if maximize else 1
    keys = [(sign * t.value, t.number) for t in good if t.value is not None]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("metric", "maximize", "order"),
    [
        ("bias", False, [1, 3, 0, 2]),
        ("score.bias", False, [1, 3, 0, 2]),
        ("calibration", False, [1, 3, 0, 2]),
        ("mae", False, [2, 1, 3, 0]),
        ("bias", True, [0, 3, 1, 2]),
    ],
)
def test_the_best_bias_is_the_one_nearest_to_zero(metric: str, maximize: bool, order: list[int]) -> None:
    plan = Plan("s", "train", read_space(SPECS, {"rate": "0.1,0.2"}), metric, maximize, None)
    trials = [Trial(n, "", {}, "succeeded", value) for n, value in enumerate([5.0, -0.5, -9.0, 1.0])]
    assert [t.number for t in rank(trials, maximize=plan.maximize, compared=plan.compared)] == order


@pytest.mark.parametrize(
    ("metric", "better"),
    [
        ("f1", "higher"),
        ("score.auc", "higher"),
        ("score.holdout.rmse", "lower"),
        ("score.quantile_0.9", "lower"),
        ("quantile_0.9", "lower"),
        ("bias", "zero"),
        ("error", ""),
        ("val_f1", ""),
        ("f1.gap", ""),
        ("lib:mae", ""),
        ("lib:f1.gap", ""),
    ],
)
def test_the_worst_of_a_metric_that_is_known_can_not_win(metric: str, better: str) -> None:
    assert better_of(metric) == better
    for maximize, wrong in ((False, "higher"), (True, "lower")):
        if better == wrong:
            with pytest.raises(UsageError, match=f"a (larger|smaller) {metric} is better") as refused:
                check_direction(metric, maximize=maximize)
            assert "--maximize" in str(refused.value.next)
        else:
            check_direction(metric, maximize=maximize)
