"""A city's day as a project of trikk's: `benchmarks.ways.city_day` copies this file to where it measures."""

from __future__ import annotations

from datetime import date, timedelta

import city_work
import lightgbm
import polars as pl

from trikk import Model, Table, pipeline, predict, publish, register_model, step

departures = Table("departures")
counts = Table("counts")
predictions = Table("predictions")


@step
def build_features(departures: pl.LazyFrame, counts: pl.LazyFrame, day: date) -> pl.DataFrame:
    return city_work.features(departures, counts, day)


@step
def build_training(departures: pl.LazyFrame, counts: pl.LazyFrame, day: date) -> pl.DataFrame:
    return city_work.training(departures, counts, day - timedelta(days=1))


@step
def fit(rows: pl.DataFrame) -> lightgbm.Booster:
    return city_work.fitted(rows)


@pipeline
def train(day: date = city_work.DAY):
    rows = build_training(departures, counts, day=day)
    register_model(fit(rows), "load", inputs=rows)


@pipeline
def nightly(day: date = city_work.DAY):
    rows = build_features(departures, counts, day=day)
    made = predict(Model("load@champion"), rows, key="trip", slot="slot", keep=["line"])
    predictions.append(made)
    publish(made, to="stream:predictions", key="line")
