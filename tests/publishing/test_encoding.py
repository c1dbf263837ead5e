from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from time import tzset
from typing import Any

import fastavro
import polars as pl
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.core.errors import PermanentError, UsageError
from trikk.publishing import publish
from trikk.publishing.broker_messages import Messages
from trikk.publishing.row_encoding import encode

EVERYTHING = pl.DataFrame(
    {
        "text": ['a"b\\c\n\té\u2028', None],
        "whole": pl.Series([2**63 - 1, None], dtype=pl.Int64),
        "small": pl.Series([1, None], dtype=pl.UInt8),
        "number": [0.1, None],
        "single": pl.Series([0.1, None], dtype=pl.Float32),
        "flag": [True, None],
        "day": [date(2020, 3, 26), None],
        "at": [datetime(2020, 3, 26, 4, 0, 0, 123456), None],  # noqa: DTZ001 - one without a zone
        "when": pl.Series([datetime(2020, 3, 26, 4, tzinfo=UTC), None]).dt.convert_time_zone("Europe/Oslo"),
        "hour": [time(4, 5, 6, 7), None],
        "span": [timedelta(hours=1, seconds=2), None],
        "price": [Decimal("1.10"), None],
        "kind": pl.Series(["x", None], dtype=pl.Categorical),
        "level": pl.Series(["low", None], dtype=pl.Enum(["low"])),
        "days": [[date(2020, 1, 1), None], None],
        "pair": pl.Series([[1.5, 2.5], None], dtype=pl.Array(pl.Float64, 2)),
        "place": [{"x": 1.0, "on": date(2020, 1, 2)}, None],
        "nothing": [None, None],
    }
)


def made(rows: pl.DataFrame, form: str = "json", **options: Any) -> Messages:
    given: dict[str, Any] = {"key": None, "headers": {}, "model": None, **options}
    return encode(rows, "0" * 24, form=form, **given)


def values(messages: Messages) -> list[Any]:
    return [json.loads(v) for v in messages.values]


def test_every_kind_of_column_becomes_json() -> None:
    first, second = values(made(EVERYTHING))
    assert first == {
        "text": 'a"b\\c\n\té\u2028',
        "whole": 2**63 - 1,
        "small": 1,
        "number": 0.1,
        "single": 0.1,
        "flag": True,
        "day": "2020-03-26",
        "at": "2020-03-26T04:00:00.123456",
        "when": "2020-03-26T04:00:00.000000Z",
        "hour": "04:05:06.000007",
        "span": "PT1H2S",
        "price": "1.10",
        "kind": "x",
        "level": "low",
        "days": ["2020-01-01", None],
        "pair": [1.5, 2.5],
        "place": {"x": 1.0, "on": "2020-01-02"},
        "nothing": None,
    }
    assert second == dict.fromkeys(EVERYTHING.columns)


def test_the_schema_says_what_each_column_is() -> None:
    schema: Any = made(EVERYTHING).schema
    assert schema["required"] == EVERYTHING.columns
    assert schema["properties"]["when"] == {"type": ["string", "null"], "format": "date-time"}
    assert schema["properties"]["at"] == {"type": ["string", "null"]}
    assert schema["properties"]["days"]["items"] == {"type": ["string", "null"], "format": "date"}
    keyed: Any = made(EVERYTHING.head(1), key="whole").schema
    assert keyed["properties"]["whole"] == {"type": "integer"}


def test_every_kind_of_column_becomes_avro_and_is_read_back() -> None:
    messages = made(EVERYTHING, "avro")
    schema = fastavro.parse_schema(messages.schema)
    read: list[Any] = [fastavro.schemaless_reader(io.BytesIO(v), schema, None) for v in messages.values]
    assert read[1] == dict.fromkeys(EVERYTHING.columns)
    first = read[0]
    assert first["when"] == datetime(2020, 3, 26, 4, tzinfo=UTC)
    assert first["at"] == datetime(2020, 3, 26, 4, 0, 0, 123456)  # noqa: DTZ001
    assert (first["day"], first["hour"]) == (date(2020, 3, 26), time(4, 5, 6, 7))
    assert first["place"] == {"x": 1.0, "on": date(2020, 1, 2)}
    assert first["single"] == pytest.approx(0.1)
    same = ["text", "whole", "small", "number", "flag", "pair", "kind", "level", "price", "span"]
    plain = values(made(EVERYTHING))[0]
    assert {name: first[name] for name in same} == {name: plain[name] for name in same}


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.text() | st.none(),
            st.floats(allow_nan=False, allow_infinity=False) | st.none(),
            st.integers(-(2**63), 2**63 - 1) | st.none(),
        ),
        max_size=20,
    )
)
def test_any_row_is_read_back_as_it_was(rows: list[tuple[Any, ...]]) -> None:
    kinds = {"text": pl.String, "number": pl.Float64, "whole": pl.Int64}
    frame = pl.DataFrame(rows, schema=kinds, orient="row")
    for form in ("json", "avro"):
        messages = made(frame, form)
        schema = fastavro.parse_schema(messages.schema) if form == "avro" else None
        read: list[Any] = (
            [fastavro.schemaless_reader(io.BytesIO(v), schema, None) for v in messages.values]
            if schema
            else values(messages)
        )
        assert [tuple(r.values()) for r in read] == rows
        assert made(frame, form).digest == messages.digest


