"""In which state is each pump now? A whole project in one module, from readings to a customer's monthly report.

Each night every pump of the fleet is put through a test cycle. `ingest` takes in its readings, and what the
fitters found at the pumps a day later; `train` learns from both; `nightly` says of each reading at once whether
it is normal. The monitor below sets what was said beside what was found.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from importlib.metadata import distribution

import polars as pl

from trikk import PermanentError, Table, pipeline, quality_gate, step
from trikk.quality import has_columns, not_null, one_of, row_count, unique

ZONE = "Europe/Berlin"
PACKAGE = "river"
CHANNELS = [f"f{n}" for n in range(1, 10)]
KEY = ["pump", "at"]
NORMAL, ANOMALY = "normal", "anomaly"

# The file has neither a clock nor pumps: its rows are replayed in their order as if they came from this fleet.
FIRST_NIGHT = date(2026, 2, 22)
FIRST_READING = timedelta(hours=23)  # after midnight, local time; then every ten minutes
PUMPS, CYCLE = 40, 6  # readings of a night: 240
CUSTOMERS = ["brewery", "dairy", "harbour", "hospital", "waterworks"]  # eight pumps each
CABLE_CUT = {"pump": "P17", "channel": "f3", "from": date(2026, 3, 10), "until": date(2026, 3, 14)}

READINGS = [
    has_columns({"pump": pl.String, "at": pl.Datetime("us", "UTC"), "customer": pl.String}),
    row_count(at_least=1),
    not_null(*KEY, "customer"),
    unique(*KEY),
]
FINDINGS = [not_null(*KEY, "state"), unique(*KEY), one_of("state", [NORMAL, ANOMALY])]

readings = Table("readings")  # pump, at (UTC), customer, f1 ... f9; null where a channel sent nothing
findings = Table("findings")  # pump, at (UTC), state: what the fitters found


def replayed(source: str) -> pl.DataFrame:
    """The rows of the file as readings of the fleet, with the state of the pump at that time."""
    path = distribution(PACKAGE).locate_file("river/datasets/shuttle.csv.gz") if source == PACKAGE else source
    file = pl.read_csv(str(path), schema_overrides=dict.fromkeys(CHANNELS, pl.Float64))
    row = pl.int_range(pl.len(), dtype=pl.Int64)
    pump, cycle, night = row % PUMPS, row // PUMPS % CYCLE, row // (PUMPS * CYCLE)
    first = datetime.combine(FIRST_NIGHT, datetime.min.time()) + FIRST_READING
    local = pl.lit(first) + pl.duration(days=night, minutes=10 * cycle)
    return file.select(
        pl.format("P{}", (pump + 1).cast(pl.String).str.zfill(2)).alias("pump"),
        local.dt.cast_time_unit("us").dt.replace_time_zone(ZONE).dt.convert_time_zone("UTC").alias("at"),
        local.dt.date().alias("night"),
        pl.lit(pl.Series(CUSTOMERS)).gather(pump * len(CUSTOMERS) // PUMPS).alias("customer"),
        *CHANNELS,
        pl.when(pl.col("anomaly") == 1).then(pl.lit(ANOMALY)).otherwise(pl.lit(NORMAL)).alias("state"),
    )


def nights(rows: pl.DataFrame, last: date, count: int) -> pl.DataFrame:
    """The rows of some nights up to `last`."""
    found = rows.filter(pl.col("night").is_between(last - timedelta(days=count), last, closed="right"))
    if found.is_empty():
        raise PermanentError(f"the file holds nothing of the {count} nights up to {last}")
    return found


@step(source=True, timeout="5m")
def measured(source: str, day: date, days: int) -> pl.DataFrame:
    """What the pumps have sent in the nights up to `day`. Pump P17 sends nothing on f3 while its cable is cut."""
    rows = nights(replayed(source), day, days)
    cut = (pl.col("pump") == CABLE_CUT["pump"]) & pl.col("night").is_between(CABLE_CUT["from"], CABLE_CUT["until"])
    sent = pl.when(~cut).then(CABLE_CUT["channel"]).alias(CABLE_CUT["channel"])
    return rows.with_columns(sent).select("pump", "at", "customer", *CHANNELS)


@step(source=True, timeout="5m")
def found(source: str, day: date, days: int) -> pl.DataFrame:
    """What the fitters had found by that night: they need a day."""
    return nights(replayed(source), day - timedelta(days=1), days).select(*KEY, "state")


@pipeline
def ingest(day: date, days: int = 1, source: str = PACKAGE):
    """Take in the readings of the nights up to `day`, and the findings up to the night before."""
    sent = measured(source, day=day, days=days)
    quality_gate(sent, READINGS)
    readings.merge(sent, key=KEY)
    states = found(source, day=day, days=days)
    quality_gate(states, FINDINGS)
    findings.merge(states, key=KEY)
