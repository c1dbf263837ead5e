from datetime import date
from typing import Any

import pandas as pd
import polars as pl

from trikk import notebook, pipeline, script, step


@step
def counts() -> pl.DataFrame:
    return pl.DataFrame({"sensor": ["b", "a", "c", "d ø"], "n": [2, 1, -3, 4]})


@step
def total(rows: pl.LazyFrame) -> int:
    assert isinstance(rows, pl.LazyFrame)
    return int(rows.select(pl.col("n").sum()).collect().item())


@step
def average(rows: pd.DataFrame) -> float:
    return float(rows["n"].mean())


@step
def text(facts: dict[str, Any], day: str) -> str:
    return f"{facts['rows']} {day}"


@pipeline
def cleaning(day: date):
    cleaned = script("scripts/clean up.sh", day, inputs={"the counts.csv": counts()}, outputs="cleaned.csv")
    total(cleaned)
    made = script(
        ["python", "scripts/split.py", "--day", day],
        inputs={"rows.parquet": cleaned},
        outputs=["first.parquet", "rest.jsonl", "facts.json", "nötes.txt"],
        name="split",
    )
    average(made[1])
    _first, _rest, facts, _notes = made
    text(facts, facts["day"])
    script(["sh", "-c", 'echo sent >> "$SENT_TO/sent"'], effect=True, name="send")


@pipeline
def reporting(day: date, limit: int = 3, name: str = 'a "quoted" ø'):
    report = notebook(
        "report.ipynb",
        {"day": day, "limit": limit, "name": name},
        inputs={"people": counts()},
        outputs=["out.parquet", "facts.json"],
    )
    total(report.files["out.parquet"])
    text(report.files["facts.json"], "x")


@pipeline
def slow():
    notebook("slow.ipynb")


@pipeline
def sleeping():
    script(["sh", "-c", 'sleep 600 & echo $$ $! > "$TRIKK_CODE/pids"; wait'], timeout="3s")


@pipeline
def secret():
    script(
        ["sh", "-c", "test ${#API_TOKEN} = 12 && echo ok > x.txt"],
        outputs="x.txt",
        env={"API_TOKEN": "${HIDDEN}"},
    )