@pytest.mark.parametrize("form", ["json", "avro"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_named_by_row_and_column(bad: float, form: str) -> None:
    good = pl.DataFrame({"a": [0.0, None, 1.0], "b": [1.0, 2.0, 3.0]})
    text = "NaN" if math.isnan(bad) else "infinite"
    for column in (
        pl.Series("x", [1.0, 2.0, bad]),
        pl.Series("x", [[1.0], None, [2.0, bad]]),
        pl.Series("x", [{"y": [1.0]}, None, {"y": [bad]}]),
        pl.Series("x", [[1.0], None, [bad]], dtype=pl.Array(pl.Float64, 1)),
        pl.Series("x", [1.0, 2.0, bad], dtype=pl.Float32),
    ):
        with pytest.raises(PermanentError, match=f"row 2, column 'x' can't be published: it is {text}"):
            made(good.with_columns(column), form)


def test_what_can_not_be_encoded_is_named_before_anything_is_sent() -> None:
    with pytest.raises(PermanentError, match="column 'b' can't be published: JSON has no form for Binary"):
        made(pl.DataFrame({"a": [1], "b": [b"x"]}))
    with pytest.raises(PermanentError, match=r"column 'o' .* no form for Object"):
        made(pl.DataFrame({"o": pl.Series([object()], dtype=pl.Object)}))
    with pytest.raises(PermanentError, match=r"row 1, column 'u' .* Avro's long ends"):
        made(pl.DataFrame({"u": pl.Series([1, 2**64 - 1], dtype=pl.UInt64)}), "avro")
    with pytest.raises(PermanentError, match=r"'max temp' .* not an Avro name"):
        made(pl.DataFrame({"max temp": [1]}), "avro")
    with pytest.raises(PermanentError, match=r"row 1, column 'k' .* no key"):
        made(pl.DataFrame({"k": ["a", None]}), key="k")
    with pytest.raises(UsageError, match="'z' is not a column"):
        made(pl.DataFrame({"k": ["a"]}), key="z")
    with pytest.raises(UsageError, match="no columns"):
        made(pl.DataFrame())


def test_keys_are_texts_and_several_columns_an_object() -> None:
    rows = pl.DataFrame({"n": [1, 2], "at": [datetime(2020, 1, 1, tzinfo=UTC)] * 2})
    assert made(rows, key="n").keys.to_list() == ["1", "2"]  # type: ignore[union-attr]
    several = made(rows, key=["n", "at"]).keys
    assert several is not None
    assert several[0] == '{"n":1,"at":"2020-01-01T00:00:00.000000Z"}'


def test_models_come_from_the_argument_or_from_the_rows() -> None:
    rows = pl.DataFrame({"model": ["a", "a", None, "b"], "model_version": [1, 1, None, None], "v": [1, 2, 3, 4]})
    found = [dict(m.headers) for m in made(rows).messages()]
    shown = [(h.get("trikk-model"), h.get("trikk-model-version")) for h in found]
    assert shown == [("a", "1"), ("a", "1"), (None, None), ("b", None)]
    given = [dict(m.headers) for m in made(rows, model=("c", 7)).messages()]
    assert {(h["trikk-model"], h["trikk-model-version"]) for h in given} == {("c", "7")}


def test_an_empty_frame_has_no_messages() -> None:
    for form in ("json", "avro"):
        messages = made(pl.DataFrame({"a": pl.Series([], dtype=pl.Float64)}), form)
        assert (len(messages), messages.size) == (0, 0)


def test_what_is_no_frame_is_refused_for_good() -> None:
    with pytest.raises(PermanentError, match="dict holds no rows"):
        publish([{"row": 1}], "kafka://127.0.0.1:1/t")


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/St_Johns"])
def machine_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The zone of the machine, for as long as the test runs."""
    monkeypatch.setenv("TZ", request.param)
    tzset()
    yield request.param
    monkeypatch.undo()
    tzset()


@pytest.mark.usefixtures("machine_zone")
def test_moments_become_the_same_avro_in_every_zone_of_the_machine() -> None:
    plain, aware = datetime(2024, 7, 1, 12, 0, 0, 123456), datetime(1950, 7, 1, 12, tzinfo=UTC)  # noqa: DTZ001
    rows = pl.DataFrame({"n": [plain], "z": [aware], "inside": [[{"a": plain}]], "d": [plain.date()]})
    messages = made(rows.with_columns(ns=pl.col("n").cast(pl.Datetime("ns"))), "avro")
    schema = fastavro.parse_schema(messages.schema)
    assert fastavro.schemaless_reader(io.BytesIO(messages.values[0]), schema, None) == {
        "n": plain, "z": aware, "inside": [{"a": plain}], "d": plain.date(), "ns": plain,
    }  # fmt: skip


def test_nanoseconds_are_refused_where_avro_would_lose_them() -> None:
    rows = pl.DataFrame({"at": pl.Series([1_000, 1_001], dtype=pl.Int64).cast(pl.Datetime("ns"))})
    with pytest.raises(PermanentError, match="row 1, column 'at'"):
        made(rows, "avro")


def test_the_digest_of_many_rows_is_that_of_all_their_texts() -> None:
    """It is kept with a publication: another one would call the rows of an older build others."""
    count = 60_001
    keys = [f'k"{row}\u2028' for row in range(count)]
    rows = pl.DataFrame({"key": keys, "number": range(count)})
    messages = encode(rows, "0" * 24, key="key", form="json", headers={}, model=None)
    texts = [f'{{"key":{json.dumps(key, ensure_ascii=False)},"number":{row}}}' for row, key in enumerate(keys)]
    parts = ["application/json"]
    for start in (0, 50_000):
        of_keys = json.dumps(keys[start : start + 50_000], ensure_ascii=False, separators=(",", ":"))
        parts += [
            blake3("\n".join(texts[start : start + 50_000]).encode()).hexdigest(),
            blake3(of_keys.encode()).hexdigest(),
        ]
    assert messages.digest == blake3(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()
