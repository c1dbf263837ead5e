from __future__ import annotations

import json
import os
import random
import time
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.command import Folder, until
from tests.publishing.appender import append_for_ever, append_some, some, start
from tests.publishing.publisher import context_for, rows_for, start_publisher

from trikk.core.errors import PermanentError, StorageError, UsageError
from trikk.publishing import publish, stream
from trikk.publishing.stream import Stream
from trikk.runs.context import entered


def ids(found: Stream, after: int = -1) -> list[str]:
    return [record.id for record in found.read(after)]


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    one = Stream(tmp_path / "s")
    assert (list(one.read()), one.end, one.exists()) == ([], 0, False)
    one.append(some(3, "a"), "first", at=0.0)
    one.append(some(0, "b"), "empty", at=0.0)
    one.append(some(2, "c"), "second", at=1585195200.5)
    records = list(Stream(tmp_path / "s").read())
    assert [(r.offset, r.id, r.key) for r in records] == [
        (0, "a-0", "s0"),
        (1, "a-1", "s1"),
        (2, "a-2", "s2"),
        (3, "c-0", "s0"),
        (4, "c-1", "s1"),
    ]
    assert records[4].value == {"key": "s1", "row": 1, "value": 0.5}
    assert records[4].time == "2020-03-26T04:00:00.500Z"
    assert records[4].headers["trikk-run"] == "r1"
    assert [r.offset for r in one.read(after=1, limit=2)] == [2, 3]
    assert [len(list(one.read(after=n))) for n in range(6)] == [4, 3, 2, 1, 0, 0]


def test_a_publication_is_in_a_stream_once(tmp_path: Path) -> None:
    one = Stream(tmp_path / "s")
    first, repeated = one.append(some(3), "same")
    again, repeated_again = Stream(tmp_path / "s").append(some(3), "same")
    assert (first, repeated, repeated_again) == (again, False, True)
    with pytest.raises(PermanentError, match="other rows were published under this identity"):
        one.append(some(4), "same")
    assert one.end == 3


def test_a_stream_goes_on_in_new_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEGMENT_BYTES", 1000)
    one = Stream(tmp_path / "s")
    for number in range(6):
        one.append(some(3, f"p{number}"), str(number))
    assert len(list(one.path.glob("0*.jsonl"))) == 3
    assert ids(one) == [f"p{n}-{row}" for n in range(6) for row in range(3)]


@settings(max_examples=40)
@given(st.data())
def test_whatever_a_killed_writer_left_behind_is_not_read_and_is_cut_off(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("s")
    one = Stream(folder)
    for number in range(data.draw(st.integers(0, 2))):
        one.append(some(2, f"p{number}"), str(number), at=0.0)
    before = ids(one)
    whole = Stream(folder / "other")
    whole.append(some(3, "torn"), "torn", at=0.0)
    lines = next(whole.path.glob("0*.jsonl")).read_bytes()
    index = (whole.path / "index.jsonl").read_bytes()
    if not before:
        one._prepare()
    newest = max(folder.glob("0*.jsonl"), default=folder / "000000000000.jsonl")
    with newest.open("ab") as file:
        file.write(lines[: data.draw(st.integers(0, len(lines)))])
    with (folder / "index.jsonl").open("ab") as file:
        file.write(index[: data.draw(st.integers(0, len(index) - 1))])
    late = Stream(folder)
    assert ids(late) == before
    late.append(some(1, "next"), "next")
    assert ids(Stream(folder)) == [*before, "next-0"]
    assert [json.loads(line)["id"] for line in newest.read_text().splitlines()] == [*before, "next-0"]


def has_more(folder: Path, before: int) -> bool:
    return len(Stream(folder).batches()) > before


def test_writers_killed_at_random_moments_leave_whole_publications_once(tmp_path: Path) -> None:
    chance = random.Random(3)
    folder = tmp_path / ".trikk/streams/main/s"
    for _ in range(12):
        before = len(Stream(folder).batches())
        process = start(append_for_ever, folder, 400)
        until(partial(has_more, folder, before))
        time.sleep(chance.uniform(0.0, 0.1))
        process.kill()
        process.join()
    found = Stream(folder)
    batches = found.batches()
    assert [b.identity for b in batches] == [f"n{i}" for i in range(len(batches))]
    assert ids(found) == [f"n{i}-{row}" for i in range(len(batches)) for row in range(400)]
    assert len(batches) > 3


def test_several_writers_lose_nothing(tmp_path: Path) -> None:
    writers = [start(append_some, tmp_path / "s", n) for n in range(4)]
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    found = Stream(tmp_path / "s")
    assert sorted(ids(found)) == sorted(f"w{n}x{i}-{row}" for n in range(4) for i in range(10) for row in range(5))
    assert [r.offset for r in found.read()] == list(range(200))


def test_damage_is_told_and_nothing_is_written_over_it(tmp_path: Path) -> None:
    one = Stream(tmp_path / "s")
    one.append(some(3), "a")
    data = tmp_path / "s/000000000000.jsonl"
    whole = data.read_bytes()
    for broken, what in (
        (whole[:-10], "no message|shorter"),
        (whole.replace(b'"offset":1', b'"offset":7'), "another message"),
    ):
        data.write_bytes(broken)
        with pytest.raises(StorageError, match=what):
            list(Stream(tmp_path / "s").read())
    data.write_bytes(whole[:-10])
    with pytest.raises(StorageError, match="shorter than its index says"):
        Stream(tmp_path / "s").append(some(1, "b"), "b")
    data.unlink()
    with pytest.raises(StorageError, match="is gone"):
        list(Stream(tmp_path / "s").read())
    data.write_bytes(whole)
    index = (tmp_path / "s/index.jsonl").read_bytes()
    (tmp_path / "s/index.jsonl").write_bytes(b"rubbish\n" + index)
    with pytest.raises(StorageError, match="line 1 of its index"):
        Stream(tmp_path / "s").batches()
    (tmp_path / "s/index.jsonl").unlink()
    with pytest.raises(StorageError, match="its index is gone"):
        Stream(tmp_path / "s").append(some(1, "b"), "b")
    assert data.read_bytes() == whole


def test_a_full_disk_leaves_the_stream_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Stream(tmp_path / "s")
    one.append(some(3, "a"), "a")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="can't append to the stream: No space left on device"):
            one.append(some(3, "b"), "b")
    assert ids(Stream(tmp_path / "s")) == ["a-0", "a-1", "a-2"]
    one.append(some(1, "b"), "b")
    assert ids(one) == ["a-0", "a-1", "a-2", "b-0"]


