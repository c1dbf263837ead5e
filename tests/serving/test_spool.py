from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from trikk.serving.prediction_log import spool as module
from trikk.serving.prediction_log.spool import Segment, Spool


def test_records_come_back_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path, durable=True)
    for record in (b"one", b"", b"three"):
        spool.append(record, 1)
    assert spool.rows == 3
    segment = spool.cut()
    assert segment is not None
    assert list(segment.records()) == [b"one", b"", b"three"]
    assert spool.cut() is None
    spool.done(segment)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_is_not_whole_ends_the_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path, durable=False)
    spool.append(b"first", 1)
    spool.append(b"second", 1)
    segment = spool.cut()
    assert segment is not None
    whole = segment.path.read_bytes()
    for cut in range(len(whole)):
        segment.path.write_bytes(whole[:cut])
        assert list(segment.records()) == ([b"first"] if cut >= 13 else [])
    segment.path.write_bytes(whole[:-1] + b"X")
    assert list(segment.records()) == [b"first"]


def test_a_live_process_keeps_its_files_and_a_dead_ones_are_taken_over(tmp_path: Path) -> None:
    living = Spool(tmp_path, durable=False)
    living.append(b"mine", 1)
    child = os.fork()
    if not child:
        killed = Spool(tmp_path, durable=False)
        killed.append(b"left", 1)
        os._exit(0)
    os.waitpid(child, 0)
    other = Spool(tmp_path, durable=False)
    (left,) = other.left_over()
    assert list(left.records()) == [b"left"]
    assert living.left_over() == []
    again = other.left_over()
    assert [s.identity for s in again] == [left.identity]
    other.done(left)
    assert not left.path.parent.exists()
    assert [list(s.records()) for s in (living.cut(),) if s is not None] == [[b"mine"]]


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, durable=False)
    spool.append(b"before", 1)

    def half(file: int, data: bytes) -> None:
        os.write(file, data[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", half)
        with pytest.raises(OSError, match="No space"):
            spool.append(b"lost", 1)
    spool.append(b"after", 1)
    segment = spool.cut()
    assert segment is not None
    assert list(segment.records()) == [b"before", b"after"]


def test_a_segments_identity_does_not_depend_on_who_finds_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path, durable=False)
    spool.append(b"x", 1)
    segment = spool.cut()
    assert isinstance(segment, Segment)
    assert [segment] == spool.left_over()
