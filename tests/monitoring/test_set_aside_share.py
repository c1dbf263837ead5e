"""The share of rows that could not be predicted: by window and slice, without mended rows, and in alarms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from trikk import Alarm, Model, Monitor, Table, pipeline, predict
from trikk.alerts.rules.kinds import read_rule
from trikk.monitoring.cases.rejected_share import set_aside_rows
from trikk.monitoring.figures.records import Records
from trikk.monitoring.figures.window_figures import beside_metrics
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.tables.table_write import Write
from trikk.testing import MemoryTables, run_inline

DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
readings, said, aside = Table("readings"), Table("said"), Table("aside")


def twice(rows: pl.DataFrame) -> pl.Series:
    return pl.Series("value", [None if bar is None else 2.0 * bar for bar in rows["bar"]], dtype=pl.Float64)


@pipeline
def nightly() -> None:
    said.append(
        predict(
            Model("m"), readings, key="pump", slot="slot", keep=["line"], on_invalid="set aside", invalid=aside
        )
    )


def rows(*bars: float | None, pumps: tuple[str | None, ...] = ("a", "b", "c", "d")) -> pl.DataFrame:
    """An hour of pumps, of lines 1 and 2 in turn."""
    count = len(bars)
    return pl.DataFrame(
        {
            "pump": pumps[:count],
            "slot": [DAY + HOUR] * count,
            "bar": pl.Series(bars, dtype=pl.Float64),
            "line": [1, 2, 1, 2][:count],
        }
    )


def monitor(**more: Any) -> Monitor:
    return Monitor(
        "loads", predictions=said, truth=Table("seen"), key="pump", slot="slot", observed="load",
        metrics=["mae"], label_delay="1d", set_aside=aside, slices=["pump", "line"], **more,
    )  # fmt: skip


class World:
    def __init__(self, **more: Any) -> None:
        self.monitor, self.journal = monitor(**more), MemoryJournal()
        truth = pl.DataFrame({"pump": ["a"], "slot": [DAY + HOUR], "load": [2.0]})
        self.tables = MemoryTables({"seen": truth, "readings": rows()})
        self.records = Records(self.journal, "loads")
        self.night = 0

    def predicted(self, given: pl.DataFrame) -> None:
        self.night += 1
        self.tables.write("readings", Write("overwrite", given.lazy()), identity=str(self.night), origin={})
        models = {"m": (twice, rows(1.0).select("bar"))} if self.night == 1 else {}
        run = run_inline(nightly, tables=self.tables, journal=self.journal, store=_store(self), models=models)
        assert run.state == "succeeded", run.error

    def look(self) -> Any:
        run = run_inline(self.monitor.pipeline, tables=self.tables, journal=self.journal, now=DAY + 48 * HOUR)
        assert run.state == "succeeded", run.error
        return self.records.window("day", "2026-03-01")


def _store(world: World) -> Any:
    from trikk.storage.stores.memory_store import MemoryStore

    if not hasattr(world, "store"):
        world.store = MemoryStore()  # type: ignore[attr-defined]
    return world.store  # type: ignore[attr-defined]


def test_the_share_is_of_the_slots_rows_by_slice_and_a_mended_row_is_counted_once() -> None:
    world = World()
    world.predicted(rows(1.0, 2.0, 3.0, 4.0))
    assert (world.look().whole.set_aside, world.tables.version("aside")) == (0.0, None)
    world = World()
    world.predicted(rows(1.0, None, 3.0, None))
    first = world.look()
    assert (first.whole.predicted, first.whole.set_aside) == (2, 0.5)
    assert [(f.value, f.set_aside) for f in first.figures if f.slice == "pump"] == [
        ("a", 0.0), ("b", 1.0), ("c", 0.0), ("d", 1.0),
    ]  # fmt: skip
    assert [(f.value, f.set_aside) for f in first.figures if f.slice == "line"] == [("1", 0.0), ("2", 1.0)]
    world.predicted(rows(None, None, 3.5, 4.5, pumps=("x", "b", "y", "d")))  # b again, and d is mended
    again = world.look()
    assert (again.whole.predicted, again.whole.set_aside) == (4, pytest.approx(2 / 6))
    assert beside_metrics([again.whole]) == ["set aside: 2 of 6 rows could not be predicted (33.3%)"]


def test_a_day_of_which_nothing_could_be_predicted_is_all_set_aside() -> None:
    world = World(alarms=[Alarm("sensors", when="set_aside > 0.05", min_labelled=3)])
    world.predicted(rows(1.0))
    world.tables.write("said", Write("overwrite", world.tables.scan("said").clear()), identity="x", origin={})
    world.predicted(rows(None, None, None, None, pumps=("b", None, None, "d")))
    window = world.look()
    assert (window.whole.predicted, window.whole.set_aside) == (0, 1.0)
    assert window.whole.sums["set_aside"] == [4, 4]  # both without a name, and they count
    spec = world.monitor.spec
    rule: Any = read_rule(spec.alarms[0])
    (reading,) = rule.judge(world.records, spec, DAY + 48 * HOUR)
    assert [point.text for point in reading.points] == ["day 2026-03-01: set_aside > 0.05 (it is 1)"]


def test_a_monitor_that_does_not_ask_has_no_such_figure() -> None:
    spec = monitor().spec
    assert spec.set_aside == "aside"
    plain = Monitor("loads", predictions=said, truth=Table("seen"), key="pump", slot="slot", observed="load")
    assert (
        plain.spec.figured
        == Monitor(
            "loads", predictions=said, truth=Table("seen"), key="pump", slot="slot", observed="load", minimum=5
        ).spec.figured
    )
    assert set(plain.pipeline.graph.tables_read()) == {"said", "seen"}


def test_a_table_without_the_key_or_the_slot_is_named() -> None:
    for columns, why in ((["slot"], "no column 'pump'"), (["pump"], "no time in 'slot'")):
        world = World()
        world.predicted(rows(1.0))
        bad = pl.DataFrame({"pump": ["b"], "slot": [DAY + HOUR]}).select(columns)
        world.tables.write("aside", Write("overwrite", bad.lazy()), identity="y", origin={})
        run = run_inline(world.monitor.pipeline, tables=world.tables, journal=world.journal, now=DAY + 48 * HOUR)
        assert (run.state, why in str(run.error)) == ("failed", True)


def test_rows_of_a_gate_that_shares_the_table_are_not_of_the_time_at_which_it_was() -> None:
    by_predict = pl.DataFrame({"pump": ["a"], "at": [DAY], "row": ["{}"], "set_aside_at": [DAY + 30 * HOUR]})
    by_gate = pl.DataFrame({"at": [DAY + HOUR], "row": ["{1}"], "pump": [None], "set_aside_at": [None]})
    spec = Monitor(
        "loads", predictions=said, truth=Table("seen"), key="pump", slot="at", observed="load",
        metrics=["mae"], label_delay="1d", set_aside=aside,
    ).spec  # fmt: skip
    both = pl.concat([by_predict, by_gate], how="diagonal_relaxed")
    like = pl.Schema({"pump": pl.String(), "at": pl.Datetime("us", "UTC")})
    assert set_aside_rows(spec, both.lazy(), like).collect().rows() == [("a", DAY)]


def test_a_row_that_is_mended_after_its_time_stays_set_aside_of_nowcasts() -> None:
    """Whoever runs a past day again, with better rows, changes no figure."""
    for made, share in (("after", 0.25), ("before", 0.0)):
        world = World(made=made)
        world.predicted(rows(1.0, 2.0, 3.0, 4.0))
        (first,) = world.tables.scan("said").filter(pl.col("pump") == "b").collect().partition_by("pump")
        hour_by_hour = world.tables.scan("said").filter(pl.col("pump") != "b").collect()
        world.tables = MemoryTables(
            {
                "seen": world.tables.scan("seen").collect(),
                "said": pl.concat(
                    [
                        hour_by_hour.with_columns(pl.lit(DAY + HOUR).alias("predicted_at")),
                        first.with_columns(pl.lit(DAY + 40 * HOUR).alias("predicted_at")),
                    ]
                ),
                "aside": pl.DataFrame({"pump": ["b"], "slot": [DAY + HOUR], "row": ["{}"], "line": [2]}),
            }
        )
        limited = {"within": "1h"} if made == "after" else {}
        world.monitor = monitor(made=made, **limited)
        assert world.look().whole.set_aside == share
