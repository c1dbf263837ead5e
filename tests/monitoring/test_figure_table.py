"""A monitor's figures as rows of a table: the ledger's, each once, whatever dies and whichever comes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trikk import Monitor, Table
from trikk.core.errors import DefinitionError
from trikk.monitoring.figures import figure_table
from trikk.monitoring.figures.figure_table import KEY
from trikk.monitoring.figures.records import Records
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.tables.table_write import Write
from trikk.storage.tables.versioned_tables import Tables
from trikk.testing import MemoryTables, run_inline

DAY = datetime(2020, 3, 1, tzinfo=UTC)


def monitor(**options: Any) -> Monitor:
    given: dict[str, Any] = {"figures": Table("figures"), "slices": ["sensor"], "label_delay": "1d"}
    return Monitor(
        "people", predictions=Table("predictions"), truth=Table("counts"), key="sensor", slot="slot",
        observed="count", metrics=["mae", "bias"], baseline="naive", minimum=1, **given | options,
    )  # fmt: skip


def slots(day: int, **columns: Any) -> pl.DataFrame:
    rows = [(sensor, DAY + timedelta(days=day, hours=h)) for sensor in ("north", "south") for h in range(3)]
    return pl.DataFrame(rows, schema=["sensor", "slot"], orient="row").with_columns(**columns)


def predicted(day: int) -> pl.DataFrame:
    made = {"predicted_at": DAY + timedelta(days=day - 1), "prediction_id": pl.col("sensor") + f"-{day}"}
    by = {"model": pl.lit("people"), "model_version": pl.lit(3)}
    return slots(day, value=pl.lit(10.0), naive=pl.lit(14.0), **made, **by)


class World:
    """Tables that grow, a journal, and looks at them."""

    def __init__(self, tables: Any) -> None:
        self.tables, self.journal, self.writes = tables, MemoryJournal(), 0

    def add(self, table: str, rows: pl.DataFrame, mode: Any = "append", key: tuple[str, ...] = ()) -> None:
        self.writes += 1
        self.tables.write(table, Write(mode, rows, key=key), identity=f"given/{self.writes}", origin={})

    def look(self, day: int, **options: Any) -> Any:
        now = DAY + timedelta(days=day)
        return run_inline(monitor(**options).pipeline, tables=self.tables, journal=self.journal, now=now)

    def rows(self, **wanted: Any) -> list[dict[str, Any]]:
        return self.tables.scan("figures").filter(**wanted).sort(KEY).collect().to_dicts()


@pytest.fixture(params=["memory", "delta"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    filled = World(MemoryTables() if request.param == "memory" else Tables(str(tmp_path)))
    for day in range(3):
        filled.add("predictions", predicted(day))
        filled.add("counts", slots(day, count=pl.lit(12.0)))
    return filled


def test_every_figure_is_a_row_and_a_restated_window_replaces_its_own(world: World) -> None:
    run = world.look(4)
    assert run.state == "succeeded", run.error
    assert len(world.rows()) == 3 * 3 * 2  # days, all cases and two sensors, metrics
    (row,) = world.rows(window="2020-03-02", slice="sensor", value="south", metric="mae")
    assert row.pop("run")
    assert row == {
        "monitor": "people", "kind": "day", "window": "2020-03-02", "start": DAY + timedelta(days=1),
        "end": DAY + timedelta(days=2), "state": "final", "slice": "sensor", "value": "south", "metric": "mae",
        "figure": 2.0, "baseline": 2.0, "estimated": None, "cases": 3, "predicted": 3, "labelled_share": 1.0,
        "model_versions": "people 3", "restated": 0, "evaluated_at": DAY + timedelta(days=4),
    }  # fmt: skip
    version = world.tables.version("figures")
    assert world.look(4).output("figures") == {"windows": 0, "rows": 0}
    assert world.tables.version("figures") == version
    # South's predictions of the second day are gone, and its truth is corrected to north's cases alone.
    world.add("predictions", world.tables.scan("predictions").filter(~_south(1)).collect(), mode="overwrite")
    world.add("counts", world.tables.scan("counts").filter(~_south(1)).collect(), mode="overwrite")
    world.look(5)
    assert len(world.rows()) == 18
    (gone,) = world.rows(window="2020-03-02", slice="sensor", value="south", metric="mae")
    assert (gone["figure"], gone["cases"], gone["labelled_share"], gone["restated"]) == (None, 0, None, 1)
    (whole,) = world.rows(window="2020-03-02", slice="", metric="mae")
    assert (whole["figure"], whole["cases"]) == (2.0, 3)


def _south(day: int) -> pl.Expr:
    return (pl.col("sensor") == "south") & (pl.col("slot").dt.date() == (DAY + timedelta(days=day)).date())


def test_a_table_that_is_declared_later_gets_the_past_and_what_a_dead_step_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.look(2, figures=None)
    assert "figures" not in world.tables.names()
    assert "figures" not in monitor(figures=None).pipeline.graph.nodes
    monkeypatch.setattr(figure_table, "_BATCH", 2)  # several commits, as of a history of years
    kept = figure_table.keep_in_table

    def dies(*_: Any) -> Any:
        raise OSError("no space left")

    monkeypatch.setattr(figure_table, "keep_in_table", dies)
    assert world.look(4).state == "failed"
    monkeypatch.setattr(figure_table, "keep_in_table", kept)
    world.look(4)  # nothing is new to the monitor, and everything to the table
    records = Records(world.journal, "people")
    wanted = {
        (record.label, figures.slice, figures.value, metric): figure
        for record in records.windows("day")
        for figures in record.figures
        for metric, figure in figures.metrics.items()
    }
    kept_rows = {(r["window"], r["slice"], r["value"], r["metric"]): r["figure"] for r in world.rows()}
    assert kept_rows == wanted
    assert world.tables.version("figures") > 0


def test_figures_do_not_go_where_they_come_from() -> None:
    with pytest.raises(DefinitionError, match="figures would go into table counts"):
        monitor(figures=Table("counts"))
