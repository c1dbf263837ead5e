"""Random feature tables: few entities and close moments, so that everything that can happen does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import strategies as st

from trikk.features import Definition, FeatureTable

START = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
UTC_TIME = pl.Datetime("us", "UTC")
SCHEMA = {
    "line": pl.String,
    "stop": pl.Int32,
    "about": UTC_TIME,
    "known": UTC_TIME,
    "mean": pl.Float64,
    "share": pl.Float32,
    "count": pl.Int64,
    "place": pl.String,
    "open": pl.Boolean,
    "day": pl.Date,
    "seen": UTC_TIME,
    "local": pl.Datetime("us"),
    "price": pl.Decimal(12, 2),
    "digest": pl.Binary,
    "vector": pl.List(pl.Float32),
    "days": pl.List(pl.Date),
}
VALUES = [name for name in SCHEMA if name not in ("line", "stop", "about", "known")]

minutes = st.integers(0, 12).map(lambda n: START + n * MINUTE)
entities = st.tuples(st.sampled_from(["4", "5", 'é"\\']), st.integers(0, 1))
naive = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001
values = st.fixed_dictionaries(
    {
        "mean": st.none() | st.floats(),
        "share": st.none() | st.floats(width=32),
        "count": st.none() | st.integers(-(2**63), 2**63 - 1),
        "place": st.none() | st.text(max_size=5),
        "open": st.none() | st.booleans(),
        "day": st.none() | st.dates(),
        "seen": st.none() | naive.map(lambda t: t.replace(tzinfo=UTC)),
        "local": st.none() | naive,
        "price": st.none() | st.decimals(-(10**8), 10**8, places=2),
        "digest": st.none() | st.binary(max_size=4),
        "vector": st.none() | st.lists(st.none() | st.floats(width=32), max_size=3),
        "days": st.none() | st.lists(st.none() | st.dates(), max_size=2),
    }
)


@dataclass(frozen=True)
class Case:
    """A definition, facts that do not contradict each other, and entities with moments to ask for."""

    definition: Definition
    facts: list[dict[str, Any]]
    moments: list[tuple[tuple[Any, ...], datetime]]

    def frame(self, facts: list[dict[str, Any]] | None = None) -> pl.DataFrame:
        return pl.DataFrame(self.facts if facts is None else facts, schema=SCHEMA, orient="row")

    def rows(self) -> pl.DataFrame:
        data = [(*entity, moment) for entity, moment in self.moments]
        return pl.DataFrame(data, schema={"line": pl.String, "stop": pl.Int32, "at": UTC_TIME}, orient="row")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    event = draw(st.sampled_from([None, "about"]))
    delay = draw(st.integers(0, 3))
    table = FeatureTable(
        "loads",
        entity=["line", "stop"],
        time="known",
        event=event,
        features=None if event else VALUES,
        ttl=draw(st.none() | st.integers(delay, 8).map(lambda n: n * MINUTE)),
        available_after=delay * MINUTE,
    )
    keys = st.tuples(entities, minutes, minutes)
    unique = draw(st.lists(keys, max_size=14, unique_by=lambda k: k if event else (k[0], k[2])))
    facts = [
        {"line": entity[0], "stop": entity[1], "about": about, "known": known, **draw(values)}
        for entity, about, known in unique
    ]
    moments = draw(st.lists(st.tuples(entities, minutes), max_size=12))
    return Case(table.definition, facts, moments)
