"""A challenger in shadow: it predicts beside the champion, and nothing that it does can fail the run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from sklearn.naive_bayes import GaussianNB

from trikk import Model, Table, pipeline, predict, shadow
from trikk.core.errors import DefinitionError
from trikk.models.register import infer
from trikk.models.registry import Registry
from trikk.models.signature import Signature
from trikk.models.version import ModelVersion
from trikk.pipeline.step import step
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.memory_store import MemoryStore
from trikk.testing import MemoryTables, run_inline

START = datetime(2020, 3, 1, tzinfo=UTC)


class Twice:
    """A model that gives twice its input."""

    def predict(self, rows: Any) -> Any:
        return rows["usual"].to_numpy() * 2


class Broken(Twice):
    """A model that fails."""

    def predict(self, rows: Any) -> Any:
        raise RuntimeError("no such layer")


class Whole(Twice):
    """A model that gives whole numbers."""

    def predict(self, rows: Any) -> Any:
        return rows["usual"].to_numpy().astype("int32")


@step
def tomorrow() -> pl.DataFrame:
    slots = [START + timedelta(hours=h) for h in range(24)]
    return pl.DataFrame({"sensor": ["north"] * 24, "slot": slots, "usual": [float(h) for h in range(24)]})


@pipeline
def nightly() -> None:
    rows = tomorrow()
    Table("predictions").append(predict(Model("people@champion"), rows, key="sensor", slot="slot"))
    shadow(Model("people@challenger", optional=True), rows, into=Table("shadow"), key="sensor", slot="slot")


class World:
    """A registry, a store and tables that outlive runs."""

    def __init__(self) -> None:
        self.journal: Journal = MemoryJournal()
        self.store = MemoryStore()
        self.tables = MemoryTables()
        self.give(Twice(), "champion")

    def give(self, model: Any, alias: str, artifact: Artifact | None = None) -> None:
        sample = pl.DataFrame({"usual": [1.0, 2.0]})
        signature = Signature.infer(sample, pl.Series("value", [1.0, 2.0]), takes="polars", method="predict")
        saved = artifact or Artifacts(self.store).save(model)
        registry = Registry(self.journal)
        made = registry.register(ModelVersion("people", 0, saved, signature))
        registry.move("people", alias, made.version, "main", by="me", why="", at=1.0)

    def run(self) -> Any:
        return run_inline(nightly, tables=self.tables, journal=self.journal, store=self.store)


def test_a_challenger_predicts_into_a_table_of_its_own() -> None:
    world = World()
    world.give(Twice(), "challenger")
    run = world.run()
    assert run.state == "succeeded", run.error
    made = run.table("shadow")
    assert made.height == 24
    assert made["model_version"].unique().to_list() == [2]
    assert run.table("predictions")["model_version"].unique().to_list() == [1]
    assert not set(made["prediction_id"]) & set(run.table("predictions")["prediction_id"])


def test_where_there_is_no_challenger_nothing_is_done() -> None:
    run = World().run()
    assert (run.state, run.run.steps["append_shadow"].state, run.tables.names()) == (
        "succeeded", "skipped", ["predictions"]
    )  # fmt: skip


@pytest.mark.parametrize("how", ["raises", "is gone"])
def test_a_challenger_that_fails_is_recorded_and_the_run_goes_on(how: str) -> None:
    world = World()
    world.give(Broken(), "challenger", Artifact("0" * 64, "pickle", 9, {}) if how == "is gone" else None)
    run = world.run()
    assert run.state == "succeeded", run.error
    assert run.table("predictions").height == 24
    assert run.tables.names() == ["predictions"]
    step = run.run.steps["shadow"]
    assert (step.state, step.allowed, run.run.steps["append_shadow"].state) == ("failed", True, "skipped")
    assert ("no such layer" in str(step.error)) == (how == "raises")


def test_challengers_of_several_kinds_share_a_table() -> None:
    world = World()
    for model in (Twice(), Whole()):
        world.give(model, "challenger")
        assert world.run().state == "succeeded"
    assert world.tables.scan("shadow").collect().group_by("model_version").len().height == 2
    assert world.tables.scan("shadow").collect_schema()["value"] == pl.Float64


def test_outside_of_a_pipeline_it_is_refused() -> None:
    with pytest.raises(DefinitionError, match="part of pipelines"):
        shadow(Twice(), tomorrow(), into=Table("shadow"), key="sensor", slot="slot")


def test_classes_stay_what_they_are_unless_an_older_table_has_numbers() -> None:
    rows = tomorrow().select("usual")
    model = GaussianNB().fit(rows.to_numpy(), [3] * 8 + [20] * 8 + [100] * 8)
    for before, kind in ((None, pl.Int64), (Whole(), pl.Float64)):
        world = World()
        if before is not None:
            world.give(before, "challenger")
            assert world.run().state == "succeeded"
        artifact = Artifacts(world.store).save(model)
        registry = Registry(world.journal)
        made = registry.register(ModelVersion("people", 0, artifact, infer(model, rows)))
        registry.move("people", "challenger", made.version, "main", by="me", why="", at=2.0)
        run = world.run()
        assert run.state == "succeeded", run.error
        found = run.table("shadow").filter(pl.col("model_version") == made.version)
        assert (found["value"].dtype, sorted(found["value"].unique())) == (kind, [3, 20, 100])
        assert found["probability_20"].dtype == pl.Float64


@step
def with_a_gap() -> pl.DataFrame:
    slots = [START + timedelta(hours=h) for h in range(3)]
    return pl.DataFrame({"sensor": ["north"] * 3, "slot": slots, "usual": [1.0, None, 3.0]})


@pipeline
def with_gaps() -> None:
    shadow(
        Model("people@challenger", optional=True), with_a_gap(), into=Table("shadow"), key="sensor", slot="slot",
        on_invalid="set aside", invalid=Table("aside"),
    )  # fmt: skip


def test_a_challengers_rows_that_can_not_be_predicted_are_set_aside() -> None:
    run = run_inline(with_gaps, models={"people@challenger": (Twice(), pl.DataFrame({"usual": [1.0, 2.0]}))})
    assert run.state == "succeeded", run.error
    assert run.tables.scan("shadow").collect()["value"].to_list() == [2.0, 6.0]
    assert run.tables.scan("aside").collect().select("reason", "gate").rows() == [("usual is missing", "shadow")]
    assert run_inline(with_gaps).state == "succeeded"
