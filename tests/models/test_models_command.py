from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.naive_bayes import GaussianNB
from tests.execution.command import Folder
from tests.models.making import version

from trikk.execution.project import Project
from trikk.models.register import infer
from trikk.models.registry import Registry

PIPELINES = """
import polars as pl
from trikk import Model, Table, better_by, pipeline, predict, promote_if, register_model, step

class Times:
    def __init__(self, factor): self.factor = factor
    def predict(self, rows): return rows["x"] * self.factor

@step
def rows() -> pl.DataFrame:
    return pl.DataFrame({"id": range(20)}).with_columns(x=pl.col("id") / 7, truth=pl.col("id") * 2 / 7)

@step
def fit(factor: float) -> Times:
    return Times(factor)

@step
def inputs(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("x")

@pipeline
def train(factor: float = 1.0):
    given = rows()
    version = register_model(fit(factor), "people", inputs=inputs(given), metrics={"mae": factor})
    promote_if(better_by(0.1), version, rows=given, target="truth")

@pipeline
def nightly():
    Table("predictions").append(predict(Model("people@champion"), rows(), key="id", keep=["truth"]))
"""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A project with three versions, of which the second is champion."""
    folder = Folder(tmp_path_factory.mktemp("city"))
    folder.write(trikk='name = "city"\n', pipelines=PIPELINES)
    for factor in ("1.0", "2.0", "1.5"):
        folder.good("run", "train", "-p", f"factor={factor}")
    return folder


def champion(folder: Folder, *more: str) -> int | None:
    found: int | None = folder.good("models", "people", *more)["aliases"].get("champion")
    return found


def test_models_are_listed_with_their_aliases(city: Folder) -> None:
    [model] = city.good("models")["models"]
    assert (model["name"], model["versions"]) == ("people", 3)
    text = city.trikk("models").out
    assert "people" in text
    assert "champion: " in text


def test_aliases_are_moved_rolled_back_and_approved_by_hand(city: Folder) -> None:
    assert champion(city) == 2
    city.good("models", "promote", "people", "3", "--why", "the second looks odd")
    assert champion(city) == 3
    assert "version 3 -> version 2" in city.trikk("models", "rollback", "people", "--why", "no").out
    assert champion(city) == 2
    city.good("models", "require-approval", "people")
    assert "requires approval" in city.trikk("models", "promote", "people", "1").out
    assert champion(city) == 2
    assert "trikk models approve people" in city.trikk("models", "people").out
    move = city.good("models", "approve", "people")["move"]
    assert move["approved_by"] == move["by"]
    assert "@" in move["by"]
    city.good("models", "rollback", "people")
    city.good("models", "require-approval", "people", "--off")
    history = city.good("models", "people")["moves"]
    assert [m["version"] for m in history] == [1, 2, 3, 2, 1, 2]
    assert history[2]["why"] == "the second looks odd"
    assert champion(city) == 2


def test_a_promotion_of_a_past_that_is_filled_in_counts_from_when_it_is_told(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "city"\ntimezone = "Pacific/Auckland"\n', pipelines=PIPELINES)
    for factor in ("1.0", "1.01"):
        folder.good("run", "train", "-p", f"factor={factor}")

    def then(at: str) -> Any:
        return folder.good("models", "people@champion", "--at", at)["aliases"]["champion"]

    assert (champion(folder), then("2020-03-03")) == (1, None)
    said = folder.trikk("models", "promote", "people", "1", "--at", "2020-03-01", "--why", "it was").out
    assert "from 2020-03-01 00:00:00 NZDT on" in said, "a day begins by the project's clock"
    assert (then("2020-02-29"), then("2020-03-01T00:00"), then("2020-03-03")) == (None, 1, 1)
    assert "already" in folder.trikk("models", "promote", "people", "1", "--at", "2020-03-02").out
    for number in ("1", "2"):  # whether it is the holder or not
        assert (
            "in the future" in folder.refused("models", "promote", "people", number, "--at", "2999-01-01")["what"]
        )
    assert "not a time" in folder.refused("models", "promote", "people", "2", "--at", "monday")["what"]
    move = folder.good("models", "promote", "people", "2", "--alias", "past", "--at", "2020-04-01T12:00Z")["move"]
    assert move["at"] == datetime(2020, 4, 1, 12, tzinfo=UTC).timestamp()
    assert abs(move["recorded"] - time.time()) < 600
    refused = folder.refused("models", "promote", "people", "1", "--alias", "past", "--at", "2020-03-01")
    assert "has moved to version 2 since then, at 2020-04-01 12:00:00+00:00" in refused["what"]
    text = folder.trikk("models", "people").out
    assert "it was, told 20" in text
    assert "2020-03-01 00:00  model" in folder.trikk("timeline", "--from", "2020-02-01", "--to", "2020-05-01").out
    folder.good("models", "require-approval", "people", "--alias", "past")
    asked = folder.trikk("models", "promote", "people", "1", "--alias", "past", "--at", "2020-05-01").out
    assert "approve" in asked
    assert folder.good("models", "people@past", "--at", "2020-05-03")["aliases"] == {"past": 2}
    folder.good("models", "approve", "people", "--alias", "past")
    assert folder.good("models", "people@past", "--at", "2020-05-03")["aliases"] == {"past": 1}, "once approved"


def test_who_was_champion_then_has_an_answer(city: Folder) -> None:
    assert city.good("models", "people", "--at", "2020-03-03")["aliases"] == {"champion": None}
    assert city.good("models", "people@champion", "--at", "2999-03-03T10:00")["aliases"]["champion"] == 2
    assert "held by no version" in city.trikk("models", "people", "--at", "2020-03-03").out
    assert "not a time" in city.refused("models", "people", "--at", "march")["what"]


def test_versions_are_compared_side_by_side(city: Folder) -> None:
    lines = {(x["kind"], x["name"]): x for x in city.good("models", "compare", "people", "1", "champion")["lines"]}
    assert lines[("metric", "mae")]["values"] == [1.0, 2.0]
    assert lines[("parameter", "factor")]["differs"]
    assert lines[("input", "x")]["values"] == ["Float64", "Float64"]
    assert not lines[("code", "code")]["differs"]
    assert "people:1" in city.trikk("models", "compare", "people", "1", "3").out


def test_one_version_is_shown(city: Folder) -> None:
    assert city.good("models", "people:3")["metrics"] == {"mae": 1.5}
    assert city.good("models", "people@champion")["version"] == 2
    assert "metric mae" in city.trikk("models", "people:3").out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["people@nobody"], "people@champion"),
        (["peple"], "people"),
        (["people:9"], "1, 2, 3"),
        (["promote", "people", "9"], "1, 2, 3"),
        (["rollback", "people", "--alias", "challenger"], "promote"),
        (["approve", "people"], "trikk models people"),
        (["../x"], "letters"),
        (["people", "--environment", "staging", "--at", "x"], "2020"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(city: Folder, arguments: list[str], hint: str) -> None:
    assert hint in city.refused("models", *arguments)["next"]


def test_another_environment_has_aliases_of_its_own(city: Folder) -> None:
    assert champion(city, "--environment", "staging") is None
    city.good("models", "promote", "people", "1", "--environment", "staging")
    assert champion(city, "--environment", "staging") == 1
    assert champion(city) == 2


def test_a_replay_predicts_with_the_champion_of_then_and_registers_nothing(city: Folder) -> None:
    run = city.good("run", "nightly")["id"]
    city.good("models", "promote", "people", "3")
    assert city.trikk("replay", run).code == 0
    assert city.trikk("replay", city.good("runs", "--pipeline", "train")["runs"][0]["id"]).code == 0
    city.good("models", "rollback", "people")
    shown = city.good("models", "people")
    assert len(shown["versions"]) == 3
    assert json.dumps(shown)
    assert {row["model_version"] for row in city.good("tables", "predictions")["head"]} == {2}


def test_without_models_the_command_says_how_the_first_is_made(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "empty"\n', pipelines="")
    assert "register_model" in folder.trikk("models").out
    assert "register_model" in folder.refused("models", "people")["next"]


def test_task_classes_and_the_positive_class_are_shown(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "rig"\n')
    registry = Registry(Project.open(tmp_path).journal)
    rows = pl.DataFrame({"x": [0.0, 0.1, 0.9, 1.0]})
    cases: list[tuple[list[Any], Any]] = [(["leak", "ok"], "leak"), ([3, 20], 20), ([False, True], None)]
    for values, positive in cases:
        model = GaussianNB().fit(rows.to_numpy(), np.repeat(values, 2))
        registry.register(version("valve", signature=infer(model, rows, positive=positive)))
    registry.register(version("valve"))
    shown = folder.trikk("models", "valve").out
    for text in (
        "binary: leak (positive), ok",
        "binary: 3, 20 (positive)",
        "binary: false, true (positive)",
        " - ",
    ):
        assert text in shown
    assert "positive" not in folder.trikk("models").out  # the newest has no task
    lines = folder.trikk("models", "valve:1").out
    for label, text in (("task", "binary"), ("classes", "leak, ok"), ("positive", "leak")):
        assert any(line.split(maxsplit=1) == [label, text] for line in lines.splitlines()), label
    found = folder.good("models", "compare", "valve", "1", "2", "4")["lines"]
    by_name = {line["name"]: line["values"] for line in found}
    assert by_name["classes"] == [["leak", "ok"], [3, 20], None]
    assert (by_name["task"], by_name["positive"]) == (["binary", "binary", None], ["leak", 20, None])
    assert by_name["probability"] == ["Float64", "Float64", None]
    one = folder.good("models", "valve:3")["signature"]
    assert (one["task"], one["classes"], one["positive"]) == ("binary", [False, True], True)
    [listed] = folder.good("models")["models"]
    assert (listed["task"], listed["classes"], listed["positive"]) == (None, None, None)
