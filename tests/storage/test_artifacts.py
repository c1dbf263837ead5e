from __future__ import annotations

import enum
import json
import math
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trikk.core.digests import digest_bytes
from trikk.core.errors import ArtifactCorrupt, ArtifactMissing, CodecError, StorageError
from trikk.core.values import JSON
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.local import LocalStore
from trikk.storage.stores.memory_store import MemoryStore


class Colour(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    left: object
    right: object


class Plain:
    def __init__(self, value: object) -> None:
        self.value = value


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(LocalStore(tmp_path / "store"))


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(UTC)).map(lambda moment: moment.replace(fold=0))
    | st.timedeltas()
)
plain = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.just("$"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(plain)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_plain_values_come_back_equal_and_of_their_type(artifacts: Artifacts, value: object) -> None:
    artifact = artifacts.save(value)
    loaded = artifacts.load(artifact)
    assert artifact.codec == "json"
    assert (loaded, repr(loaded)) == (value, repr(value))
    assert Artifact.read(json.loads(json.dumps(artifact.to_json()))) == artifact


@pytest.mark.parametrize(
    "value", [math.inf, -math.inf, 5e-324, 0.1 + 0.2, -0.0, 1e308, Colour.RED, "\ud800", b"", b"x"]
)
def test_awkward_values_come_back_exactly(artifacts: Artifacts, value: object) -> None:
    assert repr(artifacts.load(artifacts.save(value))) == repr(value)


@pytest.mark.parametrize(
    ("value", "summary"),
    [
        (0.31, {"type": "float", "value": 0.31}),
        (None, {"type": "None", "value": None}),
        (True, {"type": "bool", "value": True}),
        ([1, 2], {"type": "list", "length": 2, "value": [1, 2]}),
        ((1,), {"type": "tuple", "length": 1, "value": {"$": "tuple", "v": [1]}}),
        ({"mae": 0.3}, {"type": "dict", "length": 1, "value": {"mae": 0.3}}),
        (date(2020, 3, 26), {"type": "date", "value": {"$": "date", "v": "2020-03-26"}}),
        ("x" * 5000, {"type": "str"}),
        (np.float32(0.5), {"type": "numpy.float32", "value": 0.5}),
        (np.float64(0.5), {"type": "float", "value": 0.5}),
        ([pl.DataFrame({"a": [1]})], {"type": "list", "length": 1}),
    ],
)
def test_the_summary_says_type_length_and_a_short_value(
    artifacts: Artifacts, value: object, summary: dict[str, JSON]
) -> None:
    assert artifacts.save(value).summary == summary


def test_a_frame_names_its_rows_and_columns(artifacts: Artifacts) -> None:
    summary = artifacts.save(pl.DataFrame({"a": [1, 2, 3]})).summary
    assert summary == {"type": "polars.DataFrame", "rows": 3, "columns": {"a": "Int64"}}


def test_equal_values_have_one_object(artifacts: Artifacts) -> None:
    first, again = artifacts.save([1, 2]), artifacts.save([1, 2])
    assert first == again
    assert len(list(artifacts.store.list())) == 1


@pytest.mark.parametrize(
    "value",
    [np.arange(6).reshape(2, 3), np.array("2020-01-01", "M8[D]"), np.zeros((0, 3)), np.int64(7), np.bool(True)],
)
def test_arrays_and_their_scalars_come_back(artifacts: Artifacts, value: Any) -> None:
    artifact = artifacts.save(value)
    loaded = artifacts.load(artifact)
    assert artifact.codec == "numpy"
    assert type(loaded) is type(value)
    assert loaded.dtype == value.dtype
    np.testing.assert_array_equal(loaded, value)


def test_a_loaded_array_may_be_changed_without_changing_what_is_stored(artifacts: Artifacts) -> None:
    artifact = artifacts.save(np.arange(3))
    artifacts.load(artifact)[0] = 9
    assert artifacts.load(artifact)[0] == 0


def test_an_array_of_objects_is_refused_with_a_way_out(artifacts: Artifacts) -> None:
    with pytest.raises(CodecError) as caught:
        artifacts.save(np.array([object()]))
    assert "astype" in str(caught.value.next)


def test_containers_come_back_with_everything_in_them(artifacts: Artifacts) -> None:
    frame = pl.DataFrame({"a": [1, 2]})
    value = {"frame": frame, "parts": [np.arange(2), (frame, 0.5)], 3: None, date(2020, 1, 1): Pair(frame, "x")}
    artifact = artifacts.save(value)
    loaded = artifacts.load(artifact)
    assert list(loaded) == list(value)
    assert loaded["frame"].equals(frame)
    assert loaded["parts"][1][0].equals(frame)
    assert isinstance(loaded["parts"][1], tuple)
    assert loaded[date(2020, 1, 1)][1] == "x"
    assert artifact.codec == "dict"
    assert artifact.size >= sum(each.size for each in artifacts.children(artifact) if each.codec != "list")
    assert {each.codec for each in artifacts.children(artifact)} == {"arrow", "list", "numpy", "tuple", "json"}


def test_the_annotation_of_a_container_reaches_its_items(artifacts: Artifacts) -> None:
    frame = pl.DataFrame({"a": [1]})
    assert isinstance(artifacts.load(artifacts.save([frame]), list[pl.LazyFrame])[0], pl.LazyFrame)
    assert isinstance(artifacts.load(artifacts.save({"a": frame}), dict[str, pl.LazyFrame])["a"], pl.LazyFrame)
    first, second = artifacts.load(artifacts.save((frame, frame)), tuple[pl.LazyFrame, pl.DataFrame])
    assert (type(first), type(second)) == (pl.LazyFrame, pl.DataFrame)


@pytest.mark.parametrize("value", [[1, "x"], (1, "x"), [pl.DataFrame({"a": [1]}), "x"], (np.arange(2), "x")])
def test_one_item_is_taken_without_loading_the_others(artifacts: Artifacts, value: Any) -> None:
    artifact = artifacts.save(value)
    assert artifact.summary["length"] == 2
    assert artifacts.load(artifacts.item(artifact, 1)) == "x"
    assert artifacts.item(artifact, 0) == artifacts.save(value[0])
    for wrong in (2, -1, "x"):
        with pytest.raises(CodecError):
            artifacts.item(artifact, wrong)


@pytest.mark.parametrize("value", [{"a": 1, "$": 2}, {"a": np.arange(2), "$": 2}])
def test_an_item_of_a_dict_is_taken_by_its_key(artifacts: Artifacts, value: dict[str, object]) -> None:
    artifact = artifacts.save(value)
    assert artifacts.load(artifacts.item(artifact, "$")) == 2
    with pytest.raises(CodecError, match="missing"):
        artifacts.item(artifact, "missing")


def test_a_number_has_no_items(artifacts: Artifacts) -> None:
    for value in (1, np.arange(3), date(2020, 1, 1)):
        with pytest.raises(CodecError):
            artifacts.item(artifacts.save(value), 0)


def test_stored_artifacts_are_collected_into_a_list(artifacts: Artifacts) -> None:
    parts = [artifacts.save(pl.DataFrame({"a": [n]})) for n in range(3)]
    collected = artifacts.collect(parts)
    assert collected.summary == {"type": "list", "length": 3}
    assert list(artifacts.children(collected)) == parts
    assert [frame["a"][0] for frame in artifacts.load(collected)] == [0, 1, 2]
    assert artifacts.load(artifacts.collect([])) == []


def test_a_list_that_contains_itself_is_refused(artifacts: Artifacts) -> None:
    value: list[Any] = [pl.DataFrame()]
    value.append(value)
    with pytest.raises(CodecError, match="contains itself"):
        artifacts.save(value)


def test_a_file_comes_back_as_a_private_copy_under_its_name(artifacts: Artifacts, tmp_path: Path) -> None:
    source = tmp_path / "report.html"
    source.write_text("<p>one</p>")
    artifact = artifacts.save(source)
    copy = artifacts.load(artifact, Path)
    assert (copy.name, copy.read_text()) == ("report.html", "<p>one</p>")
    copy.write_text("changed")
    assert artifacts.load(artifact).read_text() == "<p>one</p>"
    assert source.exists()


def test_a_folder_comes_back_whole(artifacts: Artifacts, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "er" / "b.bin").write_bytes(b"\0")
    copy = artifacts.load(artifacts.save(folder))
    assert copy.name == "model"
    assert sorted(p.relative_to(copy).as_posix() for p in copy.rglob("*") if p.is_file()) == [
        "a.txt",
        "deep/er/b.bin",
    ]
    (copy / "a.txt").write_text("changed")
    artifacts.verify(artifacts.save(folder))


def test_links_in_a_folder_are_refused(artifacts: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "link").symlink_to("/etc")
    with pytest.raises(CodecError, match="link"):
        artifacts.save(tmp_path / "f")


def test_a_path_to_nothing_is_refused(artifacts: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(CodecError, match="there is no file"):
        artifacts.save(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", ".", "a//b", "a\0b", "..", "./a", 7])
def test_a_hostile_name_in_a_folder_never_becomes_a_path(
    artifacts: Artifacts, tmp_path: Path, name: object
) -> None:
    child = artifacts.save(b"data")
    data = json.dumps({"kind": "folder", "keys": [name], "children": [child.to_json()]}).encode()
    source = artifacts.store.workspace() / "manifest"
    source.write_bytes(data)
    artifacts.store.add(source, digest_bytes(data))
    hostile = Artifact(digest_bytes(data), "folder", len(data), {"type": "pathlib.Path", "name": "f"})
    with pytest.raises(StorageError, match="path inside a folder"):
        artifacts.load(hostile)
    with pytest.raises(StorageError):
        artifacts.load(Artifact(child.digest, "file", 4, {"type": "pathlib.Path", "name": name}))  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "data", [{}, None, [], {"digest": "../../x", "codec": "json", "size": 1, "summary": {}}, {"digest": "a" * 64}]
)
def test_what_is_no_artifact_is_not_read_as_one(data: Any) -> None:
    with pytest.raises(StorageError):
        Artifact.read(data)


def test_missing_and_damaged_children_are_found(artifacts: Artifacts) -> None:
    artifact = artifacts.save([np.arange(3), np.arange(4)])
    artifacts.verify(artifact)
    child = next(artifacts.children(artifact))
    path = artifacts.store.fetch(child.digest)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    for look in (artifacts.verify, artifacts.load):
        with pytest.raises(ArtifactCorrupt):
            look(artifact)
    artifacts.store.delete(child.digest)
    for look in (artifacts.verify, artifacts.load):
        with pytest.raises(ArtifactMissing):
            look(artifact)


def test_a_preview_shows_the_head_of_each_kind(artifacts: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("one\ntwo\nthree")
    frame = pl.DataFrame({"a": [1, 2], "d": [date(2020, 1, 1), None]})
    assert artifacts.preview(artifacts.save(frame), 1)["head"] == [{"a": 1, "d": "2020-01-01"}]
    assert artifacts.preview(artifacts.save(list(range(9))), 2)["head"] == [0, 1]
    assert artifacts.preview(artifacts.save(tmp_path / "t.txt"), 2)["head"] == ["one", "two"]
    assert artifacts.preview(artifacts.save(Plain(1)))["head"] is None
    assert artifacts.preview(artifacts.save(np.arange(9)), 2)["head"] == ["0", "1"]
    assert artifacts.preview(artifacts.save(0.5))["head"] == 0.5
    [item] = artifacts.preview(artifacts.save([frame]))["head"]  # type: ignore[misc, union-attr]
    assert item["rows"] == 2  # type: ignore[index, call-overload]


def test_other_objects_are_pickled_and_stamped(artifacts: Artifacts) -> None:
    artifact = artifacts.save(Plain([1, {2}]))
    assert artifact.codec == "pickle"
    assert artifacts.load(artifact).value == [1, {2}]
    packages: Any = artifact.summary["packages"]
    assert packages["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert "trikk" in packages


def test_a_pickle_of_another_python_is_refused_and_of_another_package_warned_of(artifacts: Artifacts) -> None:
    artifact = artifacts.save(Plain(1))
    original = artifacts.store.fetch(artifact.digest).read_bytes()

    def changed(old: str, new: str) -> Artifact:
        data = original.replace(old.encode(), new.encode(), 1)
        assert data != original
        source = artifacts.store.workspace() / "changed"
        source.write_bytes(data)
        artifacts.store.add(source, digest_bytes(data))
        return Artifact(digest_bytes(data), "pickle", len(data), artifact.summary)

    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(CodecError, match=r"Python 3\.1, this is"):
        artifacts.load(changed(f'"python": "{minor}"', '"python": "3.1"'))
    with pytest.warns(UserWarning, match=r"trikk 77\.0"):
        artifacts.load(changed('"trikk": "', '"trikk": "77.'))


def test_what_can_not_be_pickled_is_refused_with_its_type_and_the_ways_out(artifacts: Artifacts) -> None:
    with pytest.raises(CodecError, match="function") as caught:
        artifacts.save(lambda: 1)
    assert "codec" in str(caught.value.next)
    with pytest.raises(CodecError):
        artifacts.save([np.arange(2), (n for n in range(3))])
    assert list(artifacts.store.workspace().iterdir()) == []


class PlainCodec:
    name = "plain"
    suffix = ".txt"

    def accepts(self, value: object) -> bool:
        return isinstance(value, Plain)

    def dump(self, value: Any, path: Path) -> dict[str, JSON]:
        path.write_text(str(value.value))
        return {"type": "Plain"}

    def load(self, path: Path, want: object, summary: dict[str, JSON]) -> Any:
        return Plain(int(path.read_text()))

    def head(self, path: Path, rows: int) -> JSON | None:
        return path.read_text()


def test_a_projects_own_codec_is_asked_first_inside_containers_too(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    artifacts = Artifacts(store, [PlainCodec()])
    artifact = artifacts.save([Plain(7), 1])
    assert [child.codec for child in artifacts.children(artifact)] == ["plain", "json"]
    assert artifacts.load(artifact)[0].value == 7
    with pytest.raises(CodecError, match="'plain'"):
        Artifacts(store).load(artifact)
    with pytest.raises(CodecError, match="number"):
        artifacts.load(artifacts.save(Plain("number")))


@pytest.mark.parametrize("name", ["json", "list", "folder", "pickle"])
def test_a_codec_with_a_name_of_trikk_is_refused(name: str) -> None:
    codec = PlainCodec()
    codec.name = name
    with pytest.raises(CodecError, match=name):
        Artifacts(MemoryStore(), [codec])


def test_saving_plain_data_imports_no_heavy_library() -> None:
    code = (
        "import sys, pathlib, tempfile\n"
        "from trikk.storage.artifacts import Artifacts\n"
        "from trikk.storage.stores.local import LocalStore\n"
        "artifacts = Artifacts(LocalStore(tempfile.mkdtemp()))\n"
        "for value in (1, {'a': [1.5]}, b'x', {1, 2}): artifacts.load(artifacts.save(value))\n"
        "heavy = {'polars', 'pandas', 'numpy', 'pyarrow', 'lightgbm', 'sklearn', 'deltalake', 'obstore'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pickles_are_the_same_in_every_process_with_one_hash_seed(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from fractions import Fraction\n"
        "from collections import OrderedDict, Counter\n"
        "from trikk.storage.artifacts import Artifacts\n"
        "from trikk.storage.stores.memory_store import MemoryStore\n"
        "value = [{'a', 'b', 'c', 'd'}, OrderedDict(x=Fraction(1, 3)), Counter('hello')]\n"
        "print(Artifacts(MemoryStore()).save(value).digest)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
        ).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


def test_a_moment_keeps_its_time_zone(artifacts: Artifacts) -> None:
    value = datetime(2020, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Oslo"), fold=1)
    loaded = artifacts.load(artifacts.save(value))
    assert (loaded, loaded.tzinfo, loaded.fold) == (value, value.tzinfo, 1)


def test_dates_and_spans_keep_their_kind_inside_containers(artifacts: Artifacts) -> None:
    value = (datetime(2020, 3, 26, 4, tzinfo=UTC), timedelta(days=-1, microseconds=1), Pair(1, 2))
    assert artifacts.load(artifacts.save(value)) == value


def test_a_frame_that_polars_can_not_write_is_refused_by_name(artifacts: Artifacts) -> None:
    with pytest.raises(CodecError, match=r"polars\.DataFrame"):
        artifacts.save(pl.DataFrame({"s": [{}]}))
    with pytest.raises(CodecError, match=r"polars\.LazyFrame.*missing"):
        artifacts.save(pl.LazyFrame({"a": [1]}).select("missing"))
    assert list(artifacts.store.workspace().iterdir()) == []
