"""Effects, registered models as arguments, and the moment of a run: through the real command."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.execution.command import Folder, states_of, steps_of

from trikk.core.errors import DefinitionError
from trikk.pipeline.step import Step
from trikk.runs.journals.sqlite_journal import SqliteJournal

CODE = """
from pathlib import Path
from typing import Any
import polars as pl
from trikk import Model, Table, pipeline, step
from trikk.models.registry import Registry
from trikk.models.version import ModelVersion
from trikk.runs.context import step_context
from trikk.storage.artifact import Artifact

counts = Table("counts")

@step
def fit() -> dict[str, int]:
    return {"weight": int(Path("weight").read_text())}

@step(effect=True)
def register(fitted: dict[str, int]) -> int:
    context = step_context("registering")
    with Path("effects").open("a") as file:
        file.write(context.identity + "\\n")
    version = ModelVersion("people", 0, context.artifacts.save(fitted), created=context.moment)
    made = Registry(context.journal).register(version, identity=context.identity)
    Registry(context.journal).move(
        "people", "champion", made.version, context.environment, by="test", why="it is new", at=context.moment
    )
    return made.version

@step
def use(model: dict[str, int], before: ModelVersion | None) -> dict[str, Any]:
    context = step_context("using")
    number = None if before is None else before.version
    return {"weight": model["weight"], "version": number, "run": context.run, "now": context.now}

@pipeline
def train():
    register(fit())

@pipeline
def predict():
    use(Model("people@champion"), Model("people@champion", optional=True))

@pipeline
def first():
    use({"weight": 0}, Model("people@nobody", optional=True))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write(trikk='name = "p"\n', pipelines=CODE)
    (tmp_path / "weight").write_text("1")
    return made


def value_of(run: dict[str, object], step: str) -> object:
    return steps_of(run)[step]["outputs"][0]["summary"]["value"]


def test_a_model_that_is_not_there_stops_a_run_before_it_starts(folder: Folder) -> None:
    done = folder.trikk("run", "predict", "--json")
    assert done.code == 2
    assert done.error["code"] == "unknown-name"
    assert done.error["where"].endswith(":41")
    assert folder.trikk("runs", "--json").json["runs"] == []


def test_an_optional_model_that_is_not_there_is_none(folder: Folder) -> None:
    assert folder.trikk("run", "first").code == 0
    assert value_of(folder.trikk("show", "last", "--json").json, "use")["version"] is None


def test_a_replay_uses_the_model_and_the_moment_of_then_and_repeats_no_effect(folder: Folder) -> None:
    assert folder.trikk("run", "train").code == 0
    trained = folder.trikk("show", "last", "--json").json
    assert folder.trikk("run", "predict").code == 0
    used = folder.trikk("show", "last", "--json").json
    assert value_of(used, "use")["weight"] == 1
    assert value_of(used, "use")["run"] == used["id"]
    (folder.root / "weight").write_text("2")
    assert folder.trikk("run", "train").code == 0
    assert folder.trikk("run", "predict").code == 0
    assert value_of(folder.trikk("show", "last", "--json").json, "use")["version"] == 2

    again = folder.trikk("replay", used["id"], "--json")
    assert (again.code, again.json["identical"]) == (0, True)
    (folder.root / "weight").write_text("1")
    again = folder.trikk("replay", trained["id"], "--json")
    assert (again.code, again.json["identical"]) == (0, True)
    taken = {s["name"]: s["verdict"] for s in again.json["steps"]}
    assert taken == {"fit": "identical", "register": "taken"}
    assert len((folder.root / "effects").read_text().splitlines()) == 2
    journal = SqliteJournal(folder.root / ".trikk" / "journal.db")
    assert len(journal.entries("model/people")) == 4
    journal.close()


def test_clean_up_keeps_registered_models_whose_runs_it_forgets(folder: Folder) -> None:
    assert folder.trikk("run", "train").code == 0
    (folder.root / "weight").write_text("2")
    assert folder.trikk("run", "train").code == 0
    assert folder.trikk("gc", "--keep-last", "1", "--grace", "0s").code == 0
    assert folder.trikk("run", "predict").code == 0
    assert value_of(folder.trikk("show", "last", "--json").json, "use")["weight"] == 2


def test_an_effect_can_not_be_cached() -> None:
    with pytest.raises(DefinitionError, match="effect"):
        Step(lambda: 1, name="send", effect=True, cache=True)


DATA = """
import polars as pl
from trikk import PermanentError, Table, pipeline, step

counts = Table("counts")
sums = Table("sums")

@step
def total(counts: pl.LazyFrame) -> int:
    return counts.select(pl.col("n").sum()).collect().item()

@step
def other() -> int:
    return 5

@step
def gate(total: int, other: int) -> int:
    if total < 0:
        raise PermanentError("negative")
    return total + other

@pipeline
def checked():
    gate(total(counts), other())

@step
def counted(counts: pl.LazyFrame) -> pl.DataFrame:
    return counts.collect()

@step
def gate_rows(rows: pl.DataFrame) -> None:
    if rows["n"].sum() < 0:
        raise PermanentError("negative")

@pipeline
def written():
    rows = counted(counts)
    gate_rows(rows, after=sums.append(rows))
"""


def ingest(folder: Folder, number: int) -> None:
    (folder.root / "rows.csv").write_text(f"n\n{number}\n")
    assert folder.trikk("ingest", "counts", "rows.csv", "--overwrite").code == 0


def test_resume_with_current_data_runs_again_what_read_the_mended_table(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "p"\n', pipelines=DATA)
    ingest(folder, -1)
    folder.failed("run", "checked")
    ingest(folder, 3)
    assert folder.trikk("resume", "last").code == 1
    done = folder.trikk("resume", "last", "--with-current-data")
    assert done.code == 0
    assert "run   total: it read version 0 of table counts, which is at version 1 now" in done.err
    assert "reuse other" in done.err
    run = folder.trikk("show", "last", "--json").json
    assert value_of(run, "gate") == 8
    assert folder.trikk("replay", "last").code == 0


def test_resume_runs_a_step_again_that_one_names(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "p"\n', pipelines=DATA)
    ingest(folder, -1)
    run = folder.failed("run", "checked")
    done = folder.trikk("resume", "last", "--again", "other")
    assert "run   other: you asked for it" in done.err
    assert states_of(run)["other"] == "succeeded"
    assert folder.trikk("resume", "last", "--again", "othr", "--json").error["code"] == "unknown-name"


def test_resume_with_current_data_refuses_to_write_other_rows_a_second_time(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "p"\n', pipelines=DATA)
    ingest(folder, -1)
    folder.failed("run", "written")
    ingest(folder, 3)
    done = folder.trikk("resume", "last", "--with-current-data", "--json")
    assert (done.code, "would have to write others" in done.error["what"]) == (1, True)


def test_a_run_keeps_to_the_environment_that_it_was_started_in(folder: Folder) -> None:
    (folder.root / "weight").unlink()
    failed = folder.trikk("run", "train", "--json", TRIKK_ENVIRONMENT="staging").json
    assert (failed["state"], failed["environment"]) == ("failed", "staging")
    (folder.root / "weight").write_text("1")
    assert "TRIKK_ENVIRONMENT=staging" in folder.refused("resume", "last", code=1)["next"]
    done = folder.trikk("resume", "last", TRIKK_ENVIRONMENT="staging")
    assert done.code == 0, done.err
    assert " in staging: succeeded" in folder.trikk("show", "last").out
    assert folder.trikk("run", "predict", TRIKK_ENVIRONMENT="staging").code == 0
    assert folder.trikk("run", "predict").code == 2  # the model is champion of staging alone
