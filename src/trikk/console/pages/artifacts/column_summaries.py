"""What is in the columns of a stored frame, in a line each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.text import shorten

if TYPE_CHECKING:
    import polars as pl

_ROWS, _COLUMNS = 100_000, 100
_LONGEST = 80


def column_summaries(path: Path) -> dict[str, Any]:
    """How many values are missing and distinct, the least, the mean and the greatest, by column.

    Args:
        path: of an Arrow IPC file that we have written.

    Returns:
        `rows`, how many were looked at: the first ones; `columns`, at most a hundred: name, type, missing,
        distinct, least, mean, most.
    """
    import polars as pl

    whole = pl.scan_ipc(path, glob=False)
    frame = whole.select(whole.collect_schema().names()[:_COLUMNS]).head(_ROWS).collect()
    return {"rows": frame.height, "columns": [_summary(column) for column in frame.iter_columns()]}


def _summary(column: pl.Series) -> dict[str, Any]:
    kind = column.dtype
    summary: dict[str, Any] = {"name": column.name, "type": str(kind), "missing": column.null_count()}
    summary |= {"distinct": None, "least": None, "mean": None, "most": None}
    if kind.is_nested() or str(kind) in ("Object", "Null", "Binary"):
        return summary
    summary["distinct"] = column.n_unique()
    if kind.is_float():
        column = column.fill_nan(None)
        summary["missing"] = column.null_count()
    if kind.is_numeric() or str(kind) == "Boolean":
        summary["mean"] = column.mean()
    if str(kind) != "Categorical":
        summary["least"], summary["most"] = _shown(column.min()), _shown(column.max())
    return summary


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return shorten(str(value), _LONGEST)
