"""In which state is each pump now? A whole project in one module, from readings to a customer's monthly report.

Each night every pump of the fleet is put through a test cycle. `ingest` takes in its readings, and what the
fitters found at the pumps a day later; `train` learns from both; `nightly` says of each reading at once whether
it is normal. The monitor below sets what was said beside what was found.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from importlib.metadata import distribution

import polars as pl
from sklearn.ensemble import RandomForestClassifier

from trikk import (
    Alarm,
    Metric,
    Model,
    Monitor,
    PermanentError,
    Report,
    Slice,
    Table,
    better_by,
    pipeline,
    predict,
    promote_if,
    quality_gate,
    register_model,
    step,
    when,
)
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
CUSTOMERS = {  # eight pumps each
    "brewery": "Hill Brewery",
    "dairy": "Green Valley Dairy",
    "harbour": "Harbour Authority",
    "hospital": "St. Anne's Hospital",
    "waterworks": "City Waterworks",
}
FLEET = {f"P{n + 1:02}": [*CUSTOMERS][n * len(CUSTOMERS) // PUMPS] for n in range(PUMPS)}  # whose each pump is
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
predictions = Table("predictions")  # pump, at, value, probability, model_version, run ..., customer
set_aside = Table("set_aside")  # readings that could not be predicted, with the reason

condition = Monitor(
    "condition",
    title="Condition of the pumps",
    predictions=predictions,
    truth=findings,
    key="pump",
    slot="at",
    observed="state",
    positive=ANOMALY,
    made="after",  # a prediction says what was the case at its slot
    within="1h",
    label_delay="1d",
    metrics=[
        Metric("recall", title="Anomalies that were seen"),
        Metric("precision", title="Alerts that were right"),
        Metric("f1", title="F1"),
        Metric("average_precision", title="Average precision"),
        Metric("ece", title="Calibration error"),
    ],
    slices=[Slice("customer", title="Customer", customer_name=CUSTOMERS), Slice("pump", title="Pump")],
    windows=["day", "month"],
    timezone=ZONE,
    calibrate="14d",  # metrics are estimated before the fitters come, from probabilities made right by two weeks
    set_aside=set_aside,
    alarms=[
        Alarm("missed", when="recall < 0.8 for 2 windows", starts="train"),
        Alarm("unseen_state", when="unseen_class > 0"),
        Alarm("silent", when="set_aside > 0.5", slice="pump", min_labelled=CYCLE, severity="warning"),
    ],
)

monthly = Report(
    "monthly",
    title="Your pumps",
    monitors=[condition],
    models=["pumps"],
    customer_slice="pump",
    customers={customer: [p for p in FLEET if FLEET[p] == customer] for customer in CUSTOMERS},
    customer_name=CUSTOMERS,
    schedule="0 6 2 * *",
)


def replayed(source: str) -> pl.DataFrame:
    """The rows of the file as readings of the fleet, with the state of the pump at that time."""
    path = distribution(PACKAGE).locate_file("river/datasets/shuttle.csv.gz") if source == PACKAGE else source
    file = pl.read_csv(str(path), schema_overrides=dict.fromkeys(CHANNELS, pl.Float64))
    row = pl.int_range(pl.len(), dtype=pl.Int64)
    pump, cycle, night = row % PUMPS, row // PUMPS % CYCLE, row // (PUMPS * CYCLE)
    first = datetime.combine(FIRST_NIGHT, datetime.min.time()) + FIRST_READING
    local = pl.lit(first) + pl.duration(days=night, minutes=10 * cycle)
    return file.select(
        pl.lit(pl.Series([*FLEET])).gather(pump).alias("pump"),
        local.dt.cast_time_unit("us").dt.replace_time_zone(ZONE).dt.convert_time_zone("UTC").alias("at"),
        local.dt.date().alias("night"),
        pl.lit(pl.Series([*FLEET.values()])).gather(pump).alias("customer"),
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


@step
def split(
    readings: pl.LazyFrame, findings: pl.LazyFrame, day: date, nights: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Readings whose state is known: what to learn from, and the last nights, from which no model has learnt."""
    known = readings.join(findings, on=KEY).drop_nulls(CHANNELS).sort(KEY).collect()
    recent = pl.col("at").dt.convert_time_zone(ZONE).dt.date() >= day - timedelta(days=nights)
    return known.filter(~recent), known.filter(recent)


@step
def fit(rows: pl.DataFrame) -> RandomForestClassifier:
    return RandomForestClassifier(50, min_samples_leaf=2, random_state=0).fit(rows.select(CHANNELS), rows["state"])


@step
def is_due(day: date, weekday: int) -> bool:
    return weekday in (0, day.isoweekday())


@pipeline
def train(day: date, nights: int = 3, weekday: int = 0):
    """Learn from all that is known; champion is who tells the states apart better in the last nights.

    A weekday from 1 (Monday) to 7 lets only those days be trained on; 0 any.
    """
    with when(is_due(day, weekday)):
        learn, recent = split(readings, findings, day=day, nights=nights)
        version = register_model(fit(learn), "pumps", inputs=learn, positive=ANOMALY)
        promote_if(better_by(0.0, metric="f1"), version, rows=recent, target="state")


@step
def tonight(readings: pl.LazyFrame, day: date) -> pl.DataFrame:
    """The readings of the night of `day`."""
    return readings.filter(pl.col("at").dt.convert_time_zone(ZONE).dt.date() == day).sort(KEY).collect()


@pipeline
def nightly(day: date):
    """Say of each reading of tonight in which state its pump is."""
    rows = tonight(readings, day=day)
    made = predict(
        Model("pumps@champion"),
        rows,
        key="pump",
        slot="at",
        keep=["customer"],
        on_invalid="set aside",
        invalid=set_aside,
    )
    predictions.append(made)
