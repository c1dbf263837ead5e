"""How full will each planned departure be? A whole project in one module, from counts to an alarm.

`ingest` takes in what was counted on a day, `train` learns from it, `nightly` predicts every departure that is
planned for the next day and publishes it. The monitor below sets each prediction beside what was counted.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor

from trikk import (
    Alarm,
    Drift,
    Model,
    Monitor,
    PermanentError,
    Report,
    Retry,
    Table,
    better_by,
    estimate_error,
    pipeline,
    predict,
    promote_if,
    publish,
    quality_gate,
    register_model,
    shadow,
    step,
    when,
)
from trikk.quality import between, has_columns, holds, not_null, unique

ZONE = "America/New_York"
COLUMNS = ["trip_id", "date", "route_id", "direction_desc", "time_day_seconds", "occupancy"]
KEY = ["trip", "departs"]
DEPARTURE = ["line", "direction", "start", "weekend"]
GROUP = ["line", "direction", "hour", "weekend"]
LATELY = {"departure": (DEPARTURE, 10), "group": (GROUP, 5), "line": (["line", "weekend"], 3)}
FEATURES = ["start", "weekday", "outbound", *(f"lately_{name}" for name in LATELY)]
CHECKS = [
    has_columns({"trip": pl.Int64, "departs": pl.Datetime("us", "UTC"), "line": pl.String, "load": pl.Float64}),
    not_null(*KEY, "line", "direction"),
    not_null("load", allow=0.01, severity="warn", name="counting errors"),
    unique(*KEY),
    between("load", 0, 150),
    holds((pl.len() == 0) | (pl.len() >= 50), severity="warn", name="enough departures, or no service"),
]

departures = Table("departures")  # trip, departs (UTC), date, line, direction, start, hour, weekday, weekend, load
predictions = Table("predictions")  # trip, departs, value, model_version, run ..., naive, expected_error
challengers = Table("challengers")  # what the model in shadow predicts


def far_off(load: np.ndarray, predicted: np.ndarray) -> float:
    """The share of departures whose load is off by more than ten people: as good as another bus."""
    return float((np.abs(predicted - load) > 10).mean())


loads = Monitor(
    "loads",
    predictions=predictions,
    truth=departures,
    key="trip",
    slot="departs",
    observed="load",
    baseline="naive",
    expected_error="expected_error",
    label_delay="1d",
    least=0.3,  # about six in ten buses count their passengers
    metrics=["mae", "bias", "wape", far_off],
    slices=["line", "direction", "hour"],
    windows=["day", "week"],
    timezone=ZONE,
    drift=Drift(of=["predictions", "truth"]),
    alarms=[
        Alarm("drift", kind="drift"),
        Alarm("loss", when="mae > 1.3 * usual for 2 windows", starts="train"),
        Alarm("bias", when="abs(bias) > 1 for 2 windows", starts="train"),
        Alarm("foreseen", when="estimated(mae) > 1.4 * usual"),
        Alarm("unplanned", when="unpredicted > 0.1 * observed", severity="warning"),
    ],
)

weekly = Report("weekly", monitors=[loads], period="week", models=["loads"], title="How full our buses will be")


reads = step(source=True, retry=Retry(attempts=4, delay="1s", factor=2, max_delay="30s"), timeout="5m")


@reads
def counted(source: str, day: date, days: int) -> pl.DataFrame:
    """The counts of the days up to `day`, as they are in the file."""
    first, last = (pl.lit(str(d)) for d in (day - timedelta(days=days - 1), day))
    rows = pl.scan_parquet(source).select(COLUMNS).filter(pl.col("date").is_between(first, last))
    return rows.sort("date", "trip_id").collect()


@reads
def timetable(source: str, day: date) -> pl.DataFrame:
    """The trips planned for the day after `day`, with no loads.

    The file knows only trips that were counted: one is taken to be planned on each weekday, Saturday or Sunday
    between the first and the last on which it was. Whoever has a timetable reads it here.
    """
    tomorrow = day + timedelta(days=1)
    trips = pl.scan_parquet(source).select(COLUMNS[:-1]).with_columns(pl.col("date").str.to_date())
    alike = pl.col("date").dt.weekday().clip(5, 7) == max(tomorrow.isoweekday(), 5)
    seen = trips.filter(alike).group_by("trip_id").agg(pl.all().sort_by("date").last(), first=pl.col("date").min())
    planned = seen.filter(pl.lit(tomorrow).is_between(pl.col("first"), pl.col("date"))).sort("trip_id")
    unknown = pl.lit(None, pl.Int64).alias("occupancy")
    return planned.with_columns(pl.lit(str(tomorrow)).alias("date"), unknown).select(COLUMNS).collect()


@step
def clean(rows: pl.DataFrame) -> pl.DataFrame:
    """One row for each departure, as in table `departures`, whatever kind of integer the file's trips are.

    A bus can't carry fewer than no people: such counts become null. Planned starts lose their odd seconds, and the
    weekday comes from the date.
    """
    day, start = pl.col("date").str.to_date(), (pl.col("time_day_seconds") // 60).cast(pl.Int32)
    departs = day.cast(pl.Datetime("us")) + pl.duration(minutes=start)
    return rows.select(
        pl.col("trip_id").cast(pl.Int64).alias("trip"),
        departs.dt.replace_time_zone(ZONE, ambiguous="earliest").dt.convert_time_zone("UTC").alias("departs"),
        day,
        pl.col("route_id").alias("line"),
        pl.col("direction_desc").alias("direction"),
        start.alias("start"),
        (start // 60).alias("hour"),
        day.dt.weekday().alias("weekday"),
        (day.dt.weekday() >= 6).alias("weekend"),
        pl.when(pl.col("occupancy") >= 0).then("occupancy").cast(pl.Float64).alias("load"),
    )


@step(timeout="10m")
def features(
    departures: pl.LazyFrame, day: date, weeks: int, plan: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Departures of the weeks up to `day` whose load is known, and those of the plan, both with features.

    Departures are known by line, direction and start, not by trip: a new timetable changes all of these ids.
    """
    since = pl.col("date").is_between(day - timedelta(weeks=weeks), day, closed="right")
    past = departures.filter(since).collect()
    known = past if plan is None else pl.concat([past, plan])
    known = known.with_columns((pl.col("direction") == "OUTBOUND").alias("outbound"))
    for name, (by, half_life) in LATELY.items():
        known = known.join(lately(known, by, half_life, f"lately_{name}"), on=[*by, "date"], how="left")
    usual = past.group_by(GROUP).agg(pl.col("load").mean().alias("naive"))
    known = known.join(usual, on=GROUP, how="left").with_columns(pl.col("naive").fill_null(past["load"].mean()))
    known = known.sort("date", "trip")
    return known.filter((pl.col("date") <= day) & pl.col("load").is_not_null()), known.filter(pl.col("date") > day)


