"""A/B of classes: the metrics of both sides as scikit-learn has them, and sides that are about other classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace
from tests.monitoring.test_ab import NOTHING, SPEC, rows

from trikk.core.errors import UsageError
from trikk.models.registry import Registry
from trikk.models.signature import Field, Signature
from trikk.models.task import Classes, ClassValue, class_text
from trikk.models.version import ModelVersion
from trikk.monitoring.ab.ab_comparison import Comparison, compare
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.testing import MemoryTables

DAYS = 12
COUNT = 24 * DAYS
TEXTS: tuple[ClassValue, ...] = ("dry", "leak", "two words")


def registry(*classes: Classes | None) -> Registry:
    """A registry with a version of "people" for each."""
    found = Registry(MemoryJournal())
    for number, known in enumerate(classes):
        signature = None
        if known is not None:
            fields = (Field("x", "Float64"),), Field("value", "String")
            signature = Signature(*fields, task=known.task, classes=known, probabilities=True)
        found.register(ModelVersion("people", 0, NOTHING, signature=signature, created=float(number)))
    return found


class Cases:
    """Truth and two versions' predictions of classes, the second better than the first.

    Args:
        classes: the classes.
        probabilities: whether there are any.
        seed: of the chance in it.
    """

    def __init__(self, classes: Classes, *, probabilities: bool = True, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        count = len(classes.values)
        self.classes = classes
        self.truth = generator.choice(
            count, COUNT, p=np.array([6.0, 2, 1, 1, 1][:count]) / sum([6.0, 2, 1, 1, 1][:count])
        )
        self.shares = []
        for sharp in (0.8, 1.8):
            score = generator.normal(size=(COUNT, count)) + sharp * np.eye(count)[self.truth]
            share = np.exp(score)
            self.shares.append(share / share.sum(axis=1, keepdims=True))
        self.said = [share.argmax(axis=1) for share in self.shares]
        self.has_probabilities = probabilities

    def column(self, places: Any, name: str) -> pl.Series:
        return pl.Series(name, [self.classes.values[place] for place in places])

    def tables(self) -> dict[str, pl.DataFrame]:
        made = []
        for version, (share, said) in enumerate(zip(self.shares, self.said, strict=True), 1):
            frame = rows(DAYS, np.zeros(COUNT), version).with_columns(self.column(said, "value"))
            if self.has_probabilities:
                frame = frame.with_columns(
                    pl.Series(name, share[:, self.classes.values.index(one)])
                    for name, one in self.classes.columns().items()
                )
            made.append(frame)
        counts = made[0].select("sensor", "slot", self.column(self.truth, "count"))
        return {"predictions": pl.concat(made), "counts": counts}

    def versus(self, metric: str, spec: MonitorSpec = SPEC, **more: Any) -> Comparison:
        known = more.pop("known", None) or registry(self.classes, self.classes)
        tables = MemoryTables({**self.tables(), **more.pop("tables", {})})
        sides = more.pop("sides", ("people:1", "people:2"))
        return compare(replace(spec, metrics=(metric,)), tables, known, *sides, **more)


def expected(metric: str, cases: Cases, side: int) -> float:
    """What scikit-learn says."""
    from sklearn import metrics as sk

    values, texts = cases.classes.values, cases.classes.texts
    truth, said = ([texts[place] for place in places] for places in (cases.truth, cases.said[side]))
    share = cases.shares[side]
    positive = cases.classes.positive
    two = positive is not None
    order = np.argsort(texts)  # scikit-learn's
    chance = share[:, values.index(positive)] if positive is not None else share
    was = np.array(truth) == class_text(positive) if positive is not None else np.array(truth)
    single, _, average = metric.partition("[")[0].partition("_")
    if metric in ("accuracy", "balanced_accuracy"):
        return float(getattr(sk, f"{metric}_score")(truth, said))
    if metric == "mcc":
        return float(sk.matthews_corrcoef(truth, said))
    if metric == "auc":
        return float(
            sk.roc_auc_score(was, chance) if two else sk.roc_auc_score(was, share[:, order], multi_class="ovr")
        )
    if metric == "logloss":
        return float(sk.log_loss(was, chance) if two else sk.log_loss(was, share[:, order]))
    if metric == "brier":
        hot = np.eye(len(values))[cases.truth]
        return float(np.mean((chance - was) ** 2) if two else np.mean(((share - hot) ** 2).sum(axis=1)))
    if metric == "average_precision":
        hot = np.eye(len(values))[cases.truth]
        return float(sk.average_precision_score(was if two else hot, chance, average="macro"))
    if metric == "top_2_accuracy":
        return float(sk.top_k_accuracy_score(cases.truth, share, k=2))
    score = getattr(sk, f"{single}_score")
    if average:
        return float(score(truth, said, average=average, zero_division=0))
    of = metric.partition("[")[2][:-1] or class_text(positive or "")
    return float(score(truth, said, labels=[of], average="macro"))


KINDS = {
    "texts": Classes(("leak", "ok"), "leak"),
    "flags": Classes((False, True)),
    "numbers": Classes((0, 1)),
    "three texts": Classes(TEXTS),
    "five numbers": Classes((3, 20, 100, 7, 8)),
}
OF_TWO = ("precision", "recall", "f1", "calibration")
OF_ANY = (
    *("accuracy", "balanced_accuracy", "mcc", "precision_macro", "recall_macro", "f1_macro", "precision_weighted"),
    *("recall_weighted", "f1_weighted", "logloss", "brier", "auc", "average_precision"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_have_scikit_learns_figures_of_the_common_cases(kind: str) -> None:
    cases = Cases(KINDS[kind])
    text = cases.classes.texts[-1]
    own = OF_TWO[:3] if cases.classes.positive is not None else ("top_2_accuracy",)
    for metric in (*OF_ANY, *own, *(f"{one}[{text}]" for one in OF_TWO[:3])):
        found = cases.versus(metric)
        assert found.whole.cases == COUNT
        both = (expected(metric, cases, 0), expected(metric, cases, 1))
        assert (found.whole.first, found.whole.second) == pytest.approx(both), metric
        assert found.whole.spread.difference == pytest.approx(both[1] - both[0]), metric
        assert found.whole.spread.low is not None, metric
        assert found.better == ("lower" if metric in ("logloss", "brier") else "higher")
    assert cases.versus("accuracy").whole.verdict.state == "better"
    assert cases.versus("auc").whole.verdict.state == "better"
    assert cases.versus("logloss", sides=("people:2", "people:1")).whole.verdict.state == "worse"


def test_slices_and_weeks_have_their_own_figures() -> None:
    cases = Cases(Classes(TEXTS))
    found = cases.versus("f1_macro", replace(SPEC, slices=("hour",)))
    assert [one.value for one in found.slices] == [str(hour) for hour in range(24)]
    assert sum(one.cases for one in found.slices) == COUNT
    ranked = cases.versus("auc", replace(SPEC, slices=("hour",)))
    assert len(ranked.slices) == 24


def test_the_error_of_an_f1_is_that_of_the_jackknife() -> None:
    cases = Cases(Classes(TEXTS))
    found = cases.versus("f1_macro").whole.spread
    day = np.arange(COUNT) // 24
    without = []
    for left in range(DAYS):
        part = Cases(Classes(TEXTS))
        keep = day != left
        part.truth, part.said = part.truth[keep], [said[keep] for said in part.said]
        part.shares = [share[keep] for share in part.shares]
        without.append(expected("f1_macro", part, 1) - expected("f1_macro", part, 0))
    error = float(np.sqrt((DAYS - 1) / DAYS * ((np.array(without) - np.mean(without)) ** 2).sum()))
    wider = np.sqrt((1 + found.alike) / (1 - found.alike))
    assert found.error / wider == pytest.approx(error, rel=0.25)


@pytest.mark.parametrize("metric", ["auc", "average_precision"])
@pytest.mark.parametrize("kind", ["texts", "three texts"])
def test_what_a_day_makes_of_a_ranking_is_what_it_is_without_it(metric: str, kind: str) -> None:
    cases = Cases(KINDS[kind])
    day, errors = np.arange(COUNT) // 24, []
    for left in range(DAYS):
        part = Cases(KINDS[kind])
        part.truth, part.shares = part.truth[day != left], [share[day != left] for share in part.shares]
        part.said = [said[day != left] for said in part.said]
        errors.append(expected(metric, part, 1) - expected(metric, part, 0))
    error = float(np.sqrt((DAYS - 1) / DAYS * ((np.array(errors) - np.mean(errors)) ** 2).sum()))
    found = cases.versus(metric).whole.spread
    assert found.error / np.sqrt((1 + found.alike) / (1 - found.alike)) == pytest.approx(error, rel=0.03)


def test_what_is_not_defined_says_why() -> None:
    cases = Cases(Classes(("leak", "ok"), "leak"))
    cases.said[1][:] = 1
    found = cases.versus("precision")
    assert (found.whole.second, found.whole.verdict.reason) == (None, "leak was never predicted")
    assert found.sentence.endswith("leak was never predicted")
    cases.truth[:] = 1
    found = cases.versus("auc")
    assert (found.whole.first, found.whole.verdict.reason) == (None, "no case is leak")


def test_a_class_on_one_day_only_gives_a_figure_and_no_verdict() -> None:
    cases = Cases(Classes(("leak", "ok"), "leak"))
    cases.truth[:] = 1
    cases.truth[:5] = 0
    found = cases.versus("auc").whole
    assert found.first == pytest.approx(expected("auc", cases, 0))
    assert (found.verdict.state, found.spread.low) == ("not yet known", None)
    assert found.verdict.reason == "without some of the days the metric is not defined"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (Classes(("leak", "ok"), "leak"), Classes(("leak", "ok"), "ok"), "another positive class"),
        (Classes(("leak", "ok"), "leak"), Classes(("dry", "worn"), "dry"), "no class in common"),
        (Classes(TEXTS), Classes((3, 20, 100)), "the classes of one are texts, of the other numbers"),
    ],
)
def test_sides_that_are_about_other_classes_are_not_compared(first: Classes, second: Classes, told: str) -> None:
    cases = Cases(first)
    with pytest.raises(UsageError, match=f"people:1 .* and people:2 .* can't be compared: .*{told}") as refused:
        cases.versus("accuracy", known=registry(first, second))
    assert "positive=" in str(refused.value.next)


def of_one_more(first: int) -> tuple[Cases, Any]:
    """Cases of classes of which the first version knows only the first two or three, and a registry of both."""
    values = ("leak", "ok", "dry", "worn")[: first + 1]
    cases = Cases(Classes(values))
    share = cases.shares[0][:, :first]
    share = share / share.sum(axis=1, keepdims=True)
    cases.shares[0] = np.hstack([share, np.zeros((COUNT, 1))])
    cases.said[0] = share.argmax(axis=1)
    return cases, registry(Classes(values[:first], "leak" if first == 2 else None), Classes(values))


@pytest.mark.parametrize("first", [2, 3])
def test_a_version_that_knows_one_class_more_is_compared(first: int) -> None:
    cases, known = of_one_more(first)
    predictions = cases.tables()["predictions"]
    is_first = pl.col("model_version") == 1
    new = f"probability_{cases.classes.texts[-1]}"
    predictions = predictions.with_columns(pl.when(~is_first).then(new).alias(new))  # it has no such column
    if first == 2:
        names = [name for name in predictions.columns if name.startswith("probability_")]
        likely = pl.when(is_first).then("probability_leak").alias("probability")
        predictions = predictions.with_columns(likely, *(pl.when(~is_first).then(n).alias(n) for n in names))
    tables = {"predictions": predictions}
    of_counts = ("accuracy", "balanced_accuracy", "mcc", "f1_macro", "precision_weighted", "f1[leak]")
    for metric in (*of_counts, *(("brier", "auc", "average_precision", "top_2_accuracy") if first > 2 else ())):
        found = cases.versus(metric, known=known, tables=tables)
        both = (expected(metric, cases, 0), expected(metric, cases, 1))
        assert (found.whole.first, found.whole.second) == pytest.approx(both), metric
        count = int((cases.truth == first).sum())
        assert found.to_json()["unseen_classes"] == {cases.classes.texts[-1]: count}
        words = f"people:1 does not know, and counted as wrong for it: {cases.classes.texts[-1]} ({count})"
        assert found.unseen_words == (f"of classes that {words}",)
    new_one = cases.versus(f"f1[{cases.classes.texts[-1]}]", known=known, tables=tables).whole
    assert new_one.first == 0
    with pytest.raises(UsageError, match="logloss does not compare people:1") as refused:
        cases.versus("logloss", known=known, tables=tables)
    fit = str(refused.value.next)
    assert "f1_macro" in fit
    assert ("auc" in fit, "top_2_accuracy" in fit, "logloss" in fit) == (first > 2, first > 2, False)
    if first == 2:
        with pytest.raises(UsageError, match=r"auc does not compare .* the positive one"):
            cases.versus("auc", known=known, tables=tables)
        with pytest.raises(UsageError, match="f1 does not fit many classes"):
            cases.versus("f1", known=known, tables=tables)


def test_the_order_of_classes_makes_no_difference() -> None:
    cases = Cases(Classes(TEXTS))
    known = registry(Classes(TEXTS), Classes(TEXTS[::-1]))
    assert cases.versus("logloss", known=known).whole.first == pytest.approx(expected("logloss", cases, 0))


@pytest.mark.parametrize(
    ("classes", "metric", "told", "instead"),
    [
        (Classes(TEXTS), "f1", "f1 does not fit many classes", "f1_macro, f1_weighted or f1[CLASS]"),
        (Classes(TEXTS), "mae", "mae does not fit many classes", "f1_macro"),
        (Classes(TEXTS), "f1[worn]", "there is no such class", "dry, leak, two words"),
        (Classes(("leak", "ok"), "leak"), "rmse", "rmse does not fit two classes", "f1"),
        (Classes(("leak", "ok"), "leak"), "top_2_accuracy", "top_2_accuracy does not fit two classes", "f1"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused_with_those_that_do(
    classes: Classes, metric: str, told: str, instead: str
) -> None:
    with pytest.raises(UsageError, match=told.replace("[", r"\[")) as refused:
        Cases(classes).versus(metric)
    assert instead in str(refused.value.next)


def test_a_version_without_probabilities_is_compared_by_what_it_says() -> None:
    cases = Cases(Classes(TEXTS), probabilities=False)
    assert cases.versus("f1_macro").whole.second == pytest.approx(expected("f1_macro", cases, 1))
    with pytest.raises(UsageError, match="people:1 has no probabilities, and logloss is made of them") as refused:
        cases.versus("logloss")
    assert "compare by accuracy" in str(refused.value.next)
    assert "f1_macro" in str(refused.value.next)
    assert "auc" not in str(refused.value.next)


def test_a_column_of_another_rule_is_compared_without_the_model_s_probabilities() -> None:
    cases = Cases(Classes(("leak", "ok"), "leak"))
    predictions = cases.tables()["predictions"].with_columns(pl.lit("leak").alias("naive"))
    tables = {"predictions": predictions.filter(pl.col("model_version") == 1)}
    found = cases.versus("recall", tables=tables, sides=("people:1", "column:naive"))
    assert (found.whole.first, found.whole.second) == (pytest.approx(expected("recall", cases, 0)), 1.0)
    with pytest.raises(UsageError, match="column:naive has no probabilities"):
        cases.versus("auc", tables=tables, sides=("people:1", "column:naive"))


def test_a_shadow_s_numbers_and_the_truth_s_are_the_same_classes() -> None:
    cases = Cases(Classes((3, 20, 100)))
    tables = cases.tables()
    first, second = (tables["predictions"].filter(pl.col("model_version") == one) for one in (1, 2))
    shadow = {"predictions": first, "shadow": second.with_columns(pl.col("value").cast(pl.Float64))}
    found = cases.versus("f1[20]", tables=shadow)
    assert found.whole.second == pytest.approx(expected("f1[20]", cases, 1))
    assert found.places == ("people:2: 288 in shadow",)


def test_classes_without_a_signature_are_read_from_the_rows() -> None:
    cases = Cases(Classes(TEXTS))
    found = cases.versus("f1_macro", known=registry(None, None))
    assert found.whole.second == pytest.approx(expected("f1_macro", cases, 1))
    two = Cases(Classes(("leak", "ok"), "leak"))
    spec = replace(SPEC, positive="leak")
    assert two.versus("auc", spec, known=registry(None, None)).whole.second == pytest.approx(
        expected("auc", two, 1)
    )


@pytest.mark.parametrize("metric", ["f1", "auc", "brier", "calibration"])
def test_counts_are_no_two_classes(metric: str) -> None:
    made = pl.concat([rows(DAYS, np.full(COUNT, 3.0), version) for version in (1, 2)])
    counts = made.head(COUNT).select("sensor", "slot", (pl.col("slot").dt.hour() % 3 * 10.0).alias("count"))
    tables = MemoryTables({"predictions": made, "counts": counts})
    with pytest.raises(UsageError, match=f"{metric} is of two classes, 0 and 1, and 'counts.count' has 0, 10, 20"):
        compare(replace(SPEC, metrics=(metric,)), tables, registry(None, None), "people:1", "people:2")


def test_the_monitor_s_positive_class_is_that_of_both_sides() -> None:
    cases = Cases(Classes(("leak", "ok"), "leak"))
    tables = cases.tables()["predictions"].with_columns(
        pl.when(pl.col("model_version") == 2)
        .then(1 - pl.col("probability"))
        .otherwise("probability")
        .alias("probability")
    )
    known = registry(Classes(("leak", "ok"), "leak"), Classes(("leak", "ok"), "ok"))
    found = cases.versus("brier", replace(SPEC, positive="leak"), known=known, tables={"predictions": tables})
    both = (expected("brier", cases, 0), expected("brier", cases, 1))
    assert (found.whole.first, found.whole.second) == pytest.approx(both)


def agreement(truths: Any, values: Any) -> float:
    return float(np.mean(truths == values))


def test_an_own_metric_takes_classes_in_their_own_type() -> None:
    for kind in KINDS:
        cases = Cases(KINDS[kind])
        found = cases.versus(f"{__name__}:agreement", better="higher")
        assert found.whole.first == pytest.approx(expected("accuracy", cases, 0))
        assert found.whole.verdict.state == "better"
