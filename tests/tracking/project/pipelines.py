"""Steps that log, and pipelines to search in."""

from __future__ import annotations

import os
import signal
import time
from enum import Enum
from pathlib import Path

import polars as pl

import trikk
from trikk import Retry, Table, pipeline, step

counts = Table("counts")


class Loss(Enum):
    SQUARED = 1
    ABSOLUTE = 2


@step
def fit(learning_rate: float, weeks: int) -> dict[str, float]:
    error = (learning_rate - 0.1) ** 2 + (weeks - 8) ** 2 / 1000
    for epoch in range(3):
        trikk.log_metric("loss", error + 1 / (epoch + 1), index=epoch)
    trikk.log_metric("error", error)
    trikk.log_param("depth", 3)
    trikk.log_artifact("notes", {"weeks": weeks})
    return {"mae": error, "again": float("nan")}


@pipeline
def train(learning_rate: float = 0.1, weeks: int = 8, loss: Loss = Loss.SQUARED, days: list[int] = [1, 2]):  # noqa: B006
    """Fits nothing, but logs as if."""
    fit(learning_rate, weeks)


@step
def rows(counts: pl.DataFrame, factor: float) -> float:
    time.sleep(0.3)
    trikk.log_metric("total", float(counts["people"].sum()) * factor)
    if factor == 13:
        raise ValueError("an unlucky factor")
    return factor


@step
def more(total: float) -> pl.DataFrame:
    return pl.DataFrame({"people": [1]})


@pipeline
def moving(factor: float):
    """Adds to the table that it reads."""
    counts.append(more(rows(counts, factor)))


@step(retry=Retry(3, delay="10ms"))
def stubborn(how: str) -> int:
    done = Path("attempts")
    attempt = len(done.read_text().splitlines()) + 1 if done.exists() else 1
    with done.open("a") as out:
        out.write("x\n")
    trikk.log_metric("attempt", attempt)
    trikk.log_metric("only-first", 1) if attempt == 1 else None
    for number in range(50):
        trikk.log_metric("burst", number, index=number)
    if attempt == 1 and how == "raise":
        raise ValueError("once")
    if attempt == 1 and how == "killed":
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    return attempt


@pipeline
def tried(how: str):
    stubborn(how)


@step
def item(number: int) -> int:
    trikk.log_metric("square", number * number)
    return number


@step
def things() -> tuple[pl.DataFrame, list[int]]:
    Path("note.txt").write_text("a note")
    trikk.log_artifact("note.txt", Path("note.txt"))
    trikk.log_artifact(
        "report.html", Path("report.html") if Path("report.html").exists() else "<html>", kind="report"
    )
    trikk.log_figure("dot.png", b"\x89PNG\r\n\x1a\nrest")
    return pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}), [1, 2]


@pipeline
def made(n: int = 3):
    item.map([1, 2, 3])
    things()


@step
def slow(n: int) -> int:
    Path(f"started-{n}").touch()
    if not Path("quick").exists():
        time.sleep(60)
    trikk.log_metric("n", n)
    return n


@pipeline
def slowly(n: int):
    slow(n)
