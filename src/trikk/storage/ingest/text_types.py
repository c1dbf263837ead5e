"""Text into typed columns, the same way whether types are inferred or given by a table; and what is doubtful.

ISO 8601 only: 2020-03-26, 2020-03-26T04:00[:00[.123456]] (or a blank for the T), and the same with Z or an offset,
which becomes UTC. Numbers with leading zeros (station 007) or a plus (a telephone) stay text when types are
inferred, and so do whole numbers beyond 64 bits, since none of their digits may be lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_SAMPLE = 1000  # rows that are tried first: they rule most types out, however long the column is
_INTEGER = r"^[+-]?\d+$"
_WHOLE = r"^[+-]?\d+(\.0*)?$"
_NO_NUMBER = r"^[+-]?0\d|^\+"
_INFINITE = r"^[+-]?(inf|Inf|INF|Infinity)$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(nan|NaN|NAN|inf|Inf|INF|Infinity)$"
_NAIVE = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")
_ZONED = ("%+", "%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M%#z")
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_FINER = r":\d\d\.\d{6}\d*[1-9]"  # than microseconds
_MICROSECONDS = len("2020-03-26T04:00:00.123456")
_EXACT_DIGITS = 15  # that any whole number may have and be exact as Float64
_EDGE = r"^\s|\s$"
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f]"
# What looks like a date, but may be the third of April or the fourth of March: it stays text, and is doubted.
_OTHER_DATE = r"^\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})\b|^\d{4}[./]\d{1,2}[./]\d{1,2}\b|^(19|20)\d\d[01]\d[0-3]\d$"
_COMMA = r"^[+-]?\d+,\d+$"  # a decimal comma
_LONG = r"^[+-]?0*[.]?0*[1-9][\d.]{18,}"  # 18 digits and a point, or 19; 17 print any Float64


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a careful reader would ask about a column.

    Attributes:
        question: a sentence without its subject.
        row: an example's index in the column, None where there is none.
        count: how many rows there are like it.
    """

    question: str
    row: int | None = None
    count: int = 0


