"""A city's day: features of a week, predictions by LightGBM, a table's version, a stream; and the training."""

from __future__ import annotations

import functools
import json
import operator
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.places import FLOWS
from benchmarks.samples import Sample
from benchmarks.ways.commands import fresh, own_folder, python, trikk

PIPELINES = ("city_work.py", "city_pipelines.py")


INGEST = ("ingest", "counts", "counts.csv", "--key", "trip", "--key", "slot")
JOBS = {"nightly": [("run", "nightly")], "train": [("run", "train")], "day": [INGEST, ("run", "nightly")]}
"""trikk's commands. By hand they are one process each, too."""


def by_trikk(size: int, job: str) -> Callable[[], Sample]:
    """The job's commands in a project that has the tables and the model, anew each time."""
    ready = project(size)
    trikk(ready, "run", "train")
    trikk(ready, "models", "promote", "load", "1", "--why", "the first")

    def run() -> Sample:
        place = copied(ready)
        return functools.reduce(operator.add, [trikk(place, *command) for command in JOBS[job]]).telling(
            answer(job)
        )

    return run


def by_hand(size: int, job: str, *kept: str) -> Callable[[], Sample]:
    """The same as a process for each command, with the same libraries; `kept` keeps results between steps, too."""
    ready = project(size)
    python(ready, "city_by_hand.py", "train")
    names = ["ingest" if command is INGEST else command[1] for command in JOBS[job]]

    def run() -> Sample:
        place = copied(ready)
        costs = [python(place, "city_by_hand.py", name, *kept) for name in names]
        return functools.reduce(operator.add, costs).telling(answer(job))

    return run


def project(size: int) -> Path:
    """A project with its tables, of as many departures a day."""
    ready = fresh("ready")
    (ready / "trikk.toml").write_text('name = "city"\npipelines = ["city_pipelines"]\n')
    for name in PIPELINES:
        shutil.copy(FLOWS / name, ready)
    for job in ("fill", "raw"):
        python(ready, "city_by_hand.py", job, BENCH_SIZE=str(size))
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
    if job == "train":
        return []
    import polars as pl

    place = own_folder() / "run"
    rows = pl.scan_parquet(place / ".trikk" / "tables" / "predictions" / "*.parquet").select("value").collect()
    index = next(path for path in place.rglob("index.jsonl"))
    return [rows.height, json.loads(index.read_text())["count"], rows["value"].sum()]
