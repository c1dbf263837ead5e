"""A stream over a real table, whose turns a test takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.execution.command import until

from trikk.core.clock import SystemClock
from trikk.execution.project import Project
from trikk.server.streams.stream_reader import StreamReader
from trikk.server.streams.stream_work import StreamWork
from trikk.streams.stream_declaration import Stream


class StreamPlace:
    """A project's folder, and streams at work in it."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        (root / "trikk.toml").write_text('name = "plant"\n')
        self.project = Project.open(root)
        self.works: list[StreamWork] = []

    def work(self, open_reader: Callable[[], StreamReader], source: str = "x", **declared: Any) -> StreamWork:
        """A stream into table `readings`."""
        values = {"key": ("number",), "every": 0.1, **declared}
        stream = Stream(name="readings", source=source, table="readings", **values)
        project = self.project
        work = StreamWork(stream, open_reader, project.tables, project.journal, SystemClock(), lambda: False)
        self.works.append(work)
        return work

    def rows(self, work: StreamWork, count: int) -> list[dict[str, Any]]:
        """The table's rows when there are so many, by number."""

        def enough() -> bool:
            work.turn()
            return len(self.table()) >= count

        until(enough)
        return self.table()

    def table(self) -> list[dict[str, Any]]:
        if self.project.tables.version("readings") is None:
            return []
        return self.project.tables.scan("readings").sort("number").collect().to_dicts()

    def close(self) -> None:
        for work in self.works:
            work.close()
        self.project.close()


def records(*numbers: int, **more: Any) -> list[bytes]:
    return [json.dumps({"number": number, "value": number / 2, **more}).encode() for number in numbers]