def typed(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return `text` (String) as `dtype`; null where it was null, is no such value, or would lose digits."""
    import polars as pl

    if dtype.is_integer():
        whole = _where(text, _WHOLE)
        if whole.str.contains(".", literal=True).any():
            whole = whole.str.replace(r"\.0*$", "")
        return whole.cast(dtype, strict=False)
    if dtype.is_float():
        return _floats(_where(text, _NUMBER), dtype)
    if isinstance(dtype, pl.Decimal):
        exact = rf"^[+-]?\d*(\.\d{{0,{dtype.scale}}}0*)?$"
        return _where(text, exact).cast(dtype, strict=False)
    if dtype == pl.Boolean:
        lower = text.str.to_lowercase()
        return lower.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
    if dtype == pl.Date:
        return _where(text, _DATE).str.to_date("%Y-%m-%d", strict=False)
    if isinstance(dtype, pl.Datetime):
        return _moments(text, zoned=dtype.time_zone is not None).cast(dtype)
    if dtype == pl.String:
        return text
    return pl.Series(text.name, [None] * len(text), dtype=dtype)


def inferred(text: pl.Series) -> pl.Series:
    """Return `text` (String) as the narrowest type that holds all of it; all null or unclear: String.

    Tried in order: Boolean, Int64, Float64, Date, Datetime, Datetime in UTC; an empty text is null in all of them.
    """
    import polars as pl

    whole = text.replace("", None) if (text == "").any() else text
    if whole.null_count() == len(whole):
        return text
    # The narrowest first: a whole number is a float, too, and everything is a text.
    moments = [pl.Date(), pl.Datetime("us"), pl.Datetime("us", "UTC")]
    for dtype in [pl.Boolean(), *_numbers(whole), *moments]:
        if _lossless(whole.head(_SAMPLE), dtype) is None:
            continue
        values = whole.cast(dtype, strict=False) if dtype == pl.Int64 else typed(whole, dtype)
        if values.null_count() == whole.null_count():
            return values
    return text


def inferred_moments(text: pl.Series) -> pl.Series:
    """As `inferred`, but only dates and times: for formats that have numbers of their own."""
    import polars as pl

    if text.null_count() == len(text):
        return text
    for dtype in (pl.Date(), pl.Datetime("us"), pl.Datetime("us", "UTC")):
        if _lossless(text.head(_SAMPLE), dtype) is None:
            continue
        if (whole := _lossless(text, dtype)) is not None:
            return whole
    return text


def are_all_numbers(text: pl.Series) -> bool:
    """Whether each value that is there is written as a number."""
    return bool(text.str.contains(_NUMBER).all())


def misfits(text: pl.Series, values: pl.Series) -> pl.Series:
    """Indices of the rows where `text` has a value that `values` lost."""
    return (text.is_not_null() & values.is_null()).arg_true()


def doubts(text: pl.Series, values: pl.Series) -> Iterator[Doubt]:
    """What is doubtful in a column: `text` as it came, `values` as they are taken."""
    import polars as pl

    if values.dtype == pl.String:
        yield from text_doubts(text)
        yield from _near_misses(text)
    elif values.dtype == pl.Float64:
        yield from _some(text, _LONG, "has more digits than Float64 holds, and is rounded")


def text_doubts(text: pl.Series) -> Iterator[Doubt]:
    """What is doubtful in values that are text for good."""
    if text.null_count() == len(text):
        yield Doubt("has no value in any row, so that its type is not known")
    elif text.str.contains(f"{_EDGE}|{_CONTROL}").any():
        yield from _some(text, _EDGE, "begins or ends with a blank")
        yield from _some(text, _CONTROL, "has a control character")


def _near_misses(text: pl.Series) -> Iterator[Doubt]:
    """Why a column that looks like another type is text."""
    sample = text.drop_nulls().head(_SAMPLE)
    sample = sample.filter(sample != "")
    if not len(sample):
        return
    if sample.str.contains(_NUMBER).mean() >= 0.5:  # type: ignore[operator]
        text = text.replace("", None)
        if are_all_numbers(text):
            yield from _some(text, _NO_NUMBER, "has leading zeros or a plus, so the whole column is text")
            if not text.str.contains(_NO_NUMBER).any():
                yield from _some(
                    text,
                    r"^[+-]?\d{16,}",
                    "is a whole number that no type holds beside the others, so the whole column is text",
                )
        else:
            yield from _some(text, _NUMBER, "is not a number, so the whole column is text", holds=False)
    elif sample.str.contains(_OTHER_DATE).mean() > 0.5:  # type: ignore[operator]
        yield from _some(text, _OTHER_DATE, "looks like a date, but only 2020-03-26 is read as one")
    elif sample.str.contains(_COMMA).mean() > 0.5:  # type: ignore[operator]
        yield from _some(text, _COMMA, "looks like a number with a comma, but only 2.5 is read as one")
    elif sample.str.contains(r"^\d{4}-\d\d-\d\d").mean() > 0.5:  # type: ignore[operator]
        yield from _some(
            text,
            r"^\d{4}-\d\d-\d\d",
            "looks like a date or time, but not all are of one kind, with or without zone",
        )


def _some(text: pl.Series, pattern: str, reason: str, *, holds: bool = True) -> Iterator[Doubt]:
    rows = (text.str.contains(pattern) == holds).arg_true()
    if len(rows):
        yield Doubt(reason, int(rows[0]), len(rows))


def _numbers(text: pl.Series) -> list[pl.DataType]:
    """The types of number that may be tried: none for codes, and only the exact one where all are whole."""
    import polars as pl

    sample = text.head(_SAMPLE)
    if not sample.str.contains(_NUMBER).all() or text.str.contains(_NO_NUMBER).any():
        return []
    is_whole = sample.str.contains(_INTEGER).all() and text.str.contains(_INTEGER).all()
    return [pl.Int64()] if is_whole else [pl.Float64()]


def _floats(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Numbers of `text`, null where one is out of range or where a whole number would lose a digit."""
    import polars as pl

    values = text.cast(pl.Float64, strict=False)
    lost = values.is_infinite() & ~text.str.contains(_INFINITE)
    if (text.str.len_bytes() > _EXACT_DIGITS).any():
        whole = text.str.contains(_INTEGER) & (text.str.len_bytes() > _EXACT_DIGITS)
        exact = values.cast(pl.Int128, strict=False) == text.cast(pl.Int128, strict=False)
        lost |= whole & ~exact.fill_null(False)
    if dtype == pl.Float32:
        narrow = values.cast(pl.Float32)
        lost |= ~float32_holds(values, narrow)
        values = narrow
    return values.set(lost.fill_null(False), None) if lost.any() else values


def float32_holds(values: pl.Series, narrow: pl.Series) -> pl.Series:
    """Whether each Float32 in `narrow` prints as the number of `values` (Float64) that it stands for."""
    import polars as pl

    return narrow.cast(pl.String).cast(pl.Float64).eq_missing(values)


def _lossless(text: pl.Series, dtype: pl.DataType) -> pl.Series | None:
    values = typed(text, dtype)
    return values if values.null_count() == text.null_count() else None


def _where(text: pl.Series, pattern: str) -> pl.Series:
    import polars as pl

    return (
        text.to_frame()
        .select(pl.when(pl.col(text.name).str.contains(pattern)).then(pl.col(text.name)))
        .to_series()
    )


def _moments(text: pl.Series, *, zoned: bool) -> pl.Series:
    import polars as pl

    if (text.str.len_bytes() > _MICROSECONDS).any():
        text = text.set(text.str.contains(_FINER).fill_null(False), None)
    leaps = text.str.contains(":60", literal=True).fill_null(False)
    if leaps.any():  # polars takes 04:00:60 for the next minute
        text = text.set(leaps, None)
    values = None
    for form in _ZONED if zoned else _NAIVE:
        zone = "UTC" if zoned else None
        more = text.str.to_datetime(form, strict=False, time_unit="us", time_zone=zone)
        values = more if values is None else pl.select(pl.coalesce(values, more)).to_series()
        if values.null_count() == text.null_count():
            break
    return values if values is not None else text
