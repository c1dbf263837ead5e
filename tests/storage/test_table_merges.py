"""Our merge by key against delta-rs' own, which tables of other programs get: the same rows, counts and errors."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.core.errors import TableError
from trikk.storage.tables import rewriting, table_write
from trikk.storage.tables.table_write import Committed
from trikk.storage.tables.versioned_tables import Tables, Write

NIGHT = dt.datetime(2026, 3, 29, 0, 30, tzinfo=dt.UTC)  # before the clocks of Berlin are put forward
KEYS: dict[str, tuple[pl.DataType, Any]] = {
    "integer": (pl.Int64(), lambda n: n * 2**59 - 2**61),
    "small": (pl.Int16(), lambda n: n),
    "unsigned": (pl.UInt32(), lambda n: n),
    "text": (pl.String(), lambda n: ["", "a", "a" * 40, "a" * 32 + "\U0010ffff" * 2, "ä\0'\""][n % 5] + "b" * n),
    "category": (pl.Categorical(), lambda n: f"c{n}"),
    "date": (pl.Date(), lambda n: dt.date(1, 1, 1) + dt.timedelta(days=n)),
    "moment": (pl.Datetime("us"), lambda n: NIGHT.replace(tzinfo=None) + dt.timedelta(microseconds=n)),
    "zoned": (
        pl.Datetime("ms", "Europe/Berlin"),
        lambda n: NIGHT + dt.timedelta(minutes=n),
    ),
    "decimal": (pl.Decimal(12, 2), lambda n: Decimal(n) / 4),
    "boolean": (pl.Boolean(), lambda n: n % 2 == 0),
    "float": (pl.Float64(), lambda n: [n / 3, float("nan")][n % 2]),
    "list": (pl.List(pl.Int64()), lambda n: [n]),
}
VALUES: dict[str, list[tuple[pl.DataType, Any]]] = {
    "number": [
        (pl.Int64(), lambda n: n),
        (pl.Int8(), lambda n: n),
        (pl.Float64(), float),
        (pl.Float64(), lambda n: n / 2),
        (pl.Decimal(9, 1), lambda n: Decimal(n) / 2),
    ],
    "text": [
        (pl.String(), lambda n: f"v{n}"),
        (pl.Null(), lambda n: None),
        (pl.Enum(["v1", "v2"]), lambda n: f"v{n % 2 + 1}"),
    ],
    "float": [(pl.Float64(), lambda n: [n / 3, float("nan"), float("inf"), -0.0][n % 4]), (pl.Float32(), float)],
    "decimal": [(pl.Decimal(9, 2), lambda n: Decimal(n) / 4), (pl.Decimal(12, 4), lambda n: Decimal(n) / 8)],
    "nested": [
        (pl.Struct({"a": pl.Int64(), "b": pl.String()}), lambda n: {"a": n, "b": str(n)}),
        (pl.Struct({"a": pl.Int64()}), lambda n: {"a": n}),
        (pl.List(pl.Int64()), lambda n: [n, None]),
    ],
    "moment": [
        (pl.Datetime("us", "UTC"), lambda n: NIGHT + dt.timedelta(microseconds=n)),
        (pl.Datetime("us", "Asia/Tokyo"), lambda n: NIGHT + dt.timedelta(hours=n)),
        (pl.Datetime("us"), lambda n: NIGHT.replace(tzinfo=None)),
    ],
    "bytes": [(pl.Binary(), lambda n: bytes([n % 256]) * n)],
}


@st.composite
def frames(draw: st.DrawFn, key: str, value: str, *, unique: bool) -> pl.DataFrame:
    """Rows with key columns k and part, a value v, and maybe without v or with new columns."""
    dtype, key_of = KEYS[key]
    value_type, value_of = draw(st.sampled_from(VALUES[value]))
    numbers = draw(
        st.lists(st.integers(0, 5), min_size=draw(st.sampled_from([0, 1, 1, 2])), max_size=6, unique=unique)
    )
    nothing = draw(st.sampled_from([False, False, False, True]))
    is_null = [nothing and draw(st.booleans()) for _ in numbers]
    keys = pl.Series("k", [None if gone else key_of(n) for n, gone in zip(numbers, is_null, strict=True)], dtype)
    values = [draw(st.none() | st.integers(0, 5)) for _ in numbers]
    columns = {
        "k": keys,
        "part": pl.Series([n % 3 for n in numbers], dtype=pl.Int64),
        "v": pl.Series([None if n is None else value_of(n) for n in values], dtype=value_type),
        "new": pl.Series(numbers, dtype=pl.Int64),
    }
    shape = draw(st.sampled_from([["k", "part", "v"]] * 4 + [["v", "part", "k"], ["k", "part"], [*columns], []]))
    return pl.DataFrame([columns[name].alias(name) for name in shape])


@st.composite
def merges(draw: st.DrawFn) -> tuple[list[pl.DataFrame], list[pl.DataFrame], dict[str, Any]]:
    """Rows appended to a table, rows merged into it, and how."""
    key, value = draw(st.sampled_from(sorted(KEYS))), draw(st.sampled_from(sorted(VALUES)))
    first = draw(frames(key, value, unique=True).filter(lambda rows: "v" in rows.columns))
    appended = draw(st.lists(frames(key, value, unique=True), max_size=2))
    merged = draw(
        st.lists(frames(key, value, unique=draw(st.sampled_from([True, True, False]))), min_size=1, max_size=3)
    )
    by = draw(st.sampled_from([("k",), ("k",), ("k", "part"), ("part", "k"), ("absent",)]))
    how = {"key": by, "schema_mode": draw(st.sampled_from(["strict", "merge"]))}
    return [first, *appended], merged, how


def outcome(tables: Tables, number: int, write: Write) -> Any:
    """What a write comes to: its counts and the table's rows after it, or its error."""
    try:
        done: Committed = tables.write("t", write, identity=str(number), origin={})
    except TableError as error:
        return error.what
    rows = tables.scan("t").collect()
    columns = {name: str(dtype) for name, dtype in rows.schema.items()}
    return (done.rows, done.inserted, done.updated), columns, sorted(map(repr, rows.rows()))


@settings(max_examples=50, deadline=None)
@given(merges())
def test_a_merge_comes_to_what_that_of_delta_rs_does(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[list[pl.DataFrame], list[pl.DataFrame], dict[str, Any]]
) -> None:
    appended, merged, how = case
    writes = [Write("append", rows, schema_mode="merge") for rows in appended]
    writes += [Write("merge", rows, **how) for rows in merged]
    ours, theirs = (Tables(str(tmp_path_factory.mktemp(name))) for name in ("ours", "theirs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rewriting, "MANY", 2)
        outcomes = [outcome(ours, number, write) for number, write in enumerate(writes)]
        patch.setattr(table_write, "is_plain", lambda table: False)
        assert outcomes == [outcome(theirs, number, write) for number, write in enumerate(writes)]
