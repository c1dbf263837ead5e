"""`python -m benchmarks.features`: feature tables beside what they are made of, in the same process and minute.

- a point-in-time join beside the same join written by hand with polars' `join_asof`;
- one key, and a thousand, from SQLite and Redis beside the bare client's read of the same cells;
- the first sync and one of new rows.

Each figure is the median of `--repeat` rounds, the two sides in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tests.servers.redis import PASSWORD, NoServer, running

from trikk import FeatureTable
from trikk.features.cell_encoding import entity_text
from trikk.features.project_place import Place
from trikk.features.store_address import resolve
from trikk.features.sync import sync
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.tables.table_write import Write
from trikk.storage.tables.versioned_tables import Tables

START = datetime(2024, 3, 1, tzinfo=UTC)
SPAN = 30 * 86_400 * 10**6
TTL = timedelta(days=1)
LINES, STOPS = 200, 500
AGEING = FeatureTable("loads", entity=["line", "stop"], time="known", ttl=TTL)
LOADS = FeatureTable("loads", entity=["line", "stop"], time="known")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows on each side of the join")
    parser.add_argument("--online", type=int, default=1_000_000, help="rows of the table that is served")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    options = parser.parse_args()
    print(f"load of the machine at the start: {os.getloadavg()[0]:.1f}\n")
    joins(options.rows, options.repeat)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        place = Place(Tables(f"{folder}/tables"), MemoryJournal(), Path(folder), None)
        filled(place, options.online)
        served(place, f"sqlite:///{folder}/online.db", options.repeat)
        try:
            server = stack.enter_context(running())
        except NoServer as error:
            print(f"no Redis: {error}")
            return
        os.environ["FEATURES_PASSWORD"] = PASSWORD
        served(place, server.template("FEATURES_PASSWORD"), options.repeat)


def facts(rows: int, seed: int, time_column: str, after: int = 0) -> pl.DataFrame:
    """Rows about random stops at random moments."""
    dice = np.random.default_rng(seed)
    moments = dice.integers(after, after + SPAN, rows)
    return pl.DataFrame(
        {
            "line": pl.Series(dice.integers(0, LINES, rows)).cast(pl.String),
            "stop": pl.Series(dice.integers(0, STOPS, rows)).cast(pl.String),
            time_column: pl.Series(moments + int(START.timestamp() * 10**6)).cast(pl.Datetime("us", "UTC")),
        }
    )


def valued(frame: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The rows with five features."""
    dice = np.random.default_rng(seed)
    return frame.with_columns(pl.Series(f"mean_{n}", dice.random(frame.height)) for n in range(5))


def joins(rows: int, repeat: int) -> None:
    """Point-in-time joins of `rows` by `rows`."""
    table = valued(facts(rows, 1, "known"), 2)
    trips = facts(rows, 3, "departure")

    def by_hand() -> pl.DataFrame:
        left = trips.with_row_index("at").sort("departure")
        return left.join_asof(
            table.sort("known"), left_on="departure", right_on="known", by=["line", "stop"], strategy="backward",
            tolerance=TTL, check_sortedness=False,
        ).sort("at").drop("at", "known", strict=False)  # fmt: skip

    def ours() -> pl.DataFrame:
        return AGEING.join_as_of(trips, on="departure", table=table)

    checked = by_hand().equals(ours())
    hand, own = in_turn([by_hand, ours], repeat)
    print(f"join_as_of, {rows:,} by {rows:,} rows, 2 text keys, 5 features (same result: {checked})")
    print(f"  by hand {hand:.2f} s, trikk {own:.2f} s: ratio {own / hand:.2f}\n")


def filled(place: Place, rows: int) -> None:
    """A feature table of `rows` with known times that do not repeat for a stop."""
    frame = valued(facts(rows, 5, "known"), 6).unique(["line", "stop", "known"], keep="first")
    place.tables.write("loads", Write("append", frame), identity="first", origin={})


