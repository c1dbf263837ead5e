"""What every contender runs: the same trivial step, the same frames, the same side effects.

Imported by the flow files of all tools inside their own environments, so it imports nothing heavy itself.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

WIDTH = 50
ROWS = 500_000
FAIL_AT = 8
KILL_AT = 5
RESUME_STEPS = 10


def folder() -> Path:
    """The folder of this one measurement; the working directory where a tool hides the environment."""
    return Path(os.environ.get("BENCH_WORK", "."))


def last(value: int) -> int:
    """What the last step does with its value: leave it where the harness checks it."""
    (folder() / "result.txt").write_text(repr(value))
    return value


def begin(name: str) -> None:
    """Note, by the clock on the wall, that the step of this name has begun."""
    descriptor = os.open(folder() / "begun.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, f"{name} {time.time()}\n".encode())
    os.close(descriptor)


def delicate(number: int, value: int) -> int:
    """Step `number` of ten: notes that it ran, then fails or hangs where the case wants that."""
    place = folder()
    descriptor = os.open(place / "effects.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, f"{number}\n".encode())
    os.close(descriptor)
    if not (place / "fixed").exists():
        if number == FAIL_AT and (place / "fail").exists():
            raise RuntimeError("step 8 fails until the file `fixed` exists")
        if number == KILL_AT and (place / "hang").exists():
            time.sleep(120)
    value += 1
    return last(value) if number == RESUME_STEPS else value


def begun() -> int:
    """When a resume's measurement was laid out, in nanoseconds: the same for both of its tries."""
    markers = (folder() / name for name in ("fail", "hang"))
    return next(marker.stat().st_mtime_ns for marker in markers if marker.exists())


def pandas_frame(rows: int = ROWS) -> pd.DataFrame:
    """Rows of 6 float, 3 int, 3 str (1,000 values, 50 values, one for each row)."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(7)
    columns = {f"f{i}": random.normal(size=rows) for i in range(6)}
    columns |= {f"i{i}": random.integers(0, top, rows) for i, top in enumerate((2**40, 1000, 2))}
    words = np.array([f"category-{i:04d}" for i in range(1000)], dtype=object)
    columns |= {f"s{i}": words[random.integers(0, top, rows)] for i, top in enumerate((1000, 50))}
    return pd.DataFrame({**columns, "s2": [f"user-{i:08d}" for i in range(rows)]})


def pandas_transform(frame: pd.DataFrame) -> pd.DataFrame:
    """The second of the three steps."""
    return frame.assign(f0=frame["f0"] * 2.0, i1=frame["i1"] + 1)


def pandas_consume(frame: pd.DataFrame) -> int:
    """The third step: sums of a float and an int column; leaves the number of rows for the check."""
    last(len(frame))
    return int(frame["f0"].sum()) + int(frame["i1"].sum())


def polars_frame(rows: int = ROWS) -> pl.DataFrame:
    """The same twelve columns, made by polars; its values come from hashes of the row number."""
    import polars as pl

    row = pl.int_range(rows, dtype=pl.UInt64)
    draw = [row.hash(seed=i) for i in range(11)]
    return pl.select(
        *[(draw[i] / 2.0**64).alias(f"f{i}") for i in range(6)],
        *[(draw[6 + i] % top).cast(pl.Int64).alias(f"i{i}") for i, top in enumerate((2**40, 1000, 2))],
        *[_word("category-", draw[9 + i] % top, 4).alias(f"s{i}") for i, top in enumerate((1000, 50))],
        _word("user-", row, 8).alias("s2"),
    )


def _word(prefix: str, number: pl.Expr, digits: int) -> pl.Expr:
    import polars as pl

    return pl.concat_str(pl.lit(prefix), number.cast(pl.String).str.zfill(digits))


def polars_transform(frame: pl.DataFrame) -> pl.DataFrame:
    """The second of the three steps."""
    import polars as pl

    return frame.with_columns(pl.col("f0") * 2.0, pl.col("i1") + 1)


def polars_consume(frame: pl.DataFrame) -> int:
    """The third step: sums of a float and an int column; leaves the number of rows for the check."""
    last(frame.height)
    return int(frame["f0"].sum()) + int(frame["i1"].sum())
