from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.consuming.message_rows import KEY, RowReader, inferred_schema, set_aside
from trikk.core.errors import UsageError

SCHEMA: dict[str, Any] = {
    "sensor": pl.String(),
    "n": pl.Int16(),
    "x": pl.Float64(),
    "small": pl.Float32(),
    "price": pl.Decimal(5, 2),
    "at": pl.Datetime("us", "UTC"),
    "parts": pl.List(pl.Struct({"q": pl.Int64(), "a b": pl.Float64()})),
}
BAD = [
    (b'{"sensor":"a","n":"1"}', "expected `int`, got `str`, at `n`"),
    (b'{"sensor":"a","n":32768}', "expected `int` <= 32767, at `n`"),
    (b'{"sensor":"a","n":true}', "expected `int`, got `bool`, at `n`"),
    (b'{"sensor":"a","x":9007199254740993}', "9007199254740993 has more digits"),
    (b'{"sensor":"a","small":1e300}', "1e+300 is beyond a Float32"),
    (b'{"sensor":"a","price":1.005}', "1.005 has more digits"),
    (b'{"sensor":"a","price":1234.5}', "1234.5 has more digits"),
    (b'{"sensor":"a","at":"2020-01-01T00:00:00"}', "with a timezone component, at `at`"),
    (b'{"sensor":"a","parts":[{"q":1},{"q":"z"}]}', "expected `int`, got `str`, at `parts[1].q`"),
    (b'{"sensor":"a","parts":[{"a b":9007199254740993}]}', "more digits than a Float64"),
    (b'{"sensor":"a","new":1}', "unknown field `new`"),
    (b'{"n":1}', "missing required field `sensor`"),
    (b'{"sensor":null}', "expected `str`, got `null`, at `sensor`"),
    (b'{"sensor":"a","x":NaN}', "malformed"),
    (b'{"sensor":"a","x":1e999}', "out of range, at `x`"),
    (b'{"sensor":"\xff"}', "invalid UTF-8"),
    (b"[1]", "expected `object`, got `array`"),
    (b"", "truncated"),
    (None, "it has no value"),
]


def test_what_does_not_fit_is_set_aside_with_its_reason_and_the_rest_is_read() -> None:
    good = (
        b'{"sensor":"b","n":-1,"x":3,"price":"1.50","at":"2020-01-01T02:00:00+02:00","parts":[{"q":1,"a b":0.5}]}'
    )
    values = [good, *(value for value, _ in BAD), good]
    read = RowReader(SCHEMA, ["sensor"]).read(values)
    row = {
        "sensor": "b",
        "n": -1,
        "x": 3.0,
        "small": None,
        "price": Decimal("1.50"),
        "at": datetime(2020, 1, 1, tzinfo=UTC),
        "parts": [{"q": 1, "a b": 0.5}],
    }
    assert read.rows.to_dicts() == [row, row]
    assert read.rows.schema == pl.Schema(SCHEMA)
    assert [place for place, _ in read.misfits] == list(range(1, len(BAD) + 1))
    for (_, why), (value, expected) in zip(read.misfits, BAD, strict=True):
        assert expected in why, (value and value[:50], why)
    places = [("topic/0", 10 + at) for at in range(len(values))]
    about = {"at": datetime.now(UTC), "run": "r", "pipeline": "p", "gate": "kafka"}
    rows = set_aside(read.misfits, values, places, about)
    assert rows.select(KEY).rows() == places[1:-1]
    assert rows["row"].to_list() == [
        None if value is None else "base64:eyJzZW5zb3IiOiL/In0=" if b"\xff" in value else value.decode()
        for value, _ in BAD
    ]


