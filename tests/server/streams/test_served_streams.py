"""A stream as people meet it: `trikk serve`, `trikk streams`, requests, metrics, a section that is taken out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.execution.command import Folder, until
from tests.server.served import ServedProject
from tests.server.streams.stream_places import records

SECTION = """
[streams.readings]
from = "inbox/*.jsonl"
table = "readings"
key = ["number"]
every = "100ms"
expected = "5m"
"""


def put(site: ServedProject, name: str, *lines: bytes) -> None:
    (site.root / "inbox" / f".{name}").write_bytes(b"\n".join(lines) + b"\n")
    (site.root / "inbox" / f".{name}").rename(site.root / "inbox" / name)


def test_a_stream_is_read_shown_mended_and_taken_out(tmp_path: Path) -> None:
    site = ServedProject(tmp_path / "project", "", 'name = "plant"\n' + SECTION)
    (site.root / "inbox").mkdir()
    with site.server() as server:

        def shown(**wanted: Any) -> Any:
            row = server.get("/streams")["streams"][0]
            return all(row[key] == value for key, value in wanted.items()) and row

        put(site, "a.jsonl", *records(1, 2, 3))
        row = until(lambda: shown(rows=3, state="reads"))
        assert row["reader"].startswith("server ")
        put(site, "b.jsonl", b'{"number": "four"}')
        until(lambda: shown(set_aside=1))
        details = server.get("/streams/readings")
        assert details["messages"][0]["path"] == "inbox/b.jsonl"
        assert server.post("/streams/readings/retry", {}) == {"stream": "readings", "settled": 0, "left": 1}
        until(lambda: server.metric('trikk_stream_rows_total{stream="readings"}') == 3)
        assert server.metric('trikk_stream_set_aside{stream="readings"}') == 1
        assert server.get("/streams/none", 404)["what"]
        folder = Folder(site.root)
        assert folder.good("streams")["streams"][0]["rows"] == 3
        assert "line 1" in folder.trikk("streams", "readings", "--set-aside").out
        assert "without a reason" in folder.refused("streams", "drop", "readings")["what"]
        assert folder.good("streams", "drop", "readings", "--why", "a test")["settled"] == 1
        (site.root / "trikk.toml").write_text('name = "plant"\n')
        until(lambda: shown(state="removed"))
        put(site, "c.jsonl", *records(5))
        (site.root / "trikk.toml").write_text('name = "plant"\n' + SECTION)
        until(lambda: shown(rows=4, state="reads"))
