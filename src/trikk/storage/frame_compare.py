"""How two frames differ: in schema, in order, by rounding, or in which rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trikk.core.values import JSON
from trikk.storage.value_compare import ATOL, RTOL, Difference

if TYPE_CHECKING:
    import polars as pl

SHOWN_ROWS = 5


def compare_frames(a: pl.DataFrame, b: pl.DataFrame, rtol: float = RTOL) -> Difference:
    """Compare two frames.

    Float columns are compared with the tolerance, all others exactly. Rows that are the same in another order
    are `reordered`; if rounding and order both differ, it is `close`, and the detail says so.

    Args:
        a: the earlier frame.
        b: the later one.
        rtol: the largest distance that counts as close, relative to the larger of both values.
    """
    different = _schemas(a, b)
    if different:
        return different
    if a.equals(b):
        return Difference("identical", "the same content in other bytes", {"rows": a.height})
    facts: dict[str, JSON] = {"rows": [a.height, b.height]}
    if a.height == b.height:
        if _sorted(a, list(a.columns)).equals(_sorted(b, list(b.columns))):
            return Difference("reordered", f"the same {a.height} rows in another order", facts)
        close = _close(a, b, rtol, "values")
        if close:
            return close
        exact = [name for name, dtype in a.schema.items() if not dtype.is_float()]
        if exact and len(exact) < a.width:
            close = _close(_grouped(a, exact), _grouped(b, exact), rtol, "rows are in another order, and values")
            if close:
                return close
    return _first_rows(a, b, rtol, facts)


def _schemas(a: pl.DataFrame, b: pl.DataFrame) -> Difference | None:
    if a.schema == b.schema:
        if a.columns == b.columns:
            return None
        return Difference(
            "different", "the columns are in another order", {"columns": [[*a.columns], [*b.columns]]}
        )
    gone = [name for name in a.columns if name not in b.columns]
    new = [name for name in b.columns if name not in a.columns]
    types = {
        name: [str(a.schema[name]), str(b.schema[name])]
        for name in a.columns
        if name in b.columns and a.schema[name] != b.schema[name]
    }
    words = [f"column {name} is gone" for name in gone] + [f"column {name} is new" for name in new]
    words += [f"column {name} was {was}, is {now}" for name, (was, now) in types.items()]
    if not words:
        return Difference(
            "different", "the columns are in another order", {"columns": [[*a.columns], [*b.columns]]}
        )
    facts: dict[str, JSON] = {
        "gone": list(gone),
        "new": list(new),
        "types": {k: list(v) for k, v in types.items()},
    }
    return Difference("different", "; ".join(words[:SHOWN_ROWS]), facts)


def _sorted(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """The rows in an order that depends only on their values, for any type of column."""
    return frame.select(names)[frame.select(names).hash_rows(seed=1).arg_sort()]


def _grouped(frame: pl.DataFrame, exact: list[str]) -> pl.DataFrame:
    """The rows ordered by the values of the exact columns, and among equal ones by the float columns."""
    import polars as pl

    floats = [name for name in frame.columns if name not in exact]
    keys = pl.DataFrame([frame.select(exact).hash_rows(seed=1).alias("0"), *_numbered(frame.select(floats))])
    return frame[keys.select(pl.arg_sort_by(keys.columns)).to_series()]


def _numbered(frame: pl.DataFrame) -> list[pl.Series]:
    return [column.alias(str(n)) for n, column in enumerate(frame.get_columns(), start=1)]


def _pairs(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    height = min(a.height, b.height)
    left = [column.alias(f"a{n}") for n, column in enumerate(a.head(height).get_columns())]
    right = [column.alias(f"b{n}") for n, column in enumerate(b.head(height).get_columns())]
    return pl.DataFrame([*left, *right])


def _apart(n: int, dtype: Any, rtol: float) -> pl.Expr:
    """Whether the n-th column of a pair differs by more than the tolerance."""
    import polars as pl

    left, right = pl.col(f"a{n}"), pl.col(f"b{n}")
    if not dtype.is_float():
        return left.ne_missing(right)
    distance = (left - right).abs()
    within = (distance <= pl.max_horizontal(left.abs(), right.abs()) * rtol) | (distance <= ATOL)
    return left.ne_missing(right) & ~(within & distance.is_finite()).fill_null(value=False)


def _close(a: pl.DataFrame, b: pl.DataFrame, rtol: float, subject: str) -> Difference | None:
    import polars as pl

    pairs = _pairs(a, b)
    dtypes = list(a.schema.values())
    apart = pairs.select(_apart(n, dtype, rtol).any().alias(str(n)) for n, dtype in enumerate(dtypes))
    if any(apart.row(0)):
        return None
    worst: dict[str, JSON] = {}
    absolute = relative = 0.0
    for n, (name, dtype) in enumerate(a.schema.items()):
        if dtype.is_float():
            left, right = pl.col(f"a{n}"), pl.col(f"b{n}")
            moved = pairs.filter(left.ne_missing(right)).select(
                absolute=(left - right).abs(),
                relative=(left - right).abs() / pl.max_horizontal(left.abs(), right.abs()),
            )
            if moved.height:
                far, share = moved.max().row(0)
                worst[name] = [far, share]
                absolute, relative = max(absolute, far), max(relative, share)
    return Difference(
        "close",
        f"{subject} differ by at most {absolute:.3g} (relative {relative:.3g})",
        {"rows": a.height, "largest_absolute": absolute, "largest_relative": relative, "columns": worst},
    )


def _first_rows(a: pl.DataFrame, b: pl.DataFrame, rtol: float, facts: dict[str, JSON]) -> Difference:
    """The verdict `different`, with the first rows that do, by position."""
    import polars as pl

    pairs = _pairs(a, b)
    apart = pairs.select(_apart(n, dtype, rtol).alias(str(n)) for n, dtype in enumerate(a.schema.values()))
    rows = (
        apart.select(any=pl.any_horizontal(pl.all()))["any"].arg_true()
        if a.width
        else pl.Series([], dtype=pl.UInt32)
    )
    first: list[JSON] = []
    for row in rows.head(SHOWN_ROWS).to_list():
        columns: dict[str, JSON] = {
            name: [_shown(a[row, n]), _shown(b[row, n])] for n, name in enumerate(a.columns) if apart[row, n]
        }
        first.append({"row": row, "columns": columns})
    facts = {**facts, "differing_rows": len(rows), "first": first}
    if a.height != b.height:
        return Difference("different", f"{a.height} rows became {b.height}", facts)
    return Difference("different", f"{len(rows)} of {a.height} rows differ, first row {rows[0]}", facts)


def _shown(value: object) -> JSON:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