def test_moments_are_exact_in_every_zone_and_before_1970() -> None:
    reader = RowReader({"at": pl.Datetime("us", "UTC"), "local": pl.Datetime("us")})
    texts = ["1969-12-31T23:59:59.999999Z", "0001-01-02T00:00:00+14:00", "9999-12-31T23:59:59.999999Z"]
    read = reader.read([json.dumps({"at": text, "local": text[:19]}).encode() for text in texts])
    assert read.rows["at"].to_list() == [datetime.fromisoformat(text) for text in texts]
    assert read.rows["local"].to_list() == [datetime.fromisoformat(text[:19]) for text in texts]


def test_whole_numbers_are_whole_however_they_are_written() -> None:
    reader = RowReader({"n": pl.Int64(), "parts": pl.List(pl.Int64())})
    read = reader.read([b'{"n":2.0}', b'{"n":1,"parts":[1,2.0]}', b'{"n":2.5}', b'{"m":' + b"[" * 100_000])
    assert read.rows.rows() == [(2, None), (1, [1, 2])]
    assert [why for _, why in read.misfits] == ["expected `int`, got `float`, at `n`", "it nests too deeply"]


def test_types_that_no_message_holds_and_keys_that_are_no_column_are_refused() -> None:
    with pytest.raises(UsageError, match="'d' is of type Duration"):
        RowReader({"d": pl.Duration("us")})
    with pytest.raises(UsageError, match="'k' is no column"):
        RowReader({"n": pl.Int64()}, ["k"])


def test_a_new_table_gets_the_types_that_most_values_have() -> None:
    values = [
        b'{"n":1,"x":1,"at":"2020-01-01T00:00:00Z","day":"2020-01-01","s":"2020-01-01","none":null,"l":[]}',
        b'{"n":"odd","x":1.5,"at":"2020-01-01T00:00:00+01:00","day":"2020-01-02","s":"x","l":[{"q":1}]}',
        b'{"n":3,"l":[{"q":2.5,"r":null}]}',
        b"\xff",
        None,
    ]
    assert inferred_schema(values) == {
        "n": pl.Int64(),
        "x": pl.Float64(),
        "at": pl.Datetime("us", "UTC"),
        "day": pl.Date(),
        "s": pl.String(),
        "l": pl.List(pl.Struct({"q": pl.Float64(), "r": pl.String()})),
    }
    read = RowReader(inferred_schema(values)).read(values)
    assert read.rows.height == 1  # that with the odd number does not fit, nor that with a name that has no type
    assert [place for place, _ in read.misfits] == [0, 1, 3, 4]


def test_messages_that_look_like_others_when_they_are_joined_are_told_apart() -> None:
    good, two = b'{"n":1}', b'{"n":2}\n{"n":3}'
    for values in (
        [two],
        [two, b'{"n":', b"4}"],
        [two, b'{"n":4', b'"n":5}'],
        [b'{"n":2}{"n":3}', b'{"n":[{}', b"{}]}"],
        [two, b'{"s":"}', b'{"}'],
        [two, b""],
        [two, None],
    ):
        read = RowReader({"n": pl.Int64(), "s": pl.String()}).read([good, *values, good])
        assert read.rows["n"].to_list() == [1, 1]
        assert [place for place, _ in read.misfits] == list(range(1, len(values) + 1))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["q", "a b"]), inner, max_size=2),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.sampled_from([*SCHEMA, "new"]), JSON, max_size=5) | JSON, max_size=6))
def test_each_message_is_a_row_of_the_same_values_or_is_set_aside(messages: list[Any]) -> None:
    values = [json.dumps(message).encode() for message in messages]
    read = RowReader(SCHEMA).read(values)
    misfits = {place for place, _ in read.misfits}
    assert len(misfits) + read.rows.height == len(values)
    fitting = [message for place, message in enumerate(messages) if place not in misfits]
    for row, message in zip(read.rows.to_dicts(), fitting, strict=True):
        for name in ("sensor", "n", "x", "parts"):
            assert _filled(row[name]) == _filled(message.get(name)), name


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {"q": _filled(value.get("q")), "a b": _filled(value.get("a b"))}
    return [_filled(item) for item in value] if isinstance(value, list) else value
