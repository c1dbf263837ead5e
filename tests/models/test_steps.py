from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from tests.models.making import Doubles, rows_of
from tests.storage.pickles import Moved, written_under

from trikk import Model, ModelVersion, Retry, Table, better_by, pipeline, predict, promote_if, register_model, step
from trikk.core.errors import PermanentError, PredictionError, SignatureError, UnknownName, UsageError
from trikk.models.registry import Registry
from trikk.models.state import Move
from trikk.runs.context import StepContext, entered
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.memory_store import MemoryStore
from trikk.testing import InlineRun, run_inline

ROWS = rows_of().with_columns(pl.when(pl.col("id") > 3).then("truth"))
ME = {"by": "me", "why": "because"}
rows = Table("rows")


@step
def fit(rows: pl.DataFrame, factor: float) -> Doubles:
    return Doubles(factor)


@step
def inputs_of(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("x", "n")


@pipeline
def train(factor: float = 2.0, margin: float = 0.02) -> None:
    model = fit(rows, factor)
    version = register_model(
        model, "people", inputs=inputs_of(rows), metrics={"factor": factor}, description="doubles", nullable=["n"]
    )
    promote_if(better_by(0.02), version, rows=rows, target="truth", why="nightly")


class Place:
    """A journal and a store that several runs share."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.store = MemoryStore()
        self.registry = Registry(self.journal)

    def run(self, which: Any, frame: pl.DataFrame = ROWS, **parameters: Any) -> InlineRun:
        return run_inline(which, tables={"rows": frame}, journal=self.journal, store=self.store, **parameters)

    def context(self, **more: Any) -> StepContext:
        self.journal.create("arun", "p", {}, at=1.0)
        place: tuple[Any, ...] = (Path(), Path(), Artifacts(self.store), None, self.journal)
        return replace(StepContext("arun", "arun", "p", "s", None, 1, False, 5.0, "main", *place), **more)


@pytest.fixture
def place() -> Place:
    return Place()


def test_a_version_names_what_it_came_from(place: Place) -> None:
    done = place.run(train, factor=1.5)
    assert done.state == "succeeded", done.error
    made = place.registry.get("people", 1)
    assert made.to_json() == done.output("register_model")
    assert (made.run, made.pipeline, made.step) == (done.run.id, "train", "register_model")
    assert made.artifact.digest == (done.run.steps["fit"].outputs or [{}])[0]["digest"]
    assert made.tables == {"rows": done.run.lock["tables"]["rows"]}
    assert (made.parameters["factor"], made.metrics) == (1.5, {"factor": 1.5})
    assert made.signature is not None
    assert [(f.name, f.dtype, f.nullable) for f in made.signature.inputs] == [
        ("x", "Float64", False),
        ("n", "Int64", True),
    ]
    assert made.load(done.artifacts).factor == 1.5


def test_registering_a_pickled_model_says_what_it_is_bound_to(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    import sklearn
    from lightgbm import LGBMRegressor

    x = ROWS.select("x", "n").to_numpy()
    trees = LGBMRegressor(n_estimators=1, verbose=-1, n_jobs=1).fit(x, ROWS["x"])
    with entered(place.context()):
        register_model(HistGradientBoostingRegressor(max_iter=1).fit(x, ROWS["x"]), "sklearn")
        register_model(trees, "trees")
        register_model(trees, "with-rows", inputs=ROWS.select("x", "n"))
        register_model(trees.booster_, "text")
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("model sklearn is kept as a pickle")
    assert f"scikit-learn {sklearn.__version__}" in first
    assert first.endswith("keep its run's packages")
    assert second.endswith("register its booster_, which is kept as LightGBM's own text")


def test_an_estimator_of_lightgbm_has_a_spare_in_its_own_text_where_that_is_exact(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    from lightgbm import Booster, LGBMClassifier, LGBMRegressor

    x, y = ROWS.select("x", "n"), ROWS["x"].to_numpy()
    about: dict[str, Any] = {"n_estimators": 5, "verbose": -1, "n_jobs": 1, "min_child_samples": 2}
    context = place.context()
    with entered(context):
        fitted = LGBMRegressor(**about).fit(x, y)
        made = ModelVersion.read(register_model(fitted, "trees", inputs=x))
        label = register_model(LGBMClassifier(**about).fit(x, y > 0.5), "label", inputs=x)
    assert made.spare is not None
    assert (made.artifact.codec, made.spare.codec, label["spare"]["codec"]) == ("pickle", "lightgbm", "lightgbm")
    assert type(made.load(context.artifacts)) is LGBMRegressor
    assert ModelVersion.read({k: v for k, v in made.to_json().items() if k != "spare"}).spare is None
    lost = replace(made, artifact=written_under(context.artifacts, Moved(), lightgbm="1.0"))
    loaded = lost.load(context.artifacts)
    assert isinstance(loaded, Booster)
    assert loaded.predict(x.to_numpy()).tolist() == list(fitted.predict(x))
    assert "model trees:1" in caplog.text
    assert "lightgbm 1.0 (here:" in caplog.text


def test_the_champion_is_the_one_that_is_better_on_the_same_rows(place: Place) -> None:
    states = [place.run(train, factor=f).output("promote_if") for f in (1.0, 1.9, 1.901, 0.5)]
    assert [s["state"] for s in states] == ["promoted", "promoted", "kept", "kept"]
    assert place.registry.resolve("people@champion", "main").version == 2
    second = states[1]
    assert (second["former"], second["rows"], second["dropped"]) == (1, ROWS.height - 4, 4)
    assert second["candidate"] < second["holder"]
    last = place.registry.moves("people")[-1]
    assert last.decision == second
    assert last.why == f"nightly: {second['reason']}"
    assert last.by.startswith("run ")


def test_a_run_says_which_version_was_made_and_whether_and_why_it_was_promoted(place: Place) -> None:
    def notes(run: InlineRun) -> list[str]:
        return [e.body["note"] for e in run.events if e.kind == "step.succeeded" and "note" in e.body]

    first = notes(place.run(train, factor=2.0))
    assert first[0] == "people version 1"
    assert first[1].startswith("people:1 promoted: the first: ")
    assert notes(place.run(train, factor=2.0))[1].startswith("people:2 kept: ")


def test_an_authors_own_step_that_registers_shows_its_own_result(place: Place) -> None:
    @step(effect=True)
    def both(model: Doubles) -> int:
        return int(register_model(model, "own")["version"])

    @pipeline
    def own() -> None:
        both(fit(rows, 2.0))

    (last,) = [e for e in place.run(own).events if e.kind == "step.succeeded" and e.body["step"] == "both"]
    assert "note" not in last.body


def test_where_approval_is_required_the_promotion_waits(place: Place) -> None:
    place.run(train, factor=1.0)
    place.registry.require_approval("people", "champion", "main", at=0.0, **ME)
    decision = place.run(train, factor=2.0).output("promote_if")
    assert (decision["state"], decision["promoted"]) == ("pending", False)
    assert place.registry.resolve("people@champion", "main").version == 1
    place.registry.approve("people", "champion", "main", at=0.0, **ME)
    assert place.registry.resolve("people@champion", "main").version == 2


def test_aliases_of_another_environment_are_not_touched(place: Place) -> None:
    place.run(train, environment="staging")
    with pytest.raises(UnknownName):
        place.registry.resolve("people@champion", "main")
    assert place.registry.resolve("people@champion", "staging").version == 1


@step
def kind(model: ModelVersion | None) -> str:
    return "none" if model is None else model.reference


@pipeline
def use(alias: str = "champion") -> None:
    predict(Model("people@champion"), rows, key="id", keep=["n"])
    kind(Model("people@challenger", optional=True))
    kind(Model("people:1"))


def test_a_pipeline_predicts_with_the_champion_that_it_is_locked_to(place: Place) -> None:
    place.run(train, factor=1.0)
    place.run(train, factor=2.0)
    done = place.run(use)
    assert done.state == "succeeded", done.error
    found = done.output("predict", pl.DataFrame)
    assert found["value"].to_list() == pytest.approx((ROWS["x"] * 2).to_list())
    assert (found["model"][0], found["model_version"][0], found["run"][0]) == ("people", 2, done.run.id)
    assert found["predicted_at"][0] == datetime.fromtimestamp(done.run.created, UTC)
    assert (done.output("kind"), done.output("kind-2")) == ("none", "people:1")


@pipeline
def retrain(factor: float) -> None:
    version = register_model(fit(rows, factor), "people", inputs=inputs_of(rows))
    promote_if(better_by(0), version, rows=rows, target="truth")


def test_models_are_given_to_a_run_in_memory() -> None:
    given = {"people@champion": Doubles(2.0), "people:1": Doubles(3.0)}
    done = run_inline(use, tables={"rows": ROWS.drop("truth")}, models=given)
    assert done.state == "succeeded", done.error
    found = done.output("predict", pl.DataFrame)
    assert found["value"].to_list() == pytest.approx((ROWS["x"] * 2).to_list())
    assert (found["model"][0], found["model_version"][0]) == ("people", 2)
    assert (done.output("kind"), done.output("kind-2")) == ("none", "people:1")
    with pytest.raises(UnknownName, match="challenger"):
        run_inline(use, tables={"rows": ROWS}, models={"people@challenger": Doubles()})


def test_a_model_that_is_given_is_the_holder_that_a_candidate_has_to_beat() -> None:
    given = {"people@champion": (Doubles(1.9), inputs_of(ROWS))}
    done = run_inline(retrain, tables={"rows": ROWS}, models=given, factor=2.0)
    decision = done.output("promote_if")
    assert (decision["state"], decision["former"], decision["version"]) == ("promoted", 1, 2)
    assert decision["holder"] == pytest.approx((ROWS["x"] * 0.1)[4:].mean())
    kept = run_inline(retrain, tables={"rows": ROWS}, models=given, factor=1.8)
    assert kept.output("promote_if")["state"] == "kept"


def test_models_that_are_given_twice_are_registered_once(place: Place) -> None:
    about = {"tables": {"rows": ROWS}, "journal": place.journal, "store": place.store}
    given = {"people:3": Doubles(3.0), "people@champion": Doubles(2.0), "people": Doubles(1.0)}
    for _ in range(2):
        assert run_inline(use, models=given, **about).state == "succeeded"
    assert [v.version for v in place.registry.versions("people")] == [1, 2, 3, 4, 5]
    held = [place.registry.resolve(reference, "main").version for reference in given]
    assert held == [3, 4, 5]
    for wrong, what in (({"people:3": Doubles(9.0)}, "there already"), ({"people": None}, "None")):
        with pytest.raises(UsageError, match=what):
            run_inline(use, models=wrong, **about)
    with pytest.raises(UsageError, match="names no model"):
        run_inline(use, models={"people@": Doubles()}, **about)


def test_a_champion_that_does_not_exist_stops_a_run_before_it_begins(place: Place) -> None:
    with pytest.raises(UnknownName) as caught:
        place.run(use)
    assert "register" in str(caught.value.next)
    assert place.journal.count() == 0


attempts: list[str] = []


@step(retry=Retry(3))
def register_and_fail() -> dict[str, Any]:
    made: dict[str, Any] = register_model(Doubles(), "people", inputs=ROWS.select("x"), metrics={"mae": 1.0})
    decision = promote_if(better_by(0), made, rows=ROWS, target="truth")
    attempts.append(decision["state"])
    if len(attempts) < 3:
        raise OSError("the network is away")
    return made


@pipeline
def faulty() -> None:
    register_and_fail()


def test_a_step_that_is_tried_again_registers_and_promotes_once(place: Place) -> None:
    attempts.clear()
    done = place.run(faulty)
    assert done.state == "succeeded", done.error
    assert attempts == ["promoted"] * 3
    assert len(place.registry.versions("people")) == 1
    assert len(place.registry.moves("people")) == 1


def test_an_attempt_that_finds_its_move_done_takes_its_decision_though_others_moved_on(place: Place) -> None:
    with entered(place.context()):
        first = register_model(Doubles(1.0), "people", inputs=ROWS.select("x"))
        best = register_model(Doubles(2.0), "people", inputs=ROWS.select("x"))
        promote_if(better_by(0), first, rows=ROWS, target="truth")
        decision = promote_if(better_by(0), best, rows=ROWS, target="truth")
        place.registry.rollback("people", "champion", "main", at=0.0, **ME)
        assert promote_if(better_by(0), best, rows=ROWS, target="truth") == decision
    assert [m.state for m in place.registry.moves("people")] == ["moved", "moved", "returned"]


def test_a_holder_that_changes_during_the_comparison_is_compared_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with entered(place.context()):
        versions = [register_model(Doubles(f), "people", inputs=ROWS.select("x")) for f in (1.0, 2.0, 1.5)]
        promote_if(better_by(0), versions[0], rows=ROWS, target="truth")
        move, calls = Registry.move, []

        def overtaken(self: Registry, *args: Any, **more: Any) -> Move | None:
            calls.append(args)
            if len(calls) == 1:  # somebody moves it between the comparison and the move
                move(self, "people", "champion", 2, "main", at=0.0, **ME)
            return move(self, *args, **more)

        monkeypatch.setattr(Registry, "move", overtaken)
        decision = promote_if(better_by(0), versions[2], rows=ROWS, target="truth")
    assert (decision["state"], decision["former"]) == ("kept", 2)
    assert place.registry.resolve("people@champion", "main").version == 2


def test_two_models_of_one_step_are_two_versions(place: Place) -> None:
    with entered(place.context()):
        made = [register_model(Doubles(f), "people", inputs=ROWS.select("x")) for f in (1.0, 2.0, 1.0)]
    assert [m["version"] for m in made] == [1, 2, 1]


@step(effect=True)
def register_line(line: str, alias: str) -> str:
    made = register_model(Doubles(float(len(line))), f"people-{line}", inputs=ROWS.select("x"))
    return str(promote_if(better_by(0), made, rows=ROWS, target="truth", alias=alias)["state"])


@pipeline
def lines(name: str, alias: str = "champion") -> None:
    register_line.map(["a", "bb", "ccc"], alias=alias)
    promote_if(better_by(0), register_model(fit(rows, 2.0), name), rows=rows, target="truth", alias=alias)


def test_many_models_are_registered_by_a_mapped_step_and_names_may_be_parameters(place: Place) -> None:
    done = place.run(lines, name="whole", alias="challenger")
    assert done.state == "succeeded", done.error
    assert place.registry.names() == ["people-a", "people-bb", "people-ccc", "whole"]
    assert place.registry.resolve("people-bb@challenger", "main").version == 1
    refused = place.run(lines, name="../whole")
    assert refused.state == "failed"
    assert "can't name a model" in str(refused.error)


def test_in_a_replay_nothing_is_registered_or_moved(place: Place) -> None:
    with entered(place.context(dry=True)), pytest.raises(PermanentError, match="not registered in a replay"):
        register_model(Doubles(), "people", inputs=ROWS.select("x"))
    assert place.registry.names() == []


def test_outside_of_a_run_registering_says_where_it_works() -> None:
    with pytest.raises(UsageError, match="in a step of a run"):
        register_model(Doubles(), "people")


def broken(frame: pl.DataFrame) -> Any:
    return frame["x"] * float("nan")


@pytest.mark.parametrize(
    ("model", "about", "error", "what"),
    [
        (Doubles(), {"metrics": {"mae": float("nan")}}, UsageError, "'mae' is nan"),
        (Doubles(), {"metrics": {"mae": "low"}}, UsageError, "'mae' is 'low'"),
        (Doubles(), {"metrics": [1]}, UsageError, "a dict of numbers"),
        (Doubles(), {"inputs": ROWS.head(0)}, SignatureError, "no rows"),
        (Doubles(), {"inputs": ROWS.select(pl.lit("a"))}, PredictionError, "failed"),
        (broken, {"inputs": ROWS.select("x")}, PredictionError, "no number for 60 of 60 rows"),
        (None, {}, UsageError, "None can't be registered"),
        (3, {"inputs": ROWS}, UsageError, "has no predict"),
    ],
)
def test_what_can_not_be_a_version_is_refused_and_leaves_nothing(
    place: Place, model: Any, about: dict[str, Any], error: type[Exception], what: str
) -> None:
    with entered(place.context()), pytest.raises(error, match=what):
        register_model(model, "people", **about)
    assert place.registry.names() == []


def test_a_comparison_that_can_not_be_made_moves_nothing(place: Place) -> None:
    with entered(place.context()):
        old = register_model(Doubles(), "people", inputs=ROWS.select("x"))
        new = register_model(Doubles(), "people", inputs=ROWS.select("n"))
        promote_if(better_by(0), old, rows=ROWS, target="truth")
        with pytest.raises(SignatureError) as caught:
            promote_if(better_by(0), new, rows=ROWS.drop("x"), target="truth")
        assert (caught.value.field, caught.value.where) == ("x", "model people:1")
        with pytest.raises(SignatureError, match="no column 'load'"):
            promote_if(better_by(0), new, rows=ROWS, target="load")
        with pytest.raises(PredictionError, match="has a truth"):
            promote_if(better_by(0), new, rows=ROWS.with_columns(truth=pl.lit(None, pl.Float64)), target="truth")
        with pytest.raises(UsageError, match="no rows to compare"):
            promote_if(better_by(0), new, rows=ROWS.head(0), target="truth")
        with pytest.raises(UsageError, match="takes a registered version"):
            promote_if(better_by(0), Doubles(), rows=ROWS, target="truth")
        assert promote_if(better_by(0), old, rows=ROWS, target="truth", alias="champion")["state"] in (
            "promoted",
            "same",
        )
    assert len(place.registry.moves("people")) == 1


@step
def fit_trees(rows: pl.DataFrame) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(max_iter=3).fit(rows.select("x", "n"), rows["id"].to_numpy())


@pipeline
def trees() -> None:
    version = register_model(fit_trees(rows), "trees", inputs=rows)
    predict(version, rows, key=["id"])


def test_a_model_of_scikit_learn_goes_all_the_way(place: Place) -> None:
    done = place.run(trees)
    assert done.state == "succeeded", done.error
    assert done.output("predict", pl.DataFrame)["model"].unique().to_list() == ["trees"]
    assert place.registry.get("trees", 1).artifact.summary["type"] == "sklearn.HistGradientBoostingRegressor"