def test_a_publisher_that_is_killed_and_resumed_publishes_once(tmp_path: Path) -> None:
    process = start_publisher(tmp_path, "stream:forecast", 30_000)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.03)
    process.kill()
    process.communicate()
    with entered(context_for(tmp_path)):
        made = publish(rows_for(30_000), "stream:forecast", key="key")
        assert publish(rows_for(30_000), "stream:forecast", key="key") == made
        with pytest.raises(PermanentError, match="other rows"):
            publish(rows_for(5), "stream:forecast", key="key")
        with pytest.raises(UsageError, match="holds JSON"):
            publish(rows_for(5), "stream:forecast", format="avro")
    found = Stream(tmp_path / ".trikk/streams/main/forecast")
    assert found.end == 30_000
    assert next(found.read()).id == made["first_id"]


PIPELINES = """
import polars as pl
from trikk import pipeline, publish, step

@step
def rows(n: int) -> pl.DataFrame:
    return pl.DataFrame({"sensor": ["a", "b"] * n, "value": [0.5, None] * n})

@pipeline
def nightly(n: int, to: str = "stream:forecast"):
    publish(rows(n), to, key="sensor")
"""


@pytest.fixture
def project(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "city"\n', pipelines=PIPELINES)
    return folder


def test_a_stream_is_listed_and_its_end_printed(project: Folder) -> None:
    assert project.good("tail") == {"streams": []}
    assert project.refused("tail", "forecast")["code"] == "unknown-name"
    project.good("run", "nightly", "-p", "n=8")
    [listed] = project.good("tail")["streams"]
    assert (listed["name"], listed["messages"], listed["publications"]) == ("forecast", 16, 1)
    found = project.good("tail", "forecast", "-n", "2")
    assert (found["end"], [m["offset"] for m in found["messages"]]) == (16, [14, 15])
    assert found["messages"][1]["value"] == {"sensor": "b", "value": None}
    assert found["messages"][1]["headers"]["trikk-run"] == project.good("show", "last")["id"]
    lines = project.trikk("tail", "stream:forecast").out.splitlines()
    assert len(lines) == 10
    assert lines[-1].split()[0] == "15"
    assert project.refused("tail", "../x")["code"] == "usage"


def test_a_replay_publishes_nothing_and_is_identical(project: Folder) -> None:
    project.good("run", "nightly", "-p", "n=2")
    assert project.trikk("replay", "last").code == 0
    assert project.good("tail", "forecast")["end"] == 4


def test_a_run_whose_broker_is_away_says_how_many_wait_and_a_resume_sends_them(project: Folder) -> None:
    text = PIPELINES.replace(
        'publish(rows(n), to, key="sensor")', 'publish(rows(n), "${TO}", key="sensor", **FAST)'
    )
    fast = 'from trikk import Retry\nFAST = {"patience": "100ms", "retry": Retry(2, delay="10ms")}\n'
    project.write(pipelines=fast + text)
    away: dict[str, Any] = {"TO": "kafka://127.0.0.1:9/forecast"}
    done = project.trikk("run", "nightly", "-p", "n=3", **away)
    assert done.code == 1
    shown = project.trikk("show", "last").out
    log = project.good("show", "last", "publish")
    assert log["attempts"] == 2
    assert "the broker is away" in shown
    assert "6 of 6 messages wait" in log["error"]["message"]
    assert "trikk resume" in log["error"]["message"]
    assert project.trikk("resume", "last", TO="stream:forecast").code == 0
    assert project.good("tail", "forecast")["end"] == 6


def test_frames_of_other_libraries_are_published(tmp_path: Path) -> None:
    import pandas as pd

    with entered(context_for(tmp_path)):
        publish(pd.DataFrame({"a": [1, 2]}), "stream:pandas")
        publish(pl.LazyFrame({"a": [1, 2]}), "stream:lazy")
    found = [Stream(tmp_path / ".trikk/streams/main" / name) for name in ("pandas", "lazy")]
    assert [[r.value for r in one.read()] for one in found] == [[{"a": 1}, {"a": 2}]] * 2
