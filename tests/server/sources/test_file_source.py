"""Files of a real folder and objects of a real bucket, over restarts and by several servers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.servers.s3 import S3Server

from trikk.core.errors import StorageError
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.server.sources.files import file_source
from trikk.server.sources.files.bucket_place import BucketPlace
from trikk.server.sources.files.file_source import FileSource
from trikk.server.sources.files.folder_place import FolderPlace
from trikk.server.sources.source_memory import Memory
from trikk.testing import ManualClock


class Server:
    """One server's look at one place: what it gives is settled at once, as if its run had been started."""

    def __init__(self, place: Any, journal: MemoryJournal, adoption: str = "1") -> None:
        self.clock = ManualClock()
        self.source = FileSource("t", place, Memory(journal, "t", adoption), self.clock, settle=3)
        self.source.look()

    def arrivals(self, *, settle: bool = True) -> list[str]:
        """The paths of what has arrived after a look and another some seconds later."""
        self.source.look()
        self.clock.advance(4)
        events = self.source.look()
        if settle and events:
            self.source.settle(events)
        return [event.path for event in events]


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def folder(tmp_path: Path, pattern: str = "inbox/*.csv") -> FolderPlace:
    return FolderPlace(tmp_path, pattern)


def test_only_what_comes_after_the_adoption_arrives_over_restarts(tmp_path: Path, inbox: Path) -> None:
    journal = MemoryJournal()
    (inbox / "old.csv").write_text("1")
    first = Server(folder(tmp_path), journal)
    assert first.arrivals() == []
    (inbox / "new.csv").write_text("1")
    assert first.arrivals() == ["inbox/new.csv"]
    (inbox / "while away.csv").write_text("1")
    second = Server(folder(tmp_path), journal)
    assert second.arrivals() == ["inbox/while away.csv"]
    (inbox / "old.csv").write_text("12")
    assert second.arrivals() == ["inbox/old.csv"]
    assert Server(folder(tmp_path), journal).arrivals() == []


def test_where_no_folder_is_at_the_adoption_its_first_file_is_new(tmp_path: Path) -> None:
    journal = MemoryJournal()
    source = FileSource("t", folder(tmp_path), Memory(journal, "t", "1"), ManualClock())
    with pytest.raises(StorageError, match="No such file"):
        source.look()
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "first.csv").write_text("1")
    assert Server(folder(tmp_path), journal).arrivals() == ["inbox/first.csv"]


def test_a_trigger_that_is_declared_anew_begins_with_what_is_there(tmp_path: Path, inbox: Path) -> None:
    journal = MemoryJournal()
    Server(folder(tmp_path), journal)
    (inbox / "a.csv").write_text("1")
    again = Server(folder(tmp_path), journal, adoption="2")
    assert again.arrivals() == []
    (inbox / "b.csv").write_text("1")
    assert again.arrivals() == ["inbox/b.csv"]


def test_what_was_not_settled_is_given_by_the_next_server_with_the_same_identity(
    tmp_path: Path, inbox: Path
) -> None:
    journal = MemoryJournal()
    killed = Server(folder(tmp_path), journal)
    (inbox / "a.csv").write_text("1")
    killed.clock.advance(1)
    killed.arrivals(settle=False)
    [before] = killed.source.look()
    following = Server(folder(tmp_path), journal)
    following.arrivals(settle=False)
    [after] = following.source.look()
    assert (before.id, before.path, before.size) == (after.id, after.path, after.size)


def test_several_servers_remember_together(tmp_path: Path, inbox: Path) -> None:
    journal = MemoryJournal()
    servers = [Server(folder(tmp_path), journal) for _ in range(3)]
    for number in range(30):
        (inbox / f"{number}.csv").write_text("1")
        servers[number % 3].arrivals()
    assert Server(folder(tmp_path), journal).arrivals() == []


def test_a_start_reads_little_however_much_has_arrived(
    tmp_path: Path, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_source, "_ENTRIES", 5)
    journal = MemoryJournal()
    server = Server(folder(tmp_path), journal)
    for number in range(40):
        (inbox / f"{number}.csv").write_text("1")
        assert server.arrivals() == [f"inbox/{number}.csv"]
    read: list[int] = []
    entries = journal.entries
    monkeypatch.setattr(
        journal,
        "entries",
        lambda *a, **k: [read.append(len(all_ := entries(*a, **k))), all_][1],  # type: ignore[func-returns-value]
    )
    assert Server(folder(tmp_path), journal).arrivals() == []
    assert read
    assert max(read) <= 7


def test_thousands_arrive_in_parts_and_each_once(tmp_path: Path, inbox: Path) -> None:
    server = Server(folder(tmp_path), MemoryJournal())
    for number in range(1200):
        (inbox / f"{number:04d}.csv").write_text("")
    parts = [server.arrivals() for _ in range(4)]
    assert [len(part) for part in parts] == [500, 500, 200, 0]
    assert len({path for part in parts for path in part}) == 1200


