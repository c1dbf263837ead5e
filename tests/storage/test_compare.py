from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.storage.artifact_compare import compare
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.memory_store import MemoryStore
from trikk.storage.value_compare import Difference


@pytest.fixture(scope="module")
def artifacts() -> Artifacts:
    return Artifacts(MemoryStore())


def difference(artifacts: Artifacts, a: object, b: object, **options: float) -> Difference:
    return compare(artifacts, artifacts.save(a), artifacts.save(b), **options)


FRAME = pl.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "load": [0.1, 0.2, None, math.nan],
        "name": ["a", "b", None, "d"],
        "tags": [["x"], [], None, ["y"]],
    }
)


def test_the_same_frame_is_identical(artifacts: Artifacts) -> None:
    assert difference(artifacts, FRAME, FRAME.clone()).verdict == "identical"
    assert difference(artifacts, FRAME, FRAME.to_arrow()).verdict == "identical"


def test_rows_in_another_order_are_reordered(artifacts: Artifacts) -> None:
    found = difference(artifacts, FRAME, FRAME.reverse())
    assert found.verdict == "reordered"
    assert found.facts["rows"] == [4, 4]
    twice = pl.DataFrame({"a": [1, 1, 2]})
    assert difference(artifacts, twice, pl.DataFrame({"a": [1, 2, 2]})).verdict == "different"


def test_rounding_is_close_and_measured(artifacts: Artifacts) -> None:
    rounded = FRAME.with_columns(load=pl.col("load") * (1 + 1e-9))
    found = difference(artifacts, FRAME, rounded)
    assert found.verdict == "close"
    assert found.facts["largest_relative"] == pytest.approx(1e-9, rel=1e-3)
    assert found.facts["largest_absolute"] == pytest.approx(2e-10, rel=1e-3)
    assert difference(artifacts, FRAME, rounded, rtol=1e-10).verdict == "different"


def test_rounding_in_another_order_is_close_and_says_so(artifacts: Artifacts) -> None:
    found = difference(artifacts, FRAME, FRAME.with_columns(load=pl.col("load") * (1 + 1e-9)).reverse())
    assert found.verdict == "close"
    assert "another order" in found.detail


def test_integers_are_never_close(artifacts: Artifacts) -> None:
    a, b = pl.DataFrame({"id": [10_000_000_001]}), pl.DataFrame({"id": [10_000_000_002]})
    assert difference(artifacts, a, b).verdict == "different"
    assert difference(artifacts, {"id": 10_000_000_001}, {"id": 10_000_000_002}).verdict == "different"


def test_differing_rows_are_shown_with_both_values(artifacts: Artifacts) -> None:
    changed = FRAME.with_columns(
        load=pl.Series([0.1, 0.5, None, None]), name=pl.Series(["a", "b", "new", "d"]), tags=FRAME["tags"]
    )
    found = difference(artifacts, FRAME, changed)
    assert found.verdict == "different"
    assert found.facts["differing_rows"] == 3
    rows: Any = found.facts["first"]
    assert [row["row"] for row in rows] == [1, 2, 3]
    assert rows[0]["columns"] == {"load": [0.2, 0.5]}
    assert rows[1]["columns"] == {"name": [None, "new"]}


def test_a_differing_list_column_is_found(artifacts: Artifacts) -> None:
    found = difference(artifacts, FRAME, FRAME.with_columns(tags=pl.Series([["x"], [], None, ["z"]])))
    assert found.verdict == "different"
    assert found.facts["differing_rows"] == 1


def test_at_most_five_rows_are_shown(artifacts: Artifacts) -> None:
    found = difference(artifacts, pl.DataFrame({"n": range(100)}), pl.DataFrame({"n": range(1, 101)}))
    assert found.facts["differing_rows"] == 100
    assert len(found.facts["first"]) == 5  # type: ignore[arg-type]


def test_other_row_counts_are_named(artifacts: Artifacts) -> None:
    found = difference(artifacts, FRAME, FRAME.head(3))
    assert (found.verdict, found.facts["rows"]) == ("different", [4, 3])
    assert difference(artifacts, FRAME, FRAME.clear()).verdict == "different"


def test_a_schema_difference_is_named(artifacts: Artifacts) -> None:
    found = difference(artifacts, FRAME, FRAME.with_columns(pl.col("id").cast(pl.Int32)).rename({"name": "label"}))
    assert found.verdict == "different"
    assert found.facts["gone"] == ["name"]
    assert found.facts["new"] == ["label"]
    assert found.facts["types"] == {"id": ["Int64", "Int32"]}
    assert difference(artifacts, FRAME, FRAME.select(reversed(FRAME.columns))).verdict == "different"


def test_the_index_of_pandas_counts(artifacts: Artifacts) -> None:
    a, b = pd.DataFrame({"a": [1, 2]}, index=[5, 6]), pd.DataFrame({"a": [1, 2]}, index=[5, 7])
    assert difference(artifacts, a, b).verdict == "different"


@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.floats(allow_nan=True)), min_size=1), st.randoms())
@settings(deadline=None, max_examples=50)
def test_shuffled_rows_are_never_called_different(rows: list[tuple[Any, ...]], random: Any) -> None:
    artifacts = Artifacts(MemoryStore())
    frame = pl.DataFrame(rows, schema={"k": pl.Int64, "v": pl.Float64}, orient="row")
    shuffled = list(rows)
    random.shuffle(shuffled)
    other = pl.DataFrame(shuffled, schema=frame.schema, orient="row")
    assert difference(artifacts, frame, other).verdict in ("identical", "reordered")


