"""Feature tables beside what they are made of: a point-in-time join, and keys from an online store."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from tests.servers.redis import PASSWORD, NoServer, running

from benchmarks.ways import Ready, Unavailable
from benchmarks.ways.commands import own_folder
from trikk import FeatureTable
from trikk.features.cell_encoding import entity_text
from trikk.features.project_place import Place
from trikk.features.stores.store_address import resolve, sqlite_path
from trikk.features.sync import sync
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.tables.table_write import Write
from trikk.storage.tables.versioned_tables import Tables

START = datetime(2024, 3, 1, tzinfo=UTC)
SPAN = 30 * 86_400 * 10**6
TTL = timedelta(days=1)
LINES, STOPS = 200, 500
ONLINE = 1_000_000
"""Rows of the table that is served."""

AGEING = FeatureTable("loads", entity=["line", "stop"], time="known", ttl=TTL)
LOADS = FeatureTable("loads", entity=["line", "stop"], time="known")


def facts(rows: int, seed: int, time_column: str) -> pl.DataFrame:
    """Rows about random stops at random moments."""
    dice = np.random.default_rng(seed)
    moments = dice.integers(0, SPAN, rows) + int(START.timestamp() * 10**6)
    return pl.DataFrame(
        {
            "line": pl.Series(dice.integers(0, LINES, rows)).cast(pl.String),
            "stop": pl.Series(dice.integers(0, STOPS, rows)).cast(pl.String),
            time_column: pl.Series(moments).cast(pl.Datetime("us", "UTC")),
        }
    )


def valued(frame: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The rows with five features."""
    dice = np.random.default_rng(seed)
    return frame.with_columns(pl.Series(f"mean_{n}", dice.random(frame.height)) for n in range(5))


def join(size: int, way: str) -> Ready:
    """`size` trips with what was known at their departure, by `join_as_of` or by polars' own join."""
    table, trips = valued(facts(size, 1, "known"), 2), facts(size, 3, "departure")

    def by_hand() -> pl.DataFrame:
        left = trips.with_row_index("at").sort("departure")
        return left.join_asof(
            table.sort("known"), left_on="departure", right_on="known", by=["line", "stop"], strategy="backward",
            tolerance=TTL, check_sortedness=False,
        ).sort("at").drop("at", "known", strict=False)  # fmt: skip

    def ours() -> pl.DataFrame:
        return AGEING.join_as_of(trips, on="departure", table=table)

    def answer(joined: pl.DataFrame) -> dict[str, Any]:
        return {"rows": str(joined.hash_rows(1).sum()), "columns": joined.columns}

    return Ready(by_hand if way == "hand" else ours, answer)


@contextlib.contextmanager
def online(size: int, store: str, way: str) -> Iterator[Callable[[], Any]]:
    """A thousand keys, `size` at a time, by `latest` or by the bare client's read of the same cells."""
    with contextlib.ExitStack() as stack:
        address = f"sqlite:///{own_folder()}/online.db"
        if store == "redis":
            try:
                server = stack.enter_context(running())
            except NoServer as error:
                raise Unavailable(str(error)) from error
            os.environ["FEATURES_PASSWORD"] = PASSWORD
            address = server.template("FEATURES_PASSWORD")
        place = Place(Tables(f"{own_folder()}/tables"), MemoryJournal(), own_folder(), None)
        frame = valued(facts(ONLINE, 5, "known"), 6).unique(["line", "stop", "known"], keep="first")
        place.tables.write("loads", Write("append", frame), identity="first", origin={})
        at = START + timedelta(days=30)
        sync(LOADS.definition, place, at=at, to=address, rebuild=True)
        dice = random.Random(1)
        keys = [{"line": str(dice.randrange(LINES)), "stop": str(dice.randrange(STOPS))} for _ in range(1_000)]
        texts = [entity_text([key["line"], key["stop"]]) for key in keys]
        bare = bare_reader(address)

        def by_hand() -> None:
            for i in range(0, len(texts), size):
                bare(texts[i : i + size])

        def ours() -> None:
            for i in range(0, len(keys), size):
                LOADS.latest(keys[i : i + size], at=at, online=address)

        yield by_hand if way == "hand" else ours


def bare_reader(address: str) -> Callable[[list[str]], list[Any]]:
    """The client alone: the same cells, as plain values."""
    resolved = resolve(address)
    if resolved.scheme == "sqlite":
        link = sqlite3.connect(sqlite_path(resolved))

        def from_sqlite(texts: list[str]) -> list[Any]:
            with contextlib.closing(link.cursor()) as cursor:
                query = "SELECT cell FROM cells WHERE entity = ?"
                rows = [cursor.execute(query, (text,)).fetchone() for text in texts]
            return [None if row is None else json.loads(row[0]) for row in rows]

        return from_sqlite
    import redis

    client = redis.Redis.from_url(resolved.text, decode_responses=True)
    cells = "trikk:features:{loads}"

    def from_redis(texts: list[str]) -> list[Any]:
        values: Any = [client.hget(cells, texts[0])] if len(texts) == 1 else client.hmget(cells, texts)
        return [None if cell is None else json.loads(cell) for cell in values]

    return from_redis
