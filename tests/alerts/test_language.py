"""Conditions: what they mean, what is not known, and where a wrong one is wrong."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.alerts.backtest.template import Template, without_place
from trikk.alerts.rules.language import parse, written_name
from trikk.alerts.rules.rule_condition import Name
from trikk.core.errors import UsageError

VALUES = {"mae": 4.0, "bias": -3.0, "quantile_0.9": 2.0, "own": 1.0, "coverage": 0.5}


def values(name: Name) -> float | None:
    if name.kind == "baseline":
        return 3.0
    if name.kind == "usual":
        return 2.0
    return VALUES.get(name.name)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("mae > 1.3 * baseline", True),
        ("mae > 1.4 * baseline", False),
        ("mae >= 4", True),
        ("mae + 1 < 4 or coverage <= .5", True),
        ("not mae > 3", False),
        ("abs(bias) == 3", True),
        ("-bias > 2 and mae / 2 <= usual", True),
        ("(mae - 1) * 2 > 5", True),
        ("(mae > 5 or mae > 3) and (((coverage))) < 1e0", True),
        ("quantile_0.9 != 2", False),
        ("lib.metrics:own < 2", True),
        ("mae > baseline(bias)", True),
        ("8 / 4 / 2 == 1", True),
        ("8 - 4 - 2 == 2", True),
        ("2 + 2 * 2 == 6", True),
        ("mae > 3 or unheard > 3", True),
        ("mae < 3 and unheard > 3", False),
        ("mae < 3 or unheard > 3", None),
        ("mae > 3 and unheard > 3", None),
        ("not unheard > 3", None),
        ("mae / 0 > 1", None),
        ("1e308 * 10 > 1", None),
    ],
)
def test_a_condition_means_what_it_says(text: str, holds: bool | None) -> None:
    assert parse(text).judge(values)[0] is holds


def test_a_comparison_tells_value_limit_and_excess() -> None:
    _, compared = parse("mae > 1.5 * usual and coverage < 1").judge(values)
    assert [(c.text, c.value, c.limit) for c in compared] == [
        ("mae > 1.5 * usual", 4.0, 3.0),
        ("coverage < 1", 0.5, 1.0),
    ]
    assert compared[0].excess == pytest.approx(1 / 3)


def test_a_metric_beside_a_baseline_is_that_of_the_same_cases() -> None:
    assert Name("metric", "mae", paired=True) in set(parse("mae > baseline").names())
    assert Name("metric", "mae") in set(parse("mae > 3 and bias > baseline").names())
    assert Name("baseline", "mae") in set(parse("mae > 2 * baseline").names())


def test_an_estimate_is_of_the_cases_of_what_it_is_compared_with() -> None:
    assert set(parse("estimated(mae) > 1.5 * usual").names()) == {Name("estimated", "mae"), Name("usual", "mae")}
    alone, beside = parse("estimated(mae) > 3"), parse("mae > 2 * estimated")
    assert set(alone.names()) == {Name("estimated", "mae")}
    assert set(beside.names()) == {Name("metric", "mae"), Name("estimated", "mae", paired=True)}
    with pytest.raises(UsageError, match="whose estimated"):
        parse("estimated > 3")


@pytest.mark.parametrize(
    ("text", "character"),
    [
        ("", 1),
        ("mae", 4),
        ("mae >", 6),
        ("> 3", 1),
        ("mae > 3 mae", 9),
        ("mae > 2 > 1", 9),
        ("mae & 3", 5),
        ("(mae > 3", 9),
        ("mae > (3", 9),
        ("abs mae > 3", 5),
        ("mae > 1.2.3", 7),
        ("mae > baseline(3)", 16),
        ("baseline > 3", 1),
        ("mae + bias > baseline", 1),
        ("mae > __import__('os')", 18),
        ("mae > open(3)", 11),
        ("mae > 3 and", 12),
        ("not", 4),
    ],
)
def test_a_wrong_condition_is_refused_with_its_place(text: str, character: int) -> None:
    with pytest.raises(UsageError, match=rf"at character {character}: ") as caught:
        parse(text)
    assert caught.value.next


@pytest.mark.parametrize(
    "text", ["(" * 400 + "1", "(" * 60 + "1" + ")" * 60 + "> 0", "not " * 200 + "mae > 1", "-" * 900]
)
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


@given(st.text("mae>< 0123.()+-*/=!notandorbsuliw:_é\n", max_size=60))
def test_any_text_is_a_condition_or_a_usage_error(text: str) -> None:
    try:
        found = parse(text)
    except UsageError:
        return
    assert found.judge(values)[0] in (True, False, None)


SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
numbers = st.integers(0, 20).map(lambda n: (str(n), n))
sums = st.recursive(
    numbers,
    lambda inner: st.tuples(inner, st.sampled_from(sorted(SIGNS)), inner).map(
        lambda p: (f"({p[0][0]} {p[1]} {p[2][0]})", SIGNS[p[1]](p[0][1], p[2][1]))
    ),
    max_leaves=8,
)


@given(sums, st.sampled_from([">", "<", ">=", "<=", "==", "!="]), sums)
def test_arithmetic_is_that_of_python(left: Any, sign: str, right: Any) -> None:
    compare = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq}
    wanted = compare.get(sign, operator.ne)(left[1], right[1])
    assert parse(f"{left[0]} {sign} {right[0]}").judge(values)[0] is wanted


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("f1[leak]", "f1[leak]"),
        ("recall[two words]", "recall[two words]"),
        ("recall[ two words ]", "recall[two words]"),
        ('recall["two words"]', "recall[two words]"),
        ("recall['two words']", "recall[two words]"),
        ('recall[ "  two" ]', "recall[  two]"),
        ("f1[3]", "f1[3]"),
        ("f1[-1]", "f1[-1]"),
        ("precision[valve [2]]", "precision[valve [2]]"),
        ('precision["2]"]', "precision[2]]"),
        (r'precision["say \"no\" \\ 1"]', 'precision[say "no" \\ 1]'),
        ("precision[Störung / groß]", "precision[Störung / groß]"),
        ("f1[and]", "f1[and]"),
        ("f1[a:b.c]", "f1[a:b.c]"),
        ("f1[x > 0.5 or y]", "f1[x > 0.5 or y]"),
        ("f1[X]", "f1[X]"),
    ],
)
def test_a_class_is_named_in_brackets_whatever_it_is_called(written: str, name: str) -> None:
    for text, kinds in (
        (f"{written} < 0.7", ["metric"]),
        (f"0.7 > {written} and not ({written}) > 1", ["metric", "metric"]),
        (f"estimated({written}) < 0.9 * usual", ["estimated", "usual"]),
        (f"{written} < usual({written}) - abs(baseline({written}))", ["metric", "usual", "baseline"]),
    ):
        found = [one for one in parse(text).names() if one.kind != "count"]
        assert [one.kind for one in found] == kinds
        assert {one.name for one in found} == {name}
    assert [one.name for one in parse(f"{written_name(name)} < 1").names()] == [name]
    template = Template.of(f"{written} < 0.7")
    assert (template.number, template.at(0.5)) == (0.7, f"{written} < 0.5")
    assert Template.of(f"{written} < X").at(0.5) == f"{written} < 0.5"
    assert without_place(f"{written} < X and {written} > 0") == f"{written} < 1 and {written} > 0"


@pytest.mark.parametrize("text", ["f1[] < 1", "f1[ ] < 1", "f1[a < 1", 'f1["a] < 1', 'f1["a"b] < 1', "f1['a < 1"])
def test_a_class_without_a_name_or_an_end_is_shown_where_it_begins(text: str) -> None:
    with pytest.raises(UsageError, match="at character 4: the name of a class") as refused:
        parse(text)
    assert str(refused.value.where).startswith("f1[[HERE] ")


def test_the_place_of_a_mistake_is_marked_by_nothing_that_a_condition_has() -> None:
    with pytest.raises(UsageError, match="at character 6") as refused:
        parse("mae >> 1.3")
    assert refused.value.where == "mae >[HERE] > 1.3"


def test_many_backslashes_cost_no_time() -> None:
    with pytest.raises(UsageError):
        parse('f1["' + "\\" * 900)