def test_a_folder_that_is_away_says_so_and_nothing_is_lost(tmp_path: Path, inbox: Path) -> None:
    (inbox / "old.csv").write_text("1")
    server = Server(folder(tmp_path), MemoryJournal())
    inbox.rename(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="can't be read") as away:
        server.source.look()
    assert away.value.next
    inbox.mkdir()  # the mount point, on which nothing is mounted
    assert server.arrivals() == []
    inbox.rmdir()
    (tmp_path / "elsewhere").rename(inbox)
    (inbox / "new.csv").write_text("1")
    assert server.arrivals() == ["inbox/new.csv"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("inbox/*.csv", ["a.csv"]),
        ("inbox/a.csv", ["a.csv"]),
        ("inbox/**/*.csv", ["a.csv", "x/b.csv", "x/y/c.csv"]),
        ("inbox/*/*.csv", ["x/b.csv"]),
        ("inbox/.p*", [".part"]),
    ],
)
def test_patterns_mean_files_of_the_folders_that_they_name(
    tmp_path: Path, inbox: Path, pattern: str, names: list[str]
) -> None:
    server = Server(folder(tmp_path, pattern), MemoryJournal())
    (inbox / "x/y").mkdir(parents=True)
    for name in ("a.csv", "x/b.csv", "x/y/c.csv", ".part", ".hidden.csv", "a.txt"):
        (inbox / name).write_text("1")
    assert server.arrivals() == [f"inbox/{name}" for name in names]


def test_links_and_what_is_no_file_never_arrive(tmp_path: Path, inbox: Path) -> None:
    server = Server(folder(tmp_path, "inbox/**/*.csv"), MemoryJournal())
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "keys.csv").write_text("1")
    (inbox / "link.csv").symlink_to(secret / "keys.csv")
    (inbox / "folder").symlink_to(secret)
    os.mkfifo(inbox / "pipe.csv")
    (inbox / "dir.csv").mkdir()
    assert server.arrivals() == []
    assert server.source.set_aside == (1, "inbox/link.csv is a link, and links are not followed")


@pytest.mark.parametrize("name", ["a b.csv", "å.csv", "-rf.csv", "a\nb.csv", "$(x).csv", "a\x1b[2J.csv"])
def test_odd_names_arrive_and_steer_nothing(tmp_path: Path, inbox: Path, name: str) -> None:
    server = Server(folder(tmp_path), MemoryJournal())
    (inbox / name).write_text("1")
    assert server.arrivals(settle=False) == [f"inbox/{name}"]
    [event] = server.source.look()
    assert event.id.isprintable()


def test_a_name_that_is_not_utf8_arrives_and_is_remembered(tmp_path: Path, inbox: Path) -> None:
    journal = MemoryJournal()
    server = Server(folder(tmp_path), journal)
    path = os.fsencode(inbox) + b"/\xff.csv"
    with open(path, "w"):  # noqa: PTH123 - pathlib takes no bytes
        pass
    [name] = server.arrivals()
    assert os.fsencode(tmp_path / name) == path
    assert Server(folder(tmp_path), journal).arrivals() == []


def test_an_absolute_pattern_gives_absolute_paths(tmp_path: Path, inbox: Path) -> None:
    server = Server(FolderPlace(Path("/nowhere"), f"{inbox}/*.csv"), MemoryJournal())
    (inbox / "a.csv").write_text("1")
    assert server.arrivals() == [str(inbox / "a.csv")]


# ---- objects


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str]:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return s3_server.client(), s3_server.new_bucket()


def test_objects_arrive_once_and_again_when_put_again(bucket: tuple[Any, str]) -> None:
    client, name = bucket
    journal = MemoryJournal()
    client.put_object(Bucket=name, Key="in/old.csv", Body=b"1")
    server = Server(BucketPlace(f"s3://{name}/in/*.csv"), journal)
    client.put_object(Bucket=name, Key="in/new.csv", Body=b"1")
    client.put_object(Bucket=name, Key="in/other.txt", Body=b"1")
    client.put_object(Bucket=name, Key="in/deeper/new.csv", Body=b"1")
    assert server.arrivals() == [f"s3://{name}/in/new.csv"]
    assert server.arrivals() == []
    client.put_object(Bucket=name, Key="in/new.csv", Body=b"12")
    following = Server(BucketPlace(f"s3://{name}/in/*.csv"), journal)
    assert following.arrivals() == [f"s3://{name}/in/new.csv"]


def test_a_prefix_with_a_star_means_the_keys_that_begin_so(bucket: tuple[Any, str]) -> None:
    client, name = bucket
    server = Server(BucketPlace(f"s3://{name}/day-*"), MemoryJournal())
    for key in ("day-1", "day-2.csv", "night-1"):
        client.put_object(Bucket=name, Key=key, Body=b"1")
    assert server.arrivals() == [f"s3://{name}/day-1", f"s3://{name}/day-2.csv"]


def test_a_bucket_that_is_away_says_so_without_the_servers_words(
    bucket: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, name = bucket
    with pytest.raises(StorageError, match="can't be read") as away:
        BucketPlace(f"s3://{name}-gone/in/*").list()
    assert "http" not in str(away.value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StorageError, match="refused or did not answer"):
        BucketPlace(f"s3://{name}/in/*").list()


def test_removing_what_had_its_run_and_writing_it_anew_is_an_arrival(tmp_path: Path, inbox: Path) -> None:
    server = Server(folder(tmp_path), MemoryJournal())
    (inbox / "_SUCCESS.csv").touch()
    assert len(server.arrivals()) == 1
    shutil.rmtree(inbox)
    inbox.mkdir()
    (inbox / "_SUCCESS.csv").touch()
    assert len(server.arrivals()) == 1
