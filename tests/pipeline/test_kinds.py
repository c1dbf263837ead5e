from __future__ import annotations

import enum
import json
from datetime import UTC, date, datetime
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.errors import ParameterError
from trikk.core.values import canonical
from trikk.pipeline.parameters.parameter_kinds import Kind, kind_of


class Mode(enum.Enum):
    FAST = 1
    EXACT = "exact"


class Town(str, enum.Enum):  # noqa: UP042 - what people write
    OSLO = "oslo"


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
numbers = st.floats(allow_nan=False, allow_infinity=False)
scalars: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: numbers,
    bool: st.booleans(),
    str: texts,
    date: st.dates(),
    datetime: st.datetimes() | st.datetimes(timezones=st.just(UTC)),
    Mode: st.sampled_from(Mode),
    Town: st.sampled_from(Town),
    Literal["a", "b", 3, True]: st.sampled_from(["a", "b", 3, True]),
}
typed = st.sampled_from(list(scalars)).flatmap(lambda t: st.tuples(st.just(t), scalars[t]))
lists = st.sampled_from(list(scalars)).flatmap(lambda t: st.tuples(st.just(list[t]), st.lists(scalars[t])))  # type: ignore[valid-type]
optional = (typed | lists).flatmap(lambda pair: st.tuples(st.just(pair[0] | None), st.just(pair[1]) | st.none()))


def kind(annotation: Any) -> Kind:
    found = kind_of(annotation)
    assert found is not None
    return Kind.read(json.loads(json.dumps(found.to_json())))


@given(typed | lists | optional)
def test_a_value_goes_to_json_and_back(pair: tuple[Any, Any]) -> None:
    annotation, value = pair
    stored = json.loads(canonical(kind(annotation).check(value)))
    back = kind(annotation).from_json(stored)
    assert back == value
    assert type(back) is type(value)
    assert kind(annotation).check(stored) == stored


@given(typed)
def test_a_value_written_as_text_is_read_again(pair: tuple[Any, Any]) -> None:
    annotation, value = pair
    text = value.isoformat() if isinstance(value, date) else str(value)
    text = value.name if isinstance(value, enum.Enum) else text
    assert kind(annotation).from_json(kind(annotation).from_text(text)) == value


@given(lists)
def test_a_list_is_read_from_json_text(pair: tuple[Any, Any]) -> None:
    annotation, value = pair
    stored = kind(annotation).check(value)
    assert kind(annotation).from_text(json.dumps(stored)) == stored


@given(typed | lists)
def test_a_value_is_written_as_the_text_that_is_read_as_it(pair: tuple[Any, Any]) -> None:
    annotation, value = pair
    stored = kind(annotation).check(value)
    assert kind(annotation).from_text(kind(annotation).to_text(stored)) == stored
    assert kind(annotation | None).to_text(None) == ""


@pytest.mark.parametrize(
    ("annotation", "text", "wanted"),
    [
        (bool, "YES", True),
        (bool, "0", False),
        (list[int], "1, 2,3", [1, 2, 3]),
        (list[int], "", []),
        (list[str], '["a,b", "c"]', ["a,b", "c"]),
        (list[date], "2020-03-26,2020-03-27", ["2020-03-26", "2020-03-27"]),
        (int | None, "none", None),
        (int | None, "7", 7),
        (float, "1e3", 1000.0),
        (float, "3", 3.0),
        (date, "20200326", "2020-03-26"),
        (datetime, "2020-03-26", "2020-03-26T00:00:00"),
        (Literal[1, 2], "2", 2),
        (Literal[True], "true", True),
        (Mode, "FAST", "FAST"),
    ],
)
def test_texts_of_a_command_line(annotation: Any, text: str, wanted: object) -> None:
    assert kind(annotation).from_text(text) == wanted


@pytest.mark.parametrize(
    ("annotation", "text", "words"),
    [
        (int, "1.5", "a whole number"),
        (int, "", "a whole number"),
        (int, "9" * 5000, "a whole number"),
        (float, "nan", "a number"),
        (float, "1e999", "a number"),
        (bool, "maybe", "true or false"),
        (str, "a\0b", "a text"),
        (str, "a\udcff", "a text"),
        (date, "26.3.2020", "a date such as 2020-03-26"),
        (date, "2020-02-30", "a date such as 2020-03-26"),
        (datetime, "yesterday", "a time such as 2020-03-26T04:00:00"),
        (Mode, "fast", "one of FAST, EXACT"),
        (Literal["a", 3], "b", "one of a, 3"),
        (list[int], "1,x", "a whole number"),
        (list[int], "[1, 2", "a list such as [1,2], each a whole number"),
        (list[int], "[1" + "0" * 5000 + "]", "a list such as"),
        (list[int], "[" * 100_000, "a list such as"),
        (list[float], "[1" + "0" * 400 + "]", "a number"),
        (list[float], "[NaN]", "a number"),
        (int | None, "x", "a whole number"),
    ],
    ids=lambda v: ascii(v)[:30],
)
def test_a_text_that_does_not_fit_is_refused_with_what_would(annotation: Any, text: str, words: str) -> None:
    with pytest.raises(ParameterError) as error:
        kind(annotation).from_text(text)
    assert words in (error.value.next or "")


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, True),
        (int, 1.0),
        (int, "1"),
        (float, True),
        (float, 10**400),
        (float, float("inf")),
        (bool, 1),
        (str, 1),
        (date, datetime(2020, 1, 1, tzinfo=UTC)),
        (datetime, date(2020, 1, 1)),
        (Mode, Town.OSLO),
        (Mode, 1),
        (Literal[1], True),
        (Literal["a"], None),
        (list[int], "12"),
        (list[int], [1, "2"]),
        (list[int], {1: 2}),
    ],
)
def test_a_value_that_does_not_fit_is_refused(annotation: Any, value: object) -> None:
    with pytest.raises(ParameterError, match="does not fit"):
        kind(annotation).check(value)


@pytest.mark.parametrize(
    "annotation",
    [
        bytes,
        dict,
        dict[str, int],
        list,
        list[bytes],
        list[list[int]],
        tuple[int, ...],
        int | str,
        int | str | None,
        object,
        Any,
        None,
        "int",
        Literal[b"x"],
        Literal[Town.OSLO],
    ],
    ids=str,
)
def test_other_types_are_no_parameters(annotation: Any) -> None:
    assert kind_of(annotation) is None


def test_a_member_that_is_gone_is_refused() -> None:
    gone = Kind("enum", choices=("OLD",), enum_class=f"{__name__}:Mode")
    with pytest.raises(ParameterError, match="no member 'OLD'"):
        gone.from_json("OLD")
