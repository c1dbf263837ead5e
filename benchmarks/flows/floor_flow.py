"""The floor: the same work without any tool. `python floor_flow.py WAY CASE SIZE`."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import workload

Step = Callable[[], int]


def store(path: Path, write: Callable[[IO[bytes]], object], *, sync: bool = True) -> None:
    """Write a file under a temporary name, sync it and its rename, as durability asks."""
    part = path.with_suffix(".part")
    with part.open("wb") as out:
        write(out)
        if sync:
            out.flush()
            os.fsync(out.fileno())
    part.rename(path)
    if sync:
        descriptor = os.open(path.parent, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def load(name: str) -> Any:
    """Read back what `durable` stored."""
    with (workload.folder() / f"{name}.pickle").open("rb") as stored:
        return pickle.load(stored)


def durable(name: str, step: Step) -> int:
    """A step whose result is pickled, synced and renamed; done already means: read, not run."""
    path = workload.folder() / f"{name}.pickle"
    if not path.exists():
        value = step()
        store(path, lambda out: pickle.dump(value, out, protocol=5))
    return int(load(name))


def start(step: Step) -> Callable[[], int]:
    """Fork a process for a step; the answer waits for it and gives its result."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(step()).encode())
        os._exit(0)
    os.close(writing)

    def finish() -> int:
        value = int(os.read(reading, 64))
        os.close(reading)
        os.waitpid(child, 0)
        return value

    return finish


def spawn(value: int) -> int:
    """A fresh interpreter for a step."""
    return int(
        subprocess.run([sys.executable, "-c", f"print({value} + 1)"], capture_output=True, check=True).stdout
    )


WAYS: dict[str, Callable[[str, Step], Callable[[], int]]] = {
    "plain": lambda _, step: step,
    "fork-durable": lambda name, step: start(lambda: durable(name, step)),
    "spawn": lambda _, step: lambda: spawn(step() - 1),
}


def chain(way: str, steps: int) -> None:
    """Steps one after another, each adding 1."""
    value = 0
    for number in range(steps):
        value = WAYS[way](str(number), lambda value=value: value + 1)()
    workload.last(value)


def fan(way: str, width: int) -> None:
    """One step, many at once (as many processes at a time as there are CPUs), one that sums."""
    first = WAYS[way]("first", lambda: 1)()
    waiting: list[Callable[[], int]] = []
    total = 0
    for number in range(width):
        if len(waiting) == (os.cpu_count() or 1):
            total += waiting.pop(0)()
        waiting.append(WAYS[way](f"fan{number}", lambda number=number: first + number))
    total += sum(finish() for finish in waiting)
    workload.last(WAYS[way]("last", lambda: total)())


def resume(way: str) -> None:
    """Ten steps, one of which fails or hangs the first time."""
    value = 0
    for number in range(1, workload.RESUME_STEPS + 1):
        step = lambda number=number, value=value: workload.delicate(number, value)  # noqa: E731
        value = WAYS[way](str(number), step)()


def polars_through(way: str, rows: int) -> None:
    """The frame through three steps of one process: as it is, or by Arrow IPC or Parquet files."""
    import polars as pl

    kind, _, sync = way.partition("-")
    write = {"arrow": pl.DataFrame.write_ipc, "parquet": pl.DataFrame.write_parquet}.get(kind)
    read = {"arrow": pl.read_ipc, "parquet": pl.read_parquet}.get(kind)
    frame = workload.polars_frame(rows)
    for name, then in (("made", workload.polars_transform), ("transformed", workload.polars_consume)):
        if write is not None and read is not None:
            path = workload.folder() / f"{name}.{kind}"
            store(path, lambda out, frame=frame: write(frame, out), sync=bool(sync))
            del frame
            frame = read(path)
        frame = then(frame)


def pandas_through(way: str, rows: int) -> None:
    """The same with pandas: Arrow IPC, Parquet or pickle files."""
    import pandas as pd

    kind, _, sync = way.partition("-")
    ways: dict[str, tuple[Any, Any]] = {
        "arrow": (lambda frame, out: frame.to_feather(out, compression="uncompressed"), pd.read_feather),
        "pickle": (lambda frame, out: pickle.dump(frame, out, protocol=5), pd.read_pickle),
    }
    frame: Any = workload.pandas_frame(rows)
    for name, then in (("made", workload.pandas_transform), ("transformed", workload.pandas_consume)):
        if kind in ways:
            write, read = ways[kind]
            path = workload.folder() / f"{name}.{kind}"
            store(path, lambda out, frame=frame, write=write: write(frame, out), sync=bool(sync))
            del frame
            frame = read(path)
        frame = then(frame)


def main(way: str, case: str, size: int) -> None:
    """Run one case in one way."""
    if case == "one":
        workload.last(WAYS[way]("0", lambda: 1)())
    elif case == "chain":
        chain(way, size)
    elif case == "fan":
        fan(way, size)
    elif case == "polars":
        polars_through(way, size)
    elif case == "pandas":
        pandas_through(way, size)
    else:
        resume(way)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
