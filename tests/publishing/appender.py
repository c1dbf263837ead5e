"""Processes that append to a stream; forked from a server that has imported everything and used nothing of it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.publishing.publisher import rows_for

from trikk.publishing.broker_messages import Messages
from trikk.publishing.row_encoding import encode
from trikk.publishing.stream import Stream


def some(count: int, publication: str = "p") -> Messages:
    """Messages whose ids begin with `publication`."""
    return encode(rows_for(count), publication, key="key", form="json", headers={"trikk-run": "r1"}, model=None)


def append_for_ever(folder: Path, count: int) -> None:
    """Append n0, n1, ... from the first on, as a run does that is resumed."""
    found, number = Stream(folder), 0
    while True:
        found.append(some(count, f"n{number}"), f"n{number}")
        number += 1


def append_some(folder: Path, writer: int) -> None:
    """Append ten publications of five messages."""
    for number in range(10):
        Stream(folder).append(some(5, f"w{writer}x{number}"), f"w{writer}x{number}")


def start(function: Callable[[Path, int], None], folder: Path, number: int) -> BaseProcess:
    """Start one of the functions above."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=function, args=(folder, number))
    process.start()
    return process
