from __future__ import annotations

import math
import pickle
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core import errors
from trikk.core.clock import iso
from trikk.core.digests import digest_bytes, digest_file, digest_json, is_digest
from trikk.core.durations import bytes_of, exactly, seconds, show_bytes, show_seconds
from trikk.core.errors import ProjectError, TrikkError, UnknownName, UsageError
from trikk.core.names import RUN_ID_LENGTH, check_name, new_run_id
from trikk.core.settings import find_project, load_settings

HOSTILE = [
    "",
    "../x",
    "a/b",
    "a\0b",
    "x" * 101,
    "x" * 300,
    "1x",
    "-x",
    "a b",
    "é",
    "a\n",
    ".hidden",
    "a.b",
    None,
    7,
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_are_refused_and_shown_short(name: object) -> None:
    with pytest.raises(UsageError) as error:
        check_name("table", name, where="file.py:3")
    assert error.value.where == "file.py:3"
    assert len(error.value.what) < 120
    assert "\0" not in error.value.what


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,99}", fullmatch=True))
def test_plain_names_are_taken_as_they_are(name: str) -> None:
    assert check_name("step", name) == name


def test_run_ids_are_names_and_differ() -> None:
    ids = {new_run_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(len(check_name("run", one)) == RUN_ID_LENGTH and one == one.lower() for one in ids)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("250ms", 0.25), ("10s", 10), ("5m", 300), ("2h", 7200), ("1d", 86400), (" 1.5 H ", 5400), (3, 3), (0, 0)],
)
def test_durations_as_people_write_them(text: str | int, wanted: float) -> None:
    assert seconds(text) == pytest.approx(wanted)


def test_a_timedelta_is_a_duration() -> None:
    assert seconds(timedelta(minutes=2)) == 120


@pytest.mark.parametrize("value", ["", "10", "s", "-1s", "1 year", -1, math.inf, math.nan, True, None, "1e3s"])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="is not a length of time"):
        seconds(value, what="timeout")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "wanted"), [("512MB", 512_000_000), ("4GiB", 4 << 30), (17, 17), ("1.5kb", 1500)]
)
def test_sizes_as_people_write_them(text: str | int, wanted: int) -> None:
    assert bytes_of(text) == wanted


@pytest.mark.parametrize("value", ["", "10", "-1MB", -1, True, "1 XB", 1.5])
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(UsageError):
        bytes_of(value)  # type: ignore[arg-type]


def test_durations_and_sizes_are_shown_for_people() -> None:
    assert [show_seconds(s) for s in (0.042, 3.14, 245, 7800)] == ["42 ms", "3.1 s", "4 min 05 s", "2 h 10 min"]
    assert [exactly(s) for s in (1.5, 5, 60, 90, 5400, 86400, 172800)] == [
        "1.5 s",
        "5 s",
        "1 min",
        "90 s",
        "90 min",
        "24 h",
        "2 days",
    ]
    assert [show_bytes(b) for b in (812, 56_100_000, 3e12)] == ["812 B", "56.1 MB", "3.0 TB"]
    assert iso(0) == "1970-01-01T00:00:00.000Z"


@given(st.binary(max_size=200))
def test_a_file_has_the_digest_of_its_bytes(data: bytes) -> None:
    assert is_digest(digest_bytes(data))
    assert digest_bytes(data) == digest_bytes(bytearray(data))


def test_large_files_have_the_digest_of_their_bytes(tmp_path: Path) -> None:
    for size in (0, 1, 1 << 16, (1 << 16) + 1):
        data = bytes(i % 251 for i in range(size))
        (tmp_path / "f").write_bytes(data)
        assert digest_file(tmp_path / "f") == digest_bytes(data)
    assert digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})
    assert not is_digest("../" + "a" * 61)


def test_an_error_says_what_where_and_what_next() -> None:
    error = TrikkError("it broke", where="a.py:1", next="mend it")
    assert str(error) == "it broke\n  at:   a.py:1\n  next: mend it"
    assert error.to_json() == {"code": "error", "what": "it broke", "where": "a.py:1", "next": "mend it"}
    assert str(TrikkError("it broke")) == "it broke"


def test_every_kind_of_error_has_a_code_of_its_own() -> None:
    found = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, TrikkError)]
    assert len({e.code for e in found}) == len(found)
    assert all(e.exit_code == (2 if issubclass(e, UsageError) else 1) for e in found)


def test_an_unknown_name_offers_what_is_close() -> None:
    assert UnknownName("pipeline", "nighly", ["nightly", "other"]).next == "did you mean nightly?"
    assert UnknownName("pipeline", "zzz", ["nightly"]).next == "there are: nightly"
    assert UnknownName("trigger", "zzz", []).next == 'declare one: @pipeline(triggers=[Cron("0 4 * * *")])'
    assert UnknownName("parameter", "zzz", []).next == "there is no parameter yet"


def test_errors_can_be_pickled() -> None:
    for error in (TrikkError("a", where="b", next="c"), UsageError("a")):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def project(folder: Path, text: str) -> Path:
    (folder / "trikk.toml").write_text(text)
    return folder


def test_a_project_is_found_from_below(tmp_path: Path) -> None:
    project(tmp_path, 'name = "city"')
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_project(tmp_path / "a" / "b") == tmp_path
    settings = load_settings(tmp_path)
    assert (settings.name, settings.pipelines) == ("city", ("pipelines",))
    assert settings.location("artifacts") == str(tmp_path / ".trikk" / "artifacts")


def test_no_project_is_an_error_with_a_way_on(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is not in a trikk project"):
        find_project(tmp_path)
    with pytest.raises(ProjectError):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "name = ",
        'nome = "x"',
        "name = 3",
        'pipelines = "pipelines"',
        "pipelines = [1]",
        'isolation = "docker"',
        "max_parallel = 0",
        "max_parallel = true",
        'log_limit = "much"',
        "log_limit = true",
        "storage = 3",
        "[storage]\nartifact = 'x'",
        "[storage]\nartifacts = 3",
        "[storage]\nkeep = 90",
        "[storage]\nkeep = 'long'",
        'name = "a\\u0000b"',
    ],
)
def test_a_wrong_setting_is_refused_with_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as error:
        load_settings(project(tmp_path, text))
    assert error.value.where == str(tmp_path / "trikk.toml")


def test_secrets_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(project(tmp_path, '[storage]\njournal = "postgresql://u:${PW_OF_TEST}@h/d"'))
    monkeypatch.delenv("PW_OF_TEST", raising=False)
    with pytest.raises(ProjectError, match="PW_OF_TEST"):
        settings.location("journal")
    monkeypatch.setenv("PW_OF_TEST", "s3cret")
    assert settings.location("journal") == "postgresql://u:s3cret@h/d"
    assert "s3cret" not in repr(settings)
