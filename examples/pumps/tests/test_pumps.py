"""The pipelines in memory and the steps as plain functions, on made-up readings; and the real file."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from typing import Any

import polars as pl
import pumps
import pytest

from trikk import PermanentError
from trikk.testing import InlineRun, ManualClock, MemoryJournal, MemoryStore, MemoryTables, run_inline

NIGHT = date(2026, 3, 1)
CUT = date(2026, 3, 10)  # the first night on which the cable is cut


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Twenty nights: every tenth pump is not normal in a night, and then f1 is high."""
    row = pl.int_range(20 * pumps.PUMPS * pumps.CYCLE, eager=True).alias("row")
    wrong = (row % pumps.PUMPS + row // (pumps.PUMPS * pumps.CYCLE)) % 10 == 0
    wrong = wrong.cast(pl.Int64)
    columns = [(wrong * 50 + row % 7).alias("f1"), *((row % n).alias(f"f{n}") for n in range(2, 10))]
    path = tmp_path_factory.mktemp("file") / "readings.csv"
    pl.DataFrame([*columns, wrong.alias("anomaly")]).write_csv(path)
    return str(path)


def test_each_pump_is_read_six_times_a_night_by_the_local_clock(source: str) -> None:
    rows = pumps.replayed(source)
    assert rows.height == 20 * 240
    assert rows.select("pump", "at").is_unique().all()
    first = rows.filter(pl.col("night") == pumps.FIRST_NIGHT)
    assert (first["pump"].n_unique(), first["at"].n_unique(), first.height) == (40, 6, 240)
    assert first["at"].min() == datetime(2026, 2, 22, 22, tzinfo=UTC)
    whose = rows.select("pump", "customer").unique().group_by("customer").len()
    assert dict(whose.iter_rows()) == dict.fromkeys(pumps.CUSTOMERS, 8)


def test_no_reading_and_no_state_is_changed(source: str) -> None:
    rows = pumps.replayed(source)
    file = pl.read_csv(source)
    assert rows.select(pumps.CHANNELS).equals(file.select(pumps.CHANNELS).cast(pl.Float64))
    assert (rows["state"] == pumps.ANOMALY).to_list() == file["anomaly"].cast(pl.Boolean).to_list()


def test_findings_come_a_night_later_than_readings(source: str) -> None:
    tables = MemoryTables()
    run = run_inline(pumps.ingest, tables=tables, day=NIGHT, days=3, source=source)
    assert run.state == "succeeded", run.error
    seen, known = run.table("readings"), run.table("findings")
    assert (seen.height, known.height) == (720, 720)
    assert seen["at"].max() == datetime(2026, 3, 1, 22, 50, tzinfo=UTC)
    assert known["at"].max() == seen["at"].max() - timedelta(days=1)


def test_a_cut_cable_sends_nothing_on_its_channel(source: str) -> None:
    sent = pumps.measured(source, date(2026, 3, 12), days=4)
    silent = sent.filter(pl.col("f3").is_null())
    assert silent["pump"].unique().to_list() == ["P17"]
    assert silent.height == 3 * pumps.CYCLE
    assert sent.null_count().sum_horizontal().item() == silent.height


def test_a_night_of_which_the_file_has_nothing_is_told(source: str) -> None:
    with pytest.raises(PermanentError, match="nothing of the 1 nights up to 2027-01-01"):
        pumps.measured(source, date(2027, 1, 1), days=1)


def test_the_real_file_is_what_the_readme_says() -> None:
    if find_spec("river") is None:
        pytest.skip("the package river is not installed")
    rows = pumps.replayed(pumps.PACKAGE)
    assert rows.height == 49_097
    assert (rows["state"] == pumps.ANOMALY).sum() == 3_511
    assert rows["night"].max() == date(2026, 9, 14)
    assert rows.null_count().sum_horizontal().item() == 0


class Project:
    """A project in memory, at any night."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.kept: dict[str, Any] = {"journal": MemoryJournal(), "store": MemoryStore(), "tables": MemoryTables()}

    def run(self, pipeline: Any, day: date, **more: Any) -> InlineRun:
        """A run on the night of a day, at 23:59."""
        if pipeline is pumps.ingest:
            more["source"] = self.source
        done = run_inline(pipeline, **self.kept, clock=ManualClock(night_of(day).timestamp()), day=day, **more)
        assert done.state == "succeeded", done.error
        return done

    def nights(self, first: date, last: date) -> None:
        """Take in, and say of each reading in which state its pump is, night after night."""
        for number in range((last - first).days + 1):
            self.run(pumps.ingest, first + timedelta(days=number))
            self.run(pumps.nightly, first + timedelta(days=number))

    def table(self, name: str) -> pl.DataFrame:
        """A table's rows."""
        return self.kept["tables"].scan(name).collect()

    def watched(self, day: date) -> list[dict[str, Any]]:
        """What the monitor makes of a day as of the night after; nothing if nothing is new."""
        now = night_of(day + timedelta(days=1))
        windows = run_inline(pumps.condition.pipeline, **self.kept, now=now).output("evaluate")["windows"]
        return [w for w in windows if (w["kind"], w["label"]) == ("day", str(day))]


def night_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 22, 59, tzinfo=UTC)


@pytest.fixture(scope="module")
def project(source: str) -> Project:
    """Trained on the last of February, and then two nights on which a cable is cut."""
    project = Project(source)
    project.run(pumps.ingest, CUT - timedelta(days=1), days=16)
    project.run(pumps.train, CUT - timedelta(days=1))
    project.nights(CUT, CUT + timedelta(days=1))
    return project


def test_a_prediction_is_a_class_with_the_probability_of_the_anomaly(project: Project) -> None:
    made = project.table("predictions")
    assert made.columns[4:6] == ["value", "probability"]
    assert made.schema["value"] == pl.String
    assert made.filter(pl.col("value") == pumps.ANOMALY)["probability"].min() >= 0.5
    assert made.filter(pl.col("value") == pumps.NORMAL)["probability"].max() <= 0.5


def test_the_pump_with_the_cut_cable_is_set_aside_and_the_others_are_predicted(project: Project) -> None:
    made, aside = project.table("predictions"), project.table("set_aside")
    assert (made.height, aside.height) == (2 * 234, 2 * 6)
    assert "P17" not in made["pump"]
    assert aside.select("pump", "reason").unique().rows() == [("P17", "f3 is missing")]


def all_well(rows: pl.DataFrame) -> pl.Series:
    """A model that sees no anomaly."""
    return pl.Series([pumps.NORMAL] * rows.height)


def test_the_monitor_judges_what_was_said_first(project: Project) -> None:
    (day,) = project.watched(CUT)
    assert (day["state"], day["predicted"], day["labelled"]) == ("final", 234, 234)
    assert day["metrics"]["recall"] == day["metrics"]["precision"] == 1
    later = ManualClock(night_of(CUT + timedelta(days=2)).timestamp())
    again = run_inline(pumps.nightly, **project.kept, clock=later, models={"pumps@champion": all_well}, day=CUT)
    assert again.state == "succeeded", again.error
    assert all(once_more["metrics"] == day["metrics"] for once_more in project.watched(CUT))
