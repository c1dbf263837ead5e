from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence, Sized
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, Protocol

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from trikk.pipeline.typechecks import annotations_of, fits, may_become, show, tuple_parts

Metres = NewType("Metres", float)


class Point(NamedTuple):
    x: int
    y: float


class Loud(Protocol):
    def shout(self) -> str: ...


class Base: ...


class Derived(Base): ...


FIT = [
    (1, int),
    (1, float),
    (np.int64(1), int),
    (np.float32(1), float),
    (1.5, Metres),
    (1.5, Annotated[float, "m"]),
    ("a", Literal["a", "b"]),
    (None, None),
    (None, int | None),
    ([1, 2], list[int]),
    ([1, 2], Sequence[float]),
    ({"a": 1.0}, dict[str, float]),
    ({"a": 1.0}, Mapping[str, float]),
    ((1, "a"), tuple[int, str]),
    ((1, 2, 3), tuple[int, ...]),
    (Point(1, 2.0), Point),
    (Derived(), Base),
    (datetime(2020, 1, 1), date),  # noqa: DTZ001
    (object(), Any),
    (object(), "Unresolved"),
    (object(), Loud),
    (pl.DataFrame(), pl.DataFrame),
    ([pl.DataFrame()], list[pl.DataFrame]),
]
DO_NOT_FIT = [
    (True, int),
    (True, float),
    (1.0, int),
    ("1", int),
    (1, str),
    ("c", Literal["a", "b"]),
    (True, Literal[1]),
    (np.arange(3), Literal["a"]),
    (pl.DataFrame({"a": [1]}), Literal["a"]),
    (None, int),
    (1, None),
    ([1, "2"], list[int]),
    ((1,), list[int]),
    ("ab", list[str]),
    ({1: 1.0}, dict[str, float]),
    ((1, 2), tuple[int, str]),
    ((1,), tuple[int, str]),
    ([1, "a"], tuple[int, str]),
    (pl.LazyFrame(), pl.DataFrame),
    (Base(), Derived),
]


@pytest.mark.parametrize(("value", "annotation"), FIT)
def test_a_value_of_the_declared_type_fits(value: object, annotation: object) -> None:
    assert fits(value, annotation)


@pytest.mark.parametrize(("value", "annotation"), DO_NOT_FIT)
def test_a_value_of_another_type_does_not_fit(value: object, annotation: object) -> None:
    assert not fits(value, annotation)


@pytest.mark.parametrize(
    ("declared", "wanted"),
    [
        (int, Any),
        (Any, int),
        (Any, Any),
        (object, int),
        (None, int),  # an item of a dict, of which nothing is known
        (int, float),
        (bool, float),
        (Base, Derived),
        (Derived, Base),
        (list[int], Sequence[int]),
        (list[int], list[str]),
        (dict[str, int], Mapping),
        (Sized, Iterable),
        (Loud, Base),
        (int, int | None),
        (int | None, int),
        (int | None, int | None),
        (Optional[int], int | None),  # noqa: UP045 - what people write
        (int | str, Literal["a"]),
        (Literal["a"], int),
        (pl.DataFrame, pl.LazyFrame),
        (pl.LazyFrame, pd.DataFrame),
        (pa.Table, pl.DataFrame),
        (Metres, float),
        ("Unresolved", int),
        (typing.TypeVar("T"), int),
    ],
    ids=str,
)
def test_what_may_be_right_is_let_through(declared: object, wanted: object) -> None:
    assert may_become(declared, wanted)


@pytest.mark.parametrize(
    ("declared", "wanted"),
    [
        (int, str),
        (float, int),
        (str, float),
        (type(None), int),
        (date, int),
        (list[int], dict[str, int]),
        (dict[str, float], float),
        (pl.DataFrame, float),
        (Path, str),
        (int | None, str),
        (str, int | None),
        (Metres, str),
    ],
    ids=str,
)
def test_what_is_surely_wrong_is_not(declared: object, wanted: object) -> None:
    assert not may_become(declared, wanted)


def test_several_outputs_are_those_of_a_tuple() -> None:
    assert tuple_parts(tuple[int, str]) == ((int, str), ())
    assert tuple_parts(Point) == ((int, float), ("x", "y"))
    for single in (tuple[int, ...], tuple, int, list[int], Any, None):
        assert tuple_parts(single) == ((), ())


def test_one_annotation_that_can_not_be_resolved_hides_no_other() -> None:
    def function(a: Nowhere, b: int) -> Base: ...  # type: ignore[name-defined,empty-body]  # noqa: F821

    assert annotations_of(function) == {"a": "Nowhere", "b": int, "return": Base}


def test_annotations_are_shown_as_people_write_them() -> None:
    package = __name__.partition(".")[0]
    assert [show(a) for a in (int, list[int], Derived)] == ["int", "list[int]", f"{package}.Derived"]
