"""Confusion matrices for people, and from a cell to its cases, the surest mistakes first."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from tests.monitoring.test_drill import City

from trikk.cli.monitor_commands.confusion_view import reasons_of, show_matrix
from trikk.cli.monitor_commands.monitor_view import monitor, trust_lines
from trikk.core.errors import UnknownName, UsageError
from trikk.models.task import Task
from trikk.monitoring.drilldown.drill import explain
from trikk.monitoring.estimates.trust import Trust
from trikk.monitoring.figures.matrix import Matrix, matrix_of, natural
from trikk.monitoring.figures.window_figures import Figures


def part(*cells: tuple[str, str, int]) -> Figures:
    return Figures("", "", 0, 0, 0, confusion=[list(cell) for cell in cells])


def made(*cells: tuple[str, str, int], order: Any = ()) -> Matrix:
    found = matrix_of([part(*cells)], order)
    assert found is not None
    return found


def test_windows_are_added_and_classes_are_in_the_order_of_the_model() -> None:
    parts = [part(("3", "3", 4), ("3", "20", 1)), part(("100", "3", 2), ("3", "20", 2)), Figures("", "", 5, 5, 5)]
    found = matrix_of(parts, ("100", "3", "20"))
    assert found is not None
    assert (found.classes, found.counts) == (("100", "3", "20"), ((0, 2, 0), (0, 4, 3), (0, 0, 0)))
    shown: Any = found.to_json()
    assert shown["by_class"] == [
        {
            "class": "100",
            "support": 2,
            "predicted": 0,
            "precision": None,
            "recall": 0.0,
            "f1": 0.0,
            "reasons": {"precision": "100 was never predicted"},
        },
        {
            "class": "3",
            "support": 7,
            "predicted": 6,
            "precision": 4 / 6,
            "recall": 4 / 7,
            "f1": 8 / 13,
            "reasons": {},
        },
        {
            "class": "20",
            "support": 0,
            "predicted": 3,
            "precision": 0.0,
            "recall": None,
            "f1": 0.0,
            "reasons": {"recall": "no case is 20"},
        },
    ]
    assert found.mistakes() == [("3", "20", 3), ("100", "3", 2)]
    assert matrix_of([Figures("", "", 5, 5, 5)], ("a", "b")) is None


def test_without_a_model_s_order_people_s_is_taken() -> None:
    texts = ["100", "20", "3", "-1.5", "pump 10", "pump 2", "Leak", "ok", "nan", "true"]
    ordered = ["-1.5", "3", "20", "100", "Leak", "nan", "ok", "pump 2", "pump 10", "true"]
    assert sorted(texts, key=natural) == ordered
    assert made(("20", "3", 1), ("100", "x", 1), order=("x",)).classes == ("x", "3", "20", "100")


def test_of_many_classes_those_with_most_mistakes_are_shown_and_the_others_together() -> None:
    cells = [(f"c{n}", f"c{n}", 10) for n in range(20)] + [("c7", "c3", 5), ("c12", "c3", 4), ("c1", "c2", 1)]
    whole = made(*cells)
    found = whole.bounded(4)
    assert found.classes == ("c3", "c7", "c12", "17 others")
    assert found.counts == ((10, 0, 0, 0), (5, 10, 0, 0), (4, 0, 10, 0), (0, 0, 0, 171))
    assert (found.total, whole.total, found.others) == (210, 210, 17)
    assert [one.name for one in found.by_class] == ["c3", "c7", "c12"]
    assert whole.bounded(20) == whole
    again = whole.bounded(10).bounded(4)
    assert again == found, "those that were counted together before are as many as they were"


def test_a_long_class_has_one_number_in_the_picture_and_in_the_shorter_table() -> None:
    whole = made(*((f"worn bearing {n}", f"worn bearing {n % 9}", 1 + n) for n in range(12)))
    found = [row for row, _ in whole.bounded(4).labels()]
    assert found == ["3: worn bearing 2", "11: worn bearing 10", "12: worn bearing 11", "9 others"]
    assert set(found[:3]) < {row for row, _ in whole.labels()}
    assert [over for _, over in whole.bounded(4).labels()] == ["3", "11", "12", "others"]


def test_long_classes_have_numbers_over_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    inner, outer = "worn bearing, inner ring", "worn bearing, outer ring\x1b[31m"
    show_matrix(made((inner, outer, 3), (outer, outer, 1200)), "two days")
    assert capsys.readouterr().out.splitlines() == [
        "",
        "two days: rows are the truth, columns what was predicted",
        "TRUTH                           1      2  CASES  RECALL",
        "1: worn bearing, inner ring     .      3      3    0.0%",
        "2: worn bearing, outer ring...  .  1,200  1,200  100.0%",
        "predicted                       .  1,203  1,203",
        "precision                       -  99.8%",
        "-: precision of worn bearing, inner ring: worn bearing, inner ring was never predicted",
    ]


def test_a_matrix_of_many_classes_is_no_wider_than_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_matrix(made(*((f"state {n}", f"state {n % 9}", 10**n % 977) for n in range(40))), "all")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    assert any("others" in line for line in lines)
    assert any("of 40 classes with most mistakes; --json has all" in line for line in lines)


class Plant(City):
    """A project whose monitor is of classes."""

    def __init__(self, root: Path, said: list[Any], truth: list[Any], sure: Any, **more: Any) -> None:
        super().__init__(root, **{"metrics": ("accuracy",), **more})
        ids = [f"{n}" for n in range(len(said))]
        self.add(
            "p", place=ids, value=said, prediction_id=ids, pump=[f"pump_{n % 2}" for n in range(len(said))], **sure
        )
        self.add("t", place=ids, count=truth)
        self.look()

    def order(self, **how: Any) -> list[tuple[str, Any, Any]]:
        return [(c["prediction_id"], c["error"], c["probability_of_predicted"]) for c in self.worst(**how)]


SAID = ["ok", "ok", "leak", "leak", "ok", "ok"]
TRUE = ["ok", "leak", "ok", "leak", "leak", None]
CHANCE = [0.1, 0.4, 0.75, 0.9, 0.125, 0.2]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path, SAID, TRUE, {"probability": CHANCE}, slices=("pump",), positive="leak")


def test_the_surest_mistakes_come_first_and_then_the_least_sure_that_are_right(plant: Plant) -> None:
    found = [("4", True, 0.875), ("2", True, 0.75), ("1", True, 0.6), ("0", False, 0.9), ("3", False, 0.9)]
    assert plant.order() == [*found, ("5", None, 0.8)]
    assert plant.order(truth="leak") == [found[0], found[2], found[4]]
    assert plant.order(truth="leak", predicted="ok") == [found[0], found[2]]
    assert plant.order(truth="leak", predicted="ok", slice_=("pump", "pump_1")) == [found[2]]
    assert plant.order(truth="ok", predicted="leak", slice_=("pump", "pump_1")) == []
    assert plant.order(predicted="leak", most=1) == [found[1]]
    with pytest.raises(UnknownName, match="no class in this window 'burst'"):
        plant.order(truth="burst")


def test_of_many_classes_it_is_the_probability_of_the_one_that_was_said(tmp_path: Path) -> None:
    sure = {
        "probability_3": [0.5, 0.2, 0.1],
        "probability_20": [0.3, 0.7, 0.1],
        "probability_100": [0.2, 0.1, 0.8],
    }
    plant = Plant(tmp_path, [3, 20, 100], [20, 3, 100], sure)
    assert plant.order() == [("1", True, 0.7), ("0", True, 0.5), ("2", False, 0.8)]
    assert plant.order(truth="20") == [("0", True, 0.5)], "100 less 3 is no error of 97"
    assert explain(plant.project, "0").error == -17.0
    known = msgspec.structs.replace(plant.spec, task=Task.MULTICLASS)
    plant.records.define(known, 1.0)
    told = explain(plant.project, "0")
    assert (told.observed, told.error) == (20, None)


@pytest.mark.parametrize(
    ("said", "truth", "sure", "more", "wanted"),
    [
        (
            [True, False],
            [1, 1],
            {"probability": [0.9, 0.3]},
            {"positive": True},
            [("1", True, 0.7), ("0", False, 0.9)],
        ),
        ([0.9, 0.2], [0, 1], {}, {"metrics": ("f1",)}, [("0", True, 0.9), ("1", True, 0.8)]),
        (["a", "b"], ["b", "b"], {}, {}, [("0", True, None), ("1", False, None)]),
    ],
    ids=["flags and numbers", "values that are probabilities", "without probabilities"],
)
def test_classes_of_other_kinds_are_put_in_order_alike(
    tmp_path: Path, said: Any, truth: Any, sure: Any, more: Any, wanted: Any
) -> None:
    assert Plant(tmp_path, said, truth, sure, **more).order() == wanted


def test_a_class_is_refused_where_values_are_numbers(tmp_path: Path) -> None:
    plant = Plant(tmp_path, [1.0, 2.0], [1.0, 4.0], {}, metrics=("mae",))
    with pytest.raises(UsageError, match="is of numbers, not of classes"):
        plant.worst(truth="1")
    assert [case["error"] for case in plant.worst()] == [-2.0, 0.0]


def test_the_command_shows_the_matrix_by_window_and_slice_and_its_cells(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(plant.project.settings.root)

    def run(*words: str) -> str:
        result = CliRunner().invoke(monitor, ["m", *words])
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    lines = run("--window", "2020-03-01").splitlines()
    assert [line for line in lines if line.startswith(("TRUTH", "leak ", "ok ", "predicted", "precision"))] == [
        "TRUTH       leak     ok  CASES  RECALL",
        "leak           1      2      3   33.3%",
        "ok             1      1      2   50.0%",
        "predicted      2      3      5",
        "precision  50.0%  33.3%",
    ]
    assert lines[-1] == "next: trikk monitor m --window 2020-03-01 --truth leak --predicted ok"
    assert "leak           1      2      3   33.3%" in run()
    cases = run("--window", "2020-03-01", "--truth", "leak", "--predicted", "ok", "--worst", "1").splitlines()
    heads = cases[0].split()
    assert heads[heads.index("PREDICTED") :][:3] == ["PREDICTED", "OBSERVED", "PROBABILITY_OF_PREDICTED"]
    assert not {"CORRECTIONS", "TOO_LATE"} & {*heads}
    assert (len(cases), cases[-1]) == (3, "next: trikk explain 4")
    sliced = json.loads(run("--window", "2020-03-01", "--slice", "pump=pump_1", "--json"))
    assert sliced["confusion_matrix"]["counts"] == [[1, 1], [0, 0]]
    whole = json.loads(run("--window", "2020-03-01", "--json"))
    assert [one["confusion_matrix"]["counts"] for one in whole["figures"]] == [
        [[1, 2], [1, 1]],
        [[0, 1], [1, 1]],
        [[1, 1], [0, 0]],
    ]
    together = json.loads(run("--json", "--last", "3"))
    assert together["confusion_matrix"]["classes"] == ["leak", "ok"]
    assert together["unseen_class_unknown"] == "table p does not say which model made a row"


def test_figures_that_lack_a_value_for_one_reason_at_the_same_windows_share_a_line() -> None:
    few, none = "12 labelled cases, and 200 are asked for", "no case of anomaly"
    first = replace(part(), reasons={"estimated(f1)": few, "estimated(auc)": few, "recall": none})
    second = replace(part(), reasons={"estimated(f1)": few, "estimated(auc)": few})
    assert reasons_of([("1 May", first), ("2 May", second)]) == {
        "estimated(f1), estimated(auc) (1 May, 2 May)": few,
        "recall (1 May)": none,
    }


def test_a_judgement_that_estimates_share_is_one_line_with_their_metrics() -> None:
    off = Trust("mcc", "trust", "the estimate of mcc was off by 4%")
    unknown = [Trust(metric, "not yet known", "too few labels") for metric in ("recall", "f1")]
    assert trust_lines([off, *unknown]) == [
        "estimate: trust: the estimate of mcc was off by 4%",
        "estimate: not yet known: too few labels (recall, f1)",
    ]
