from __future__ import annotations

import contextlib
import gzip
import io
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.errors import SignatureError
from trikk.models.signature import Field
from trikk.serving.bodies import ARROW_TYPE, Body, Reader
from trikk.serving.columns import frame_of, with_times
from trikk.serving.refusal import Refused

ZONED = "Datetime(time_unit='us', time_zone='UTC')"
FIELDS = (Field("a", "Float64"), Field("b", "Int64"), Field("s", "String"), Field("t", ZONED))
ROWS: list[dict[str, Any]] = [
    {"a": 1, "b": 2, "s": "007", "t": "2020-03-26T04:00:00Z"},
    {"a": 2.5, "b": 3, "s": "x,y", "t": "2020-03-26T06:00:00+02:00"},
]
READER = Reader(FIELDS, everything=False, max_bytes=100_000, max_rows=50)


def read(data: bytes, kind: str = "application/json", encoding: str = "") -> pl.DataFrame:
    found = READER.read(Body(data, kind, encoding))
    frame = frame_of(found, {f.name: f for f in FIELDS}) if isinstance(found, dict) else found
    return with_times(frame, FIELDS)


def stream(frame: pl.DataFrame, **options: Any) -> bytes:
    file = io.BytesIO()
    frame.write_ipc_stream(file, **options)
    return file.getvalue()


WANTED = read(json.dumps(ROWS).encode())
CSV = '"s",a,b,t\n007,1,2,2020-03-26T04:00:00Z\n"x,y",2.5,3,2020-03-26T06:00:00+02:00\n'


def test_json_is_read_with_the_types_of_the_fields() -> None:
    assert WANTED["a"].to_list() == [1.0, 2.5]
    assert WANTED["s"].to_list() == ["007", "x,y"]
    assert [t.isoformat() for t in WANTED["t"]] == ["2020-03-26T04:00:00+00:00"] * 2


@pytest.mark.parametrize(
    ("data", "kind", "encoding"),
    [
        (json.dumps({"instances": ROWS}).encode(), "application/json; charset=utf-8", ""),
        (json.dumps([list(row.values()) for row in ROWS]).encode(), "", ""),
        (
            json.dumps({"columns": list("tsba"), "data": [list(r.values())[::-1] for r in ROWS]}).encode(),
            "application/json",
            "",
        ),
        (gzip.compress(json.dumps(ROWS).encode(), mtime=0), "application/json", "gzip"),
        (CSV.encode(), "text/csv", ""),
        (CSV.encode(), "text/csv; header=present", ""),
        (b'1,2,007,2020-03-26T04:00:00Z\n2.5,3,"x,y",2020-03-26T04:00:00Z\n', "text/csv; header=absent", ""),
        (b'1,2,007,2020-03-26T04:00:00Z\n2.5,3,"x,y",2020-03-26T04:00:00Z', "Text/CSV", ""),
        (stream(WANTED.select("t", "s", "b", "a", pl.lit(1).alias("more"))), ARROW_TYPE, ""),
    ],
)
def test_every_form_gives_the_same_rows(data: bytes, kind: str, encoding: str) -> None:
    assert read(data, kind, encoding).equals(WANTED)


@pytest.mark.parametrize(
    ("data", "kind", "encoding", "status"),
    [
        (b"", "application/json", "", 400),
        (b"{", "application/json", "", 400),
        (b"\xff\xfe\x00", "application/json", "", 400),
        (b"[" * 50_000, "application/json", "", 400),
        (b"1" * 10_000, "application/json", "", 400),
        (b'{"a": 1}', "application/json", "", 400),
        (b'{"instances": {}}', "application/json", "", 400),
        (b'[{"a": 1}, 2]', "application/json", "", 400),
        (b"[[1, 2], [3]]", "application/json", "", 400),
        (b'{"columns": [1], "data": [[1]]}', "application/json", "", 400),
        (b'{"columns": ["a", "a"], "data": [[1, 2]]}', "application/json", "", 400),
        (b'[{"a": NaN}]', "application/json", "", 400),
        (json.dumps(ROWS * 30).encode(), "application/json", "", 413),
        (b"a,a,b,s,t\n1,1,1,x,y\n", "text/csv", "", 400),
        (b"a,b,s,t\n1,2\n1,2,3,4,5\n", "text/csv", "", 400),
        (b"a,b,s,t\n", "text/csv", "", 400),
        (b"\x00\x01\xff", "text/csv", "", 400),
        (b"," * 20_000, "text/csv", "", 400),
        (b"garbage", ARROW_TYPE, "", 400),
        (stream(WANTED)[:-40], ARROW_TYPE, "", 400),
        (stream(WANTED, compression="zstd"), ARROW_TYPE, "", 415),
        (stream(pl.DataFrame({"a": [None] * 1_000_000})), ARROW_TYPE, "", 413),
        (b"GIF89a", "image/gif", "", 415),
        (b"x", "application/json", "br", 415),
        (b"no gzip", "application/json", "gzip", 400),
        (gzip.compress(json.dumps(ROWS).encode(), mtime=0)[:-9], "application/json", "gzip", 400),
        (gzip.compress(b" " * 10_000_000, mtime=0), "application/json", "gzip", 413),
    ],
)
def test_nonsense_is_refused_with_a_reason(data: bytes, kind: str, encoding: str, status: int) -> None:
    with pytest.raises(Refused) as refused:
        read(data, kind, encoding)
    assert refused.value.status == status
    assert refused.value.what


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"b": 2}, "b"),
        ({"a": [1]}, "a"),
        ({"a": {"x": 1}}, "a"),
        ({"t": "yesterday"}, "t"),
    ],
)
def test_a_field_that_does_not_fit_is_named(row: dict[str, Any], field: str) -> None:
    whole = {**ROWS[0], **row}
    if row == {"b": 2}:
        del whole["b"]
    rows = [whole] if field == "b" else [ROWS[0], whole]
    with pytest.raises(SignatureError) as error:
        read(json.dumps(rows).encode())
    assert error.value.field == field


@given(data=st.binary(max_size=200), cut=st.integers(0, 800), at=st.integers(0, 800), byte=st.integers(0, 255))
def test_a_damaged_arrow_stream_is_refused_or_read_but_never_breaks(
    data: bytes, cut: int, at: int, byte: int
) -> None:
    good = bytearray(stream(WANTED))
    good[at % len(good)] = byte
    for damaged in (data, bytes(good), bytes(good[:cut])):
        with contextlib.suppress(Refused, SignatureError):
            read(damaged, ARROW_TYPE)
