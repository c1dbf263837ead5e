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
from trikk.serving.http.bodies import ARROW_TYPE, Body, Reader
from trikk.serving.model_processes.typed_columns import frame_of, with_times
from trikk.web.refused import Refused

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
        (json.dumps([list(row.values()) for row in ROWS]).encode(), "APPLICATION/json", ""),
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
        (json.dumps(ROWS).encode(), "", "", 415),
        (json.dumps(ROWS).encode(), "text/plain", "", 415),
        (b'[{"s": "\\ud800"}]', "application/json", "", 400),
        (b'[{"s": "\\uDFFF\\ud800"}]', "application/json", "", 400),
        (b'[{"s": "\xed\xa0\x80"}]', "application/json", "", 400),
        (b'[{"\\udc00": 1}]', "application/json", "", 400),
        (b'[{"a": 1, "b": 1, "a": 2}]', "application/json", "", 400),
        (b'{"instances": [], "instances": [{"a": 1}]}', "application/json", "", 400),
        (b'[{"a": -Infinity}]', "application/json", "", 400),
        (json.dumps([{f"c{n}": 1 for n in range(10_001)}]).encode(), "application/json", "", 400),
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
        ({"t": "3/4/2020 04:00"}, "t"),
        ({"a": 1e400}, "a"),
        ({"a": 10**400}, "a"),
        ({"a": 2**53 + 1}, "a"),
        ({"b": 10**400}, "b"),
        ({"b": 2**200}, "b"),
        ({"s": ["x"]}, "s"),
        ({"t": {"x": 1}}, "t"),
    ],
)
def test_a_field_that_does_not_fit_is_named(row: dict[str, Any], field: str) -> None:
    whole = {**ROWS[0], **row}
    if row == {"b": 2}:
        del whole["b"]
    rows = [whole] if "b" not in whole else [ROWS[0], whole]
    with pytest.raises(SignatureError) as error:
        read(json.dumps(rows).replace("Infinity", "1e999").encode())
    assert error.value.field == field


def test_a_number_beyond_floats_in_a_csv_is_refused_and_large_ids_keep_their_digits() -> None:
    with pytest.raises(SignatureError, match="out of range"):
        read(CSV.replace("2.5", "1e999").encode(), "text/csv")
    ids = [2**53 + 1, 2**63 + 1]
    reader = Reader((Field("id", "UInt64"),), False, 10_000, 50)
    for data, kind in (
        (f"id\n{ids[0]}\n{ids[1]}\n", "text/csv"),
        (json.dumps([{"id": one} for one in ids]), "application/json"),
    ):
        found = reader.read(Body(data.encode(), kind))
        frame = found if isinstance(found, pl.DataFrame) else frame_of(found, {})
        assert frame["id"].to_list() == ids


NESTED = ("[" * 400 + "1" + "]" * 400, '{"x":' * 300 + "1" + "}" * 300, "[" * 17 + "]" * 17)


def test_a_field_that_is_only_logged_is_not_called_an_input() -> None:
    logged = Field("sensor", "String")
    reader = Reader((Field("load", "Float64"), logged), False, 10_000, 50, (logged,))
    with pytest.raises(SignatureError, match="logged field 'sensor'"):
        reader.read(Body(b'[{"load": 1.0}]'))
    with pytest.raises(SignatureError, match="input 'load'"):
        reader.read(Body(b'[{"sensor": "a"}]'))


@pytest.mark.parametrize("value", [*NESTED, '[1, {"x": 2}]', '{"x": 1}], [{"y": 2}'])
def test_what_nests_is_refused_before_a_frame_is_made(value: str) -> None:
    """Polars takes minutes for 400 levels, and drops what is not in the first row's objects."""
    body = f'{{"columns": ["v"], "data": [[{value}]]}}'.encode()
    for field in (Field("v", "Float64"), None):
        reader = Reader((field,) if field else (), field is None, 100_000, 50)
        found = reader.read(Body(body, "application/json"))
        assert isinstance(found, dict)
        with pytest.raises(SignatureError):
            frame_of(found, {"v": field} if field else {})


def test_a_model_without_a_signature_gets_lists_and_objects_of_one_form() -> None:
    values = [{"x": [1, 2]}, {"x": [3]}]
    found = Reader((), True, 10_000, 50).read(Body(json.dumps([{"v": v} for v in values]).encode()))
    assert isinstance(found, dict)
    assert frame_of(found, {})["v"].to_list() == values


def test_rows_that_lack_most_columns_claim_no_more_than_a_body_may_hold() -> None:
    rows = [{f"c{n}": 1} for n in range(9_000)]
    with pytest.raises(Refused) as refused:
        Reader((), True, 6_000_000, 100_000).read(Body(json.dumps(rows).encode()))
    assert refused.value.status == 413


@given(data=st.binary(max_size=200), cut=st.integers(0, 800), at=st.integers(0, 800), byte=st.integers(0, 255))
def test_a_damaged_arrow_stream_is_refused_or_read_but_never_breaks(
    data: bytes, cut: int, at: int, byte: int
) -> None:
    good = bytearray(stream(WANTED))
    good[at % len(good)] = byte
    for damaged in (data, bytes(good), bytes(good[:cut])):
        with contextlib.suppress(Refused, SignatureError):
            read(damaged, ARROW_TYPE)
