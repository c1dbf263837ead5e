"""What trikk.toml may say of streams, and what is refused with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from trikk.core.errors import ProjectError
from trikk.core.settings import load_settings
from trikk.streams.stream_declaration import Stream, declared_streams


def declared(folder: Path, text: str) -> dict[str, Stream]:
    (folder / "trikk.toml").write_text(f'name = "plant"\n{text}')
    return declared_streams(load_settings(folder))


def test_a_section_is_read_with_its_defaults(tmp_path: Path) -> None:
    text = """
[streams.readings]
from = "mqtt://user:${PASSWORD}@broker/plant/+/readings"
table = "readings"
key = ["sensor", "at"]
topic = "place"
types = { value = "Float64" }
every = "500ms"
expected = "5m"
[streams.files]
from = "inbox/*.jsonl"
table = "readings"
"""
    streams = declared(tmp_path, text)
    assert streams["readings"] == Stream(
        name="readings",
        source="mqtt://user:${PASSWORD}@broker/plant/+/readings",
        table="readings",
        key=("sensor", "at"),
        topic="place",
        types={"value": "Float64"},
        every=0.5,
        expected=300.0,
    )
    assert streams["files"].is_files
    assert not streams["readings"].is_files


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ('table = "t"', "has no 'from'"),
        ('from = "in/*.jsonl"', "has no 'table'"),
        ('from = "in/*.jsonl"\ntable = "t"\nkeys = ["a"]', "has no 'keys'"),
        ('from = "amqp://host/queue"\ntable = "t"', "broker's address"),
        ('from = "s3://bucket/in/*.jsonl"\ntable = "t"', "broker's address"),
        ('from = "kafka://host"\ntable = "t"', "names no topic"),
        ('from = "kafka://host/t"\ntable = "a/b"', "can't name a table"),
        ('from = "kafka://host/t"\ntable = "t"\nkey = []', "names no columns"),
        ('from = "kafka://host/t"\ntable = "t"\ntypes = { a = "Text" }', "is not known"),
        ('from = "kafka://host/t"\ntable = "t"\nevery = "1h"', "longer than ten minutes"),
        ('from = "kafka://host/t"\ntable = "t"\nrows = 0', "rows = 0"),
        ('from = "kafka://host/t"\ntable = "t"\nnew_columns = 1', "new_columns = 1"),
        ('from = "kafka://host/t"\ntable = "t"\nexpected = "soon"', "not a length of time"),
        ('from = "kafka://host/t"\ntable = "t"\n[streams.b]\nfrom = "kafka://host/t"\ntable = "t"', "two streams"),
    ],
)
def test_what_can_not_work_is_refused_before_anything_is_read(tmp_path: Path, lines: str, what: str) -> None:
    with pytest.raises(ProjectError, match=what) as caught:
        declared(tmp_path, f"[streams.readings]\n{lines}\n")
    assert "trikk.toml" in str(caught.value.where)
    assert caught.value.next


def test_a_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="holds a password") as caught:
        declared(tmp_path, '[streams.readings]\nfrom = "kafka://me:hunter2@host/t"\ntable = "t"\n')
    assert "hunter2" not in str(caught.value)