def test_plain_values_are_compared_by_path(artifacts: Artifacts) -> None:
    a = {"score": {"mae": 0.31, "n": 7}, "names": ["x", "y"]}
    found = difference(artifacts, a, {"score": {"mae": 0.31, "n": 8}, "names": ["x", "y"]})
    assert (found.verdict, found.facts["path"]) == ("different", "$.score.n")
    assert difference(artifacts, a, {"names": ["x", "y"], "score": {"n": 7, "mae": 0.31}}).verdict == "identical"
    close = difference(artifacts, a, {"score": {"mae": 0.31 + 1e-9, "n": 7}, "names": ["x", "y"]})
    assert close.verdict == "close"
    assert close.facts["largest_absolute"] == pytest.approx(1e-9, rel=1e-3)
    assert difference(artifacts, ["x", "y"], ["y", "x"]).verdict == "reordered"
    assert difference(artifacts, ["x"], ["x", "y"]).verdict == "different"
    assert difference(artifacts, 1, True).verdict == "different"
    assert difference(artifacts, {"a": 1}, {"b": 1}).verdict == "different"


def test_values_of_other_kinds_are_different(artifacts: Artifacts) -> None:
    found = difference(artifacts, FRAME, 0.3)
    assert (found.verdict, found.facts["codecs"]) == ("different", ["arrow", "json"])


def test_arrays_are_compared_by_value(artifacts: Artifacts) -> None:
    array = np.array([[1.0, np.nan], [3.0, 4.0]])
    assert difference(artifacts, array, np.asfortranarray(array)).verdict == "identical"
    close = difference(artifacts, array, array * (1 + 1e-9))
    assert close.verdict == "close"
    assert close.facts["largest_relative"] == pytest.approx(1e-9, rel=1e-3)
    found = difference(artifacts, array, array + np.array([[0, 0], [0, 1]]))
    assert (found.verdict, found.facts["index"], found.facts["differing"]) == ("different", [1, 1], 1)
    assert difference(artifacts, array, array.astype("f4")).facts["dtypes"] == ["float64", "float32"]
    assert difference(artifacts, np.arange(3), np.array([0, 1, 3])).verdict == "different"
    assert difference(artifacts, np.array([1j]), np.array([1j + 1e-9])).verdict == "close"


def test_texts_are_compared_by_line_and_other_files_by_byte(artifacts: Artifacts, tmp_path: Path) -> None:
    for name, data in {"a": b"x\ny\n", "b": b"x\nz\n", "c": b"\0\1\2", "d": b"\0\1\3"}.items():
        (tmp_path / name).write_bytes(data)
    lines = difference(artifacts, tmp_path / "a", tmp_path / "b")
    assert lines.facts == {"line": 2, "a": "y", "b": "z"}
    assert difference(artifacts, tmp_path / "c", tmp_path / "d").facts["byte"] == 2


def test_the_worst_item_of_a_container_decides(artifacts: Artifacts) -> None:
    close = FRAME.with_columns(load=pl.col("load") * (1 + 1e-9))
    found = difference(artifacts, {"f": FRAME, "n": FRAME, "m": 1}, {"f": close, "n": FRAME, "m": 1})
    assert (found.verdict, found.facts["differing"]) == ("close", 1)
    worse = difference(artifacts, [FRAME, FRAME], [close, FRAME.head(1)])
    assert worse.verdict == "different"
    assert list(worse.facts["items"]) == ["1", "0"]  # type: ignore[arg-type]
    assert difference(artifacts, [FRAME, close], [close, FRAME]).verdict == "reordered"
    assert difference(artifacts, [FRAME, close], [FRAME]).verdict == "different"
    assert difference(artifacts, [FRAME, FRAME.head(2)], [FRAME.head(2), FRAME]).verdict == "reordered"


def test_folders_name_the_file_that_differs(artifacts: Artifacts, tmp_path: Path) -> None:
    for folder, text in (("a", "1"), ("b", "2")):
        (tmp_path / folder / "in").mkdir(parents=True)
        (tmp_path / folder / "in" / "x.txt").write_text(text)
        (tmp_path / folder / "y.txt").write_text("same")
    found = difference(artifacts, tmp_path / "a", tmp_path / "b")
    assert found.verdict == "different"
    assert list(found.facts["items"]) == ["in/x.txt"]  # type: ignore[arg-type]


def test_pickles_are_compared_by_bytes_without_being_loaded(artifacts: Artifacts) -> None:
    assert difference(artifacts, {1, 2}, {1, 3}).verdict == "different"
    saved = artifacts.save({1, 2})
    written = artifacts.store.fetch(saved.digest).read_bytes().replace(b'"trikk": "0', b'"trikk": "9')
    source = artifacts.store.workspace() / "other"
    source.write_bytes(written)
    from trikk.core.digests import digest_bytes
    from trikk.storage.artifact import Artifact

    artifacts.store.add(source, digest_bytes(written))
    other = Artifact(digest_bytes(written), "pickle", len(written), saved.summary)
    assert compare(artifacts, saved, other).verdict == "identical"


def test_a_difference_is_plain_json(artifacts: Artifacts) -> None:
    data = difference(artifacts, FRAME, FRAME.head(3)).to_json()
    assert artifacts.load(artifacts.save(data)) == data
