from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.errors import UsageError
from trikk.steps.amazon.credentials import check_access, refuse_keys
from trikk.steps.amazon.name_templates import fill
from trikk.storage.ingest.reader import format_of
from trikk.storage.stores.object_names import locate

KEY = "AKIA" + "IOSFODNN7EXAMPLE"
PIECES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)


@pytest.mark.parametrize(
    ("pattern", "keys", "others"),
    [
        ("a/*.csv", ["a/x.csv", "a/.csv"], ["a/b/x.csv", "a/x.csv.gz", "b/x.csv", "a/"]),
        ("a/**/x.csv", ["a/x.csv", "a/b/x.csv", "a/b/c/x.csv"], ["ax.csv", "a/b/y.csv"]),
        ("a/**", ["a/x", "a/b/c"], ["b/x"]),
        (
            "day=2020-03-2?/p[0-2].csv",
            ["day=2020-03-26/p1.csv"],
            ["day=2020-03-26/p3.csv", "day=2020-03-2/p1.csv"],
        ),
        ("[!a]/x", ["b/x"], ["a/x", "//x"]),
        ("a[*]b", ["a*b"], ["axb"]),
        ("a/", ["a/x", "a/b/y"], ["a/_SUCCESS", "a/b/.hidden", "ab", "a/b/"]),
        ("", ["x", "a/x"], ["_x", ".x"]),
        ("a/x.csv", ["a/x.csv"], ["a/xxcsv", "a/x.csv/y"]),
        ("weird+(1).csv*", ["weird+(1).csv", "weird+(1).csv.gz"], ["weirdd(1).csv"]),
    ],
)
def test_a_pattern_means_these_objects(pattern: str, keys: list[str], others: list[str]) -> None:
    place = locate(f"s3://bucket/{pattern}")
    assert [key for key in keys + others if place.matches(key)] == keys
    assert all(key.startswith(place.prefix) for key in keys)


def test_a_template_is_filled_with_dates_and_pieces() -> None:
    uri = "s3://bucket/{kind}/{day:%Y/%m}/{day}-{n}.csv"
    given_values = {"kind": "a b+ø", "day": date(2020, 3, 26), "n": 7}
    assert fill(uri, given_values) == "s3://bucket/a b+ø/2020/03/2020-03-26-7.csv"


@pytest.mark.parametrize(
    "value", ["a/b", "..", "*", "a?", "[x]", "", "{n}", "a\nb", "a\\b", True, None, [1], b"x"]
)
def test_a_value_can_not_lead_elsewhere(value: object) -> None:
    with pytest.raises(UsageError, match="can't be a piece"):
        fill("s3://bucket/{n}.csv", {"n": value})


@pytest.mark.parametrize(
    ("uri", "values", "words"),
    [
        ("s3://bucket/{day}.csv", {}, "{day} in the address has no value"),
        ("s3://bucket/x.csv", {"day": 1}, "does not use the parameter 'day'"),
        ("s3://bucket/{day.__class__}.csv", {"day": 1}, "brace"),
        ("s3://bucket/{0}.csv", {}, "brace"),
        ("s3://bucket/{n:%Y}.csv", {"n": 3}, "form of a date"),
    ],
)
def test_a_wrong_template_is_refused(uri: str, values: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        fill(uri, values)


@given(value=PIECES)
def test_a_filled_address_never_has_other_folders_or_patterns(value: str) -> None:
    try:
        filled = fill("s3://bucket/a/{n}.csv", {"n": value})
    except UsageError:
        return
    place = locate(filled)
    assert place.key == f"a/{value}.csv"
    assert not place.is_pattern


@pytest.mark.parametrize(
    "uri",
    [
        "s3://",
        "s3:///x",
        "bucket/x",
        "https://bucket/x",
        "s3://user:Zq7k@bucket/x",
        "s3://bucket/a//b",
        "s3://bucket/../x",
    ],
)
def test_an_address_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(UsageError) as error:
        locate(uri)
    assert "Zq7k" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        f"s3://bucket/{KEY}",
        KEY,
        f"x?{'X-Amz-Signature'}=1",
        f"s3://{KEY}:abc@bucket/x",
        f"a/{KEY.replace('AKIA', 'ASIA')}",
    ],
)
def test_what_looks_like_a_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as error:
        refuse_keys("plain", text)
    assert text not in str(error.value)


@pytest.mark.parametrize(
    "names",
    [
        {"profile": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
        {"role": "admin"},
        {"role": "arn:aws:iam::1:role/x"},
        {"endpoint": "http://user:word@host"},
        {"region": "wJalrXUtn"},
        {"profile": KEY},
    ],
)
def test_access_is_named_and_never_given(names: dict[str, str]) -> None:
    asked: dict[str, object] = {"profile": None, "role": None, "endpoint": None, "region": None, **names}
    with pytest.raises(UsageError) as error:
        check_access(**asked)
    assert next(iter(names.values())) not in str(error.value)


def test_good_names_of_access_are_taken() -> None:
    check_access("my profile", "arn:aws:iam::123456789012:role/team/reader", "http://127.0.0.1:9000", "eu-west-1")


@pytest.mark.parametrize(
    ("key", "given_format", "found"),
    [
        ("a.CSV", None, ("csv", "")),
        ("a.csv.gz", None, ("csv", ".gz")),
        ("a.ndjson.zst", None, ("jsonl", ".zst")),
        ("part-0", "parquet", ("parquet", "")),
        ("a.txt.gz", "csv", ("csv", ".gz")),
    ],
)
def test_the_ending_tells_the_format(key: str, given_format: str | None, found: tuple[str, str]) -> None:
    assert format_of(key, given_format) == found


def test_an_unknown_ending_asks_for_the_format() -> None:
    with pytest.raises(UsageError, match=r"format of 'a\.txt' is not known") as error:
        format_of("a.txt", None)
    assert "format=" in str(error.value.next)
