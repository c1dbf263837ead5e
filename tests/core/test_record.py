"""Records go to JSON and back by their fields; what does not fit is refused and named."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
import pytest

from trikk.core.errors import RecordError, UsageError
from trikk.core.record import Record


class Colour(StrEnum):
    RED = "red"


class Count(int):
    pass


class Inner(Record, omit_defaults=True):
    name: str
    weight: float | None = None


class Outer(Record):
    colour: Colour
    parts: tuple[Inner, ...] = ()
    about: Any = None
    unknown: int | msgspec.UnsetType = msgspec.UNSET


def test_a_record_is_its_fields_in_their_order_and_reads_back_equal():
    record = Outer(Colour.RED, (Inner("a"), Inner("b", 2.5)), {"x": [1, None, "y"]})
    data = record.to_json()
    assert data == {
        "colour": "red",
        "parts": [{"name": "a"}, {"name": "b", "weight": 2.5}],
        "about": {"x": [1, None, "y"]},
    }
    assert list(data) == ["colour", "parts", "about"]
    assert Outer.read(data) == record
    assert type(Outer.read(data).colour) is Colour
    assert Outer(Colour.RED, unknown=3).to_json()["unknown"] == 3


def test_a_number_of_numpy_that_is_a_float_is_written_as_one_and_others_are_refused():
    record = Outer(Colour.RED, about={"x": np.float64(0.5)})
    assert record.to_json()["about"] == {"x": 0.5}
    assert type(record.to_json()["about"]["x"]) is float
    assert Outer.from_bytes(record.to_bytes()) == record
    for refused in (np.int64(1), np.float32(0.5), object()):
        with pytest.raises(UsageError, match="is not a plain value"):
            Outer(Colour.RED, about=refused).to_json()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_know_is_not_lost_on_its_way(number: float):
    for record in (Outer(Colour.RED, about={"x": [number, None]}), Outer(Colour.RED, (Inner("a", number),))):
        read = Outer.from_bytes(record.to_bytes())
        assert repr(read) == repr(record)


def test_keys_of_a_newer_build_are_ignored_and_missing_ones_have_their_default():
    assert Outer.read({"colour": "red", "shape": "round"}) == Outer(Colour.RED)


@pytest.mark.parametrize(
    ("data", "place"),
    [({}, "colour"), ({"colour": "blue"}, "colour"), ({"colour": "red", "parts": [{"name": 3}]}, "parts[0].name")],
)
def test_what_does_not_fit_is_refused_and_its_place_is_named(data: dict[str, Any], place: str):
    with pytest.raises(RecordError, match="Outer can't be read from its record") as refused:
        Outer.read(data)
    assert place in str(refused.value)


def test_texts_and_whole_numbers_of_their_own_class_are_written_as_what_they_are():
    record = Inner(np.str_("a"))
    assert record.to_json() == {"name": "a"}
    assert type(record.to_json()["name"]) is str
    assert Inner.from_bytes(record.to_bytes()) == Inner("a")
    assert type(Outer(Colour.RED, about=Count(3)).to_json()["about"]) is int
