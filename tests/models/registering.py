"""A process that registers versions and moves an alias: registering.py JOURNAL WORKER COUNT."""

from __future__ import annotations

import sys

from tests.models.making import version

from trikk.models.registry import Registry
from trikk.runs.journals.open_journal import open_journal


def main(location: str, worker: str, count: int) -> None:
    registry = Registry(open_journal(location))
    for number in range(count):
        made = registry.register(version(created=float(number)), identity=f"{worker}/{number}")
        registry.move(
            "people",
            "champion",
            made.version,
            "main",
            by=worker,
            why="",
            at=1.0,
            identity=f"{worker}/{number}/move",
        )
        print(made.version, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