def served(place: Place, address: str, repeat: int) -> None:
    """Sync, then single keys and batches."""
    kind = address.partition(":")[0]
    at = START + timedelta(days=30)
    began = time.perf_counter()
    first = sync(LOADS.definition, place, at=at, to=address, rebuild=True)
    took = time.perf_counter() - began
    print(f"{kind}: first sync, {first.entities:,} entities: {took:.2f} s")
    new = valued(facts(1_000, 7, "known", after=SPAN), 8).unique(["line", "stop"])
    place.tables.write("loads", Write("append", new), identity=f"new {kind}", origin={})
    began = time.perf_counter()
    more = sync(LOADS.definition, place, at=at, to=address)
    print(f"{kind}: sync of {more.entities:,} new rows: {(time.perf_counter() - began) * 1000:.0f} ms")
    dice = random.Random(1)
    keys = [{"line": str(dice.randrange(LINES)), "stop": str(dice.randrange(STOPS))} for _ in range(1_000)]
    texts = [entity_text([key["line"], key["stop"]]) for key in keys]
    bare = bare_reader(address)

    def ours(batch: list[dict[str, str]]) -> Any:
        return LOADS.latest(batch, at=at, online=address)

    ours(keys[:1])
    bare(texts[:1])
    rounds = [([each(bare, texts), each(ours, keys)]) for _ in range(repeat)]
    for place_in, share in (("p50", 0.5), ("p99", 0.99)):
        hand, own = (statistics.median(quantile(r[side], share) for r in rounds) for side in (0, 1))
        print(
            f"{kind}: one key, {place_in}: bare read {hand * 1e6:.0f} us, latest {own * 1e6:.0f} us: "
            f"{(own - hand) * 1e6:.0f} us more, ratio {own / hand:.2f}"
        )
    frame = pl.DataFrame(keys)
    hand, own, framed = in_turn([lambda: bare(texts), lambda: ours(keys), lambda: ours(frame)], repeat * 5)
    print(
        f"{kind}: 1,000 keys: bare read {hand * 1e3:.1f} ms, latest {own * 1e3:.1f} ms (ratio {own / hand:.2f}), "
        f"as a frame {framed * 1e3:.1f} ms\n"
    )


def bare_reader(address: str) -> Callable[[list[str]], list[Any]]:
    """The client alone: the same cells, as plain values."""
    resolved = resolve(address)
    if resolved.scheme == "sqlite":
        link = sqlite3.connect(resolved.path)

        def from_sqlite(texts: list[str]) -> list[Any]:
            with closing(link.cursor()) as cursor:
                cells_ = [
                    cursor.execute("SELECT cell FROM cells WHERE entity = ?", (t,)).fetchone() for t in texts
                ]
            return [None if row is None else json.loads(row[0]) for row in cells_]

        return from_sqlite
    import redis

    client = redis.Redis.from_url(resolved.url, decode_responses=True)
    cells = "trikk:features:{loads}"

    def from_redis(texts: list[str]) -> list[Any]:
        values: Any = [client.hget(cells, texts[0])] if len(texts) == 1 else client.hmget(cells, texts)
        return [None if cell is None else json.loads(cell) for cell in values]

    return from_redis


def each(read: Callable[[list[Any]], Any], keys: list[Any]) -> list[float]:
    """Seconds for each key alone."""
    took = []
    for key in keys:
        began = time.perf_counter()
        read([key])
        took.append(time.perf_counter() - began)
    return took


def quantile(samples: list[float], share: float) -> float:
    """A quantile, by the nearest rank."""
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * share))]


def in_turn(sides: list[Callable[[], Any]], repeat: int) -> list[float]:
    """Median seconds of each side, measured in turn."""
    samples: list[list[float]] = [[] for _ in sides]
    for _ in range(repeat):
        for side, kept in zip(sides, samples, strict=True):
            began = time.perf_counter()
            side()
            kept.append(time.perf_counter() - began)
    return [statistics.median(kept) for kept in samples]


if __name__ == "__main__":
    main()
