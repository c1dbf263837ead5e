"""trikk: `trikk run bench`, a frame of the library that the variable BENCH_CASE names, through three steps."""

import importlib
import os

import workload

from trikk import pipeline, step

CASE, SIZE = os.environ["BENCH_CASE"], int(os.environ["BENCH_SIZE"])
Frame = importlib.import_module(CASE).DataFrame


@step
def make() -> Frame:
    return getattr(workload, f"{CASE}_frame")(SIZE)


@step
def transform(frame: Frame) -> Frame:
    return getattr(workload, f"{CASE}_transform")(frame)


@step
def consume(frame: Frame) -> int:
    return getattr(workload, f"{CASE}_consume")(frame)


@pipeline
def bench():
    consume(transform(make()))
