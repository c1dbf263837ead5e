"""The pipelines in memory and the steps as plain functions, on made-up readings; and the real file."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pumps
import pytest

from trikk import PermanentError
from trikk.testing import MemoryTables, run_inline

NIGHT = date(2026, 3, 1)


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
    assert Path(pumps.__file__).parent.joinpath("README.md").exists()
