"""Every kind of frame from every source: what an annotation names is what arrives, or it is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Optional, TypedDict, Union

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from trikk import Table, pipeline, predict, step
from trikk.core.errors import DefinitionError
from trikk.storage.codec import type_name
from trikk.testing import run_inline

if TYPE_CHECKING:
    import polars as bears  # noqa: F401, ICN001
    from pandas import DataFrame as Panda  # noqa: F401

counts = Table("counts")
ROWS = pl.DataFrame({"n": [1, 2, None]})
KINDS: dict[str, Any] = {
    "polars.DataFrame": pl.DataFrame,
    "polars.LazyFrame": pl.LazyFrame,
    "polars.Series": pl.Series,
    "pandas.DataFrame": pd.DataFrame,
    "pandas.Series": pd.Series,
    "pyarrow.Table": pa.Table,
    "pyarrow.RecordBatch": pa.RecordBatch,
}


class Parts(NamedTuple):
    left: pl.DataFrame
    right: pl.DataFrame


class Wanted(NamedTuple):
    left: pd.DataFrame
    right: pa.Table


class Named(TypedDict):
    left: pd.DataFrame
    right: pa.Table


class Doubling:
    def predict(self, rows: pl.DataFrame) -> pl.Series:
        return rows["n"] * 2.0


@step
def rows() -> pl.DataFrame:
    return ROWS


@step
def several() -> tuple[pl.DataFrame, int]:
    return ROWS, 1


@step
def parts() -> Parts:
    return Parts(ROWS, ROWS)


@step
def pair() -> tuple[pl.DataFrame, pl.DataFrame]:
    return ROWS, ROWS


@step
def listed() -> list[pl.DataFrame]:
    return [ROWS, ROWS]


@step
def named() -> dict[str, Any]:
    return {"left": ROWS, "right": ROWS, "deep": {"frames": [ROWS]}, "n": 1}


@step
def unpickled() -> Any:
    return {1.5j: ROWS}


@step
def doubled() -> pl.LazyFrame:
    keyed = ROWS.drop_nulls().with_columns(id="n")
    found: pl.LazyFrame = predict(Doubling(), keyed, key="id")
    return found.select(n=pl.col("value").cast(pl.Int64) // 2)


@step
def reached(value: Any) -> Any:
    return value


SOURCES: dict[str, Callable[[Any], Any]] = {
    "table": lambda take: take(counts),
    "table with own writes": lambda take: (counts.append(rows()), take(counts))[1],
    "artifact": lambda take: take(rows()),
    "one of several outputs": lambda take: take(several()[0]),
    "a part by name": lambda take: take(parts().right),
    "picked item": lambda take: take(named()["left"]),
    "picked deep": lambda take: take(named()["deep"]["frames"][-1]),
    "picked from a pickle": lambda take: take(reached.options(name="again")(rows())),
    "map item": lambda take: take.map(listed()),
    "map item of a list in the body": lambda take: take.map([rows()]),
    "model predict": lambda take: take(doubled()),
    **{f"{kind} of a step": lambda take, kind=kind: take(made_as(kind)) for kind in KINDS},
}


@step
def made_as(kind: str) -> Any:
    from trikk.storage.frames import as_kind

    return as_kind(ROWS, kind)


def taken(source: Callable[[Any], Any], annotation: Any) -> tuple[str, Any]:
    """The kind of frame that a step with that annotation gets, and how many values are in it."""

    def take(value: Any) -> Any:
        frame = value.collect() if type_name(value) == "polars.LazyFrame" else value
        return [type_name(value), len(frame) if not hasattr(frame, "num_rows") else frame.num_rows]

    take.__annotations__["value"] = annotation
    take_step = step(take)

    @pipeline
    def walk() -> None:
        source(take_step)

    run = run_inline(walk, tables={"counts": ROWS})
    assert run.state == "succeeded", run.error
    found = run.output("take")
    return tuple(found[0] if isinstance(found[0], list) else found)  # type: ignore[return-value]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", SOURCES)
def test_the_kind_that_is_named_arrives(source: str, kind: str) -> None:
    found, values = taken(SOURCES[source], KINDS[kind])
    assert found == kind
    assert values == {"table with own writes": 6, "model predict": 2}.get(source, 3)


@pytest.mark.parametrize("annotation", [Any, object, None, "Unknown", "Unknown[pl.DataFrame]"])
@pytest.mark.parametrize("source", SOURCES)
def test_where_none_is_named_the_rows_come_as_they_are(source: str, annotation: Any) -> None:
    if annotation is None:
        annotation = Any
    kind = source.removesuffix(" of a step")
    lazy = source in ("table", "table with own writes", "model predict")
    expected = kind if kind in KINDS else "polars.LazyFrame" if lazy else "polars.DataFrame"
    assert taken(SOURCES[source], annotation)[0] == expected


UNIONS: dict[str, tuple[Any, str, str]] = {
    "optional": (Optional[pd.DataFrame], "pandas.DataFrame", "pandas.DataFrame"),  # noqa: UP045
    "or none": (pa.Table | None, "pyarrow.Table", "pyarrow.Table"),
    "or text": (Union[str, pl.Series], "polars.Series", "polars.Series"),  # noqa: UP007
    "its own among them": (pd.DataFrame | pl.LazyFrame, "polars.LazyFrame", "pandas.DataFrame"),
    "the first of those": (pd.DataFrame | pl.DataFrame, "pandas.DataFrame", "polars.DataFrame"),
    "annotated": (Annotated[pd.DataFrame | None, "rows"], "pandas.DataFrame", "pandas.DataFrame"),
    "text": ("pd.DataFrame", "pandas.DataFrame", "pandas.DataFrame"),
    "text of a union": ("None | pa.Table", "pyarrow.Table", "pyarrow.Table"),
    "for type checkers": ("bears.Series", "polars.Series", "polars.Series"),
    "a class for type checkers": ("Panda | None", "pandas.DataFrame", "pandas.DataFrame"),
}


@pytest.mark.parametrize("name", UNIONS)
def test_a_union_gives_its_own_kind_or_the_first(name: str) -> None:
    annotation, of_table, of_frame = UNIONS[name]
    assert taken(SOURCES["table"], annotation)[0] == of_table
    assert taken(SOURCES["artifact"], annotation)[0] == of_frame


CONTAINERS: dict[str, tuple[Any, Any, Any]] = {
    "list": (lambda take: take(listed()), list[pd.DataFrame], ["pandas.DataFrame"] * 2),
    "sequence": (lambda take: take(listed()), Sequence[pa.Table], ["pyarrow.Table"] * 2),
    "optional list": (lambda take: take(listed()), list[pl.Series] | None, ["polars.Series"] * 2),
    "list of a union": (lambda take: take(listed()), list[pd.DataFrame | None], ["pandas.DataFrame"] * 2),
    "collected map": (lambda take: take(reached.map([rows(), rows()])), list[pd.Series], ["pandas.Series"] * 2),
    "list in the body": (
        lambda take: take([counts, rows()]), list[pd.DataFrame], ["pandas.DataFrame"] * 2),
    "dict in the body": (
        lambda take: take({"left": counts, "right": rows()}), dict[str, pl.DataFrame], ["polars.DataFrame"] * 2),
    "mapping in the body": (
        lambda take: take({"left": counts, "right": rows()}), Mapping[str, pa.Table], ["pyarrow.Table"] * 2),
    "typed dict": (
        lambda take: take({"left": counts, "right": rows()}), Named, ["pandas.DataFrame", "pyarrow.Table"]),
    "typed dict as text": (
        lambda take: take({"left": counts, "right": rows()}), "Named", ["pandas.DataFrame", "pyarrow.Table"]),
    "all outputs": (
        lambda take: take(parts()), tuple[pd.DataFrame, pl.Series], ["pandas.DataFrame", "polars.Series"]),
    "all outputs by name": (lambda take: take(pair()), Wanted, ["pandas.DataFrame", "pyarrow.Table"]),
    "all outputs alike": (lambda take: take(parts()), tuple[pa.Table, ...], ["pyarrow.Table"] * 2),
    "a tuple in the body": (
        lambda take: take((counts, rows())), tuple[pl.DataFrame, pd.DataFrame],
        ["polars.DataFrame", "pandas.DataFrame"]),
    "a list inside": (lambda take: take(named()["deep"]["frames"]), list[pd.DataFrame], ["pandas.DataFrame"]),
    "dict inside": (lambda take: take(named()["deep"]), dict[str, list[pa.Table]], ["list"]),
    "odd keys": (lambda take: take(unpickled()), dict[complex, pd.DataFrame], ["pandas.DataFrame"]),
    "no annotation": (lambda take: take([counts, rows()]), Any, ["polars.LazyFrame", "polars.DataFrame"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTAINERS)
def test_frames_in_lists_tuples_and_dicts_arrive_in_their_kinds(name: str) -> None:
    source, annotation, expected = CONTAINERS[name]

    def take(value: Any) -> list[str]:
        assert annotation is not Wanted or value.left is value[0]
        return [type_name(item) for item in (value.values() if isinstance(value, dict) else value)]

    take.__annotations__["value"] = annotation
    take_step = step(take)

    @pipeline
    def walk() -> None:
        source(take_step)

    run = run_inline(walk, tables={"counts": ROWS})
    assert run.state == "succeeded", run.error
    assert run.output("take") == expected


def test_frames_that_two_stars_take_arrive_as_these_say() -> None:
    @step
    def take(**frames: pd.DataFrame) -> list[str]:
        return [type_name(frame) for frame in frames.values()]

    @pipeline
    def walk() -> None:
        take(left=counts, right=rows())

    assert run_inline(walk, tables={"counts": ROWS}).output("take") == ["pandas.DataFrame"] * 2


@pytest.mark.parametrize("annotation", [int, str, dict, list[pl.DataFrame], dict[str, pl.DataFrame], Table, bytes])
def test_a_table_is_refused_at_definition_where_no_frame_can_be(annotation: Any) -> None:
    def take(value: Any) -> int:
        return len(value)

    take.__annotations__["value"] = annotation
    with pytest.raises(DefinitionError, match=r"wants .*, not the rows of table counts"):
        pipeline(name="walk")(lambda: step(take)(counts))


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "two columns": (lambda take: take(named()["wide"]), pl.Series, "one column is wanted"),
    "a frame where a number is": (lambda take: take(reached(rows())), int, "DataFrame can't be given as int"),
    "a number where a frame is": (lambda take: take(named()["n"]), pl.DataFrame, "int can't be given as polars"),
    "numbers where frames are": (lambda take: take(numbers()), list[pl.DataFrame], "list of int can't be given"),
    "a frame where a list is": (
        lambda take: take(reached(rows())), list[pl.DataFrame], "polars.DataFrame can't be given as list"),
    "a list where a frame is": (
        lambda take: take(reached(listed())), pd.DataFrame, "list of polars.DataFrame can't be given as pandas"),
}  # fmt: skip


@step
def numbers() -> Any:
    return [1, 2]


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_given_is_refused_with_both_kinds(name: str) -> None:
    source, annotation, message = REFUSED[name]
    if name == "two columns":
        source = lambda take: take(counts)  # noqa: E731

    def take(value: Any) -> None: ...

    take.__annotations__["value"] = annotation
    take_step = step(take)

    @pipeline
    def walk() -> None:
        source(take_step)

    run = run_inline(walk, tables={"counts": ROWS.with_columns(m=1)})
    assert run.state == "failed"
    assert message in str(run.error)
    assert "argument 'value' can't be loaded" in str(run.error)
