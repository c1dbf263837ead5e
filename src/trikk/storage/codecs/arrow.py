"""Frames as uncompressed Arrow IPC files: written and mapped at memory speed, readable by any Arrow library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trikk.core.values import JSON
from trikk.storage.codec import type_name

POLARS = ("polars.DataFrame", "polars.LazyFrame", "polars.Series")
PANDAS = ("pandas.DataFrame", "pandas.Series")
ARROW = ("pyarrow.Table", "pyarrow.RecordBatch")


class ArrowCodec:
    """Frames and columns of polars, pandas and pyarrow."""

    name = "arrow"
    suffix = ".arrow"

    def accepts(self, value: object) -> bool:
        """Whether it is one of the kinds above, exactly."""
        return type_name(value) in (*POLARS, *PANDAS, *ARROW)

    def dump(self, value: Any, path: Path) -> dict[str, JSON]:
        """Write the frame."""
        import polars as pl

        frame = value.collect() if isinstance(value, pl.LazyFrame) else value
        frame.rechunk().write_ipc(path, compression="uncompressed")
        return {
            "type": type_name(value),
            "rows": frame.height,
            "columns": {name: str(kind) for name, kind in frame.schema.items()},
        }

    def load(self, path: Path, want: object, summary: dict[str, JSON]) -> Any:
        """The frame in the kind that `want` names, else in the kind that was written."""
        import polars as pl

        kind = wanted(want) or summary.get("type")
        return pl.scan_ipc(path) if kind == "polars.LazyFrame" else pl.read_ipc(path)

    def head(self, path: Path, rows: int) -> JSON | None:
        """The first rows as text."""
        import polars as pl

        return [{k: str(v) for k, v in row.items()} for row in pl.scan_ipc(path).head(rows).collect().to_dicts()]


def wanted(annotation: object) -> str | None:
    """The kind of frame that an annotation names, or None."""
    if not isinstance(annotation, type):
        return None
    name = f"{annotation.__module__.partition('.')[0]}.{annotation.__qualname__}"
    return name if name in (*POLARS, *PANDAS, *ARROW) else None
