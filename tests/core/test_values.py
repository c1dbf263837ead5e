from __future__ import annotations

import enum
import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.errors import UsageError
from trikk.core.values import canonical, decode, encode


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"
    CRIMSON = "r"  # noqa: PIE796 - an alias


class Level(enum.IntEnum):
    LOW = 1


class Nested:
    class Inner(enum.Enum):
        ONE = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=offsets)
    | st.timedeltas()
    | st.sampled_from([*Colour, *Level, *Nested.Inner])
)
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.just("$") | st.just("v"), inner)
    ),
    max_leaves=20,
)


def same(one: Any, other: Any) -> bool:
    """Equal and of equal types, all the way down."""
    if isinstance(one, list | tuple) and type(one) is type(other):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    return type(one) is type(other) and one == other


@given(values)
def test_what_is_encoded_is_decoded_the_same(value: object) -> None:
    assert same(decode(encode(value)), value)


@given(values)
def test_encoded_values_survive_json(value: object) -> None:
    assert same(decode(json.loads(canonical(encode(value)))), value)


@given(st.dictionaries(st.text(), st.integers()))
def test_equal_values_have_equal_bytes_whatever_the_order_of_keys(value: dict[str, int]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_lacks_come_back(number: float) -> None:
    text = json.dumps(encode(number), allow_nan=False)
    found = decode(json.loads(text))
    assert math.isnan(found) if math.isnan(number) else found == number


class Word(str):
    def __str__(self) -> str:
        return "shown in another way"


class Count(int):
    pass


@pytest.mark.parametrize(
    ("value", "written"),
    [(np.float64(0.5), 0.5), (np.str_("a"), "a"), (Word("b"), "b"), (Count(3), 3), ([np.float64(1.0)], [1.0])],
)
def test_numbers_and_texts_of_their_own_class_are_written_as_what_they_are(value: object, written: object) -> None:
    encoded = encode(value)
    assert encoded == written
    assert type(encoded) is type(written)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_of_numpy_that_json_lacks_come_back(number: float) -> None:
    assert repr(decode(encode(np.float64(number)))) == repr(number)


def test_the_sign_of_zero_is_kept() -> None:
    assert math.copysign(1, decode(json.loads(canonical(encode(-0.0))))) == -1


def test_a_lone_surrogate_comes_back() -> None:
    assert decode(json.loads(canonical(encode("a\udcffb")))) == "a\udcffb"


def test_an_alias_is_the_member_that_it_names() -> None:
    assert decode(encode(Colour.CRIMSON)) is Colour.RED


def local_enum() -> enum.Enum:
    class Local(enum.Enum):
        HERE = 1

    return Local.HERE


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        b"bytes",
        1j,
        {1: "a key that is no text"},
        [object()],
        {"deep": [(1, {"x": object()})]},
        print,
        Access.READ | Access.WRITE,
        local_enum(),
    ],
    ids=["object", "set", "bytes", "complex", "key", "list", "deep", "function", "flags", "local"],
)
def test_what_could_not_be_read_back_is_refused_when_it_is_written(value: object) -> None:
    with pytest.raises(UsageError) as error:
        encode(value)
    assert error.value.next


@pytest.mark.parametrize(
    "stored",
    [
        {"$": "later", "v": 1},
        {"$": "enum", "v": ["no.such.module", "Colour", "RED"]},
        {"$": "enum", "v": [__name__, "Colour", "GREEN"]},
        {"$": "enum", "v": ["builtins", "print", "x"]},
        {"$": "enum", "v": [__name__, "Colour", "__class__"]},
    ],
)
def test_a_stored_value_that_can_not_be_made_is_refused(stored: Any) -> None:
    with pytest.raises(UsageError):
        decode(stored)


def test_moments_with_a_zone_stay_the_same_moment() -> None:
    moment = datetime(2020, 4, 5, 2, 30, tzinfo=UTC)
    assert decode(encode(moment)) == moment
    assert decode(encode(date(2020, 4, 5))) == date(2020, 4, 5)
