"""A city's day: features of a week, predictions by LightGBM, a table's version, a stream; and the training."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.places import FLOWS
from benchmarks.samples import Sample
from benchmarks.ways.commands import fresh, own_folder, python, trikk

PIPELINES = ("city_work.py", "city_pipelines.py")


def by_trikk(size: int, job: str) -> Callable[[], Sample]:
    """`trikk run JOB` in a project that has the tables and the model, anew each time."""
    ready = project(size)
    trikk(ready, "run", "train")
    trikk(ready, "models", "promote", "load", "1", "--why", "the first")
    return lambda: trikk(copied(ready), "run", job).telling(answer(job))


def by_hand(size: int, job: str, *kept: str) -> Callable[[], Sample]:
    """The same as one process of the same libraries; `kept` keeps what goes from step to step, too."""
    ready = project(size)
    python(ready, "city_by_hand.py", "train")
    return lambda: python(copied(ready), "city_by_hand.py", job, *kept).telling(answer(job))


def project(size: int) -> Path:
    """A project with its tables, of as many departures a day."""
    ready = fresh("ready")
    (ready / "trikk.toml").write_text('name = "city"\npipelines = ["city_pipelines"]\n')
    for name in PIPELINES:
        shutil.copy(FLOWS / name, ready)
    python(ready, "city_by_hand.py", "fill", BENCH_SIZE=str(size))
    return ready


def copied(ready: Path) -> Path:
    """The project anew. Data files are linked: nobody writes into one that is there."""
    place = own_folder() / "run"
    shutil.rmtree(place, ignore_errors=True)

    def copy(source: str, target: str) -> None:
        is_data = source.endswith(".parquet") or "/objects/" in source
        (os.link if is_data else shutil.copy2)(source, target)

    shutil.copytree(ready, place, copy_function=copy)
    os.sync()  # so that what is measured does not wait for this
    return place


def answer(job: str) -> list[float]:
    """What a night came to: how many rows and messages, and the sum of the predictions; nothing of a training."""
    if job != "nightly":
        return []
    import polars as pl

    place = own_folder() / "run"
    rows = pl.scan_parquet(place / ".trikk" / "tables" / "predictions" / "*.parquet").select("value").collect()
    index = next(path for path in place.rglob("index.jsonl"))
    return [rows.height, json.loads(index.read_text())["count"], rows["value"].sum()]