def lately(rows: pl.DataFrame, by: list[str], half_life: int, name: str) -> pl.DataFrame:
    """For each day, the mean load of the days before it; of two of these, the later one weighs more.

    Args:
        rows: departures, with null for loads that are not known.
        by: the columns of a group.
        half_life: after how many days with departures a load weighs half as much.
        name: of the new column.
    """
    daily = rows.group_by(*by, "date").agg(pl.col("load").mean()).sort("date")
    before = pl.col("load").ewm_mean(half_life=half_life, ignore_nulls=True).forward_fill().shift(1).over(by)
    return daily.select(*by, "date", before.alias(name))


@step
def split(past: pl.DataFrame, day: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What to learn from; and the last week, from which no model in use has learnt."""
    recent = pl.col("date") > day - timedelta(days=7)
    return past.filter(~recent), past.filter(recent)


@step(timeout="10m")
def fit(rows: pl.DataFrame, loss: str) -> TransformedTargetRegressor:
    """Learn the median load, which is what an absolute error asks for, or with "poisson" the mean."""
    if rows.is_empty():
        raise PermanentError("there is nothing to learn from", next="take in some weeks: ingest -p days=60")
    boosting = HistGradientBoostingRegressor(loss=loss, random_state=0, early_stopping=False)
    model = TransformedTargetRegressor(boosting, func=people, inverse_func=people, check_inverse=False)
    return model.fit(rows.select(FEATURES), rows["load"].to_numpy())


def people(values: np.ndarray) -> np.ndarray:
    """Never fewer than nobody."""
    return np.maximum(values, 0)


@step
def is_due(day: date, weekday: int) -> bool:
    return weekday in (0, day.isoweekday())


@pipeline
def ingest(source: str, day: date, days: int = 1):
    """Take in what was counted in the days up to `day`, if it passes the gate."""
    rows = clean(counted(source, day=day, days=days))
    quality_gate(rows, CHECKS, allow_empty=True)
    departures.merge(rows, key=KEY)


@pipeline(retry=Retry(attempts=2))
def train(day: date, weeks: int = 12, weekday: int = 0):
    """Train a champion and a challenger; each takes its place if it is as good in the last week, unseen by both.

    A weekday from 1 (Monday) to 7 lets only those days be trained on; 0 any.
    """
    with when(is_due(day, weekday)):
        past, _ = features(departures, day=day, weeks=weeks)
        learn, recent = split(past, day=day)
        before: list[object] = []
        for alias, loss in {"champion": "absolute_error", "challenger": "poisson"}.items():
            fitted = fit.options(name=f"fit_{alias}")(learn, loss)
            version = register_model(
                fitted, "loads", inputs=learn, nullable=FEATURES[3:], step=f"register_{alias}", after=before
            )
            rule = better_by(-0.01, metric="mae")
            before = [promote_if(rule, version, rows=recent, target="load", alias=alias, step=f"promote_{alias}")]


@pipeline(retry=Retry(attempts=2))
def nightly(source: str, day: date, weeks: int = 12):
    """Predict the load of each departure planned for the day after `day`, and how far it may be off; publish."""
    past, tomorrow = features(departures, day=day, weeks=weeks, plan=clean(timetable(source, day=day)))
    _, recent = split(past, day=day)
    rows = estimate_error(Model("loads@champion"), recent, tomorrow, truth="load", also=["line"])
    kept = ["line", "direction", "hour", "naive", "expected_error"]
    made = predict(Model("loads@champion"), rows, key="trip", slot="departs", keep=kept)
    predictions.append(made)
    publish(made, to="stream:loads", key="trip")
    shadow(Model("loads@challenger", optional=True), tomorrow, into=challengers, key="trip", slot="departs")
