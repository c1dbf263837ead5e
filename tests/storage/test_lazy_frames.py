from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trikk.core.errors import CodecError
from trikk.storage.artifacts import Artifacts
from trikk.storage.codecs import polars_ipc
from trikk.storage.row_batches import batches
from trikk.storage.stores.memory_store import MemoryStore


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polars_ipc, "BATCH_ROWS", 16)


COLUMNS = {
    "int": st.integers(-5, 5),
    "float": st.floats(),
    "text": st.text(max_size=5),
    "bool": st.booleans(),
    "date": st.dates(),
    "nothing": st.none(),
    "list": st.lists(st.integers(0, 3), max_size=2),
}


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    height = draw(st.integers(0, 70))
    names = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=3, unique=True))
    columns = {}
    for name in names:
        seed, share = draw(st.lists(COLUMNS[name], min_size=1, max_size=6)), draw(st.floats(0, 1))
        start = draw(st.integers(0, 70))  # nulls from there on only, so that some batches have none
        random = np.random.default_rng(start)
        columns[name] = [
            None if i >= start and random.random() < share else seed[i % len(seed)] for i in range(height)
        ]
    return pl.DataFrame(columns, strict=False)


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(frames())
def test_a_frame_written_in_pieces_has_the_bytes_of_the_whole(tmp_path: Path, frame: pl.DataFrame) -> None:
    polars_ipc.write(frame, tmp_path / "whole")
    rows, schema = polars_ipc.write_lazy(frame.lazy(), tmp_path / "pieces")
    assert (rows, dict(schema)) == (frame.height, dict(frame.schema))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "pieces").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pieces", "whole"]


def test_a_lazy_frame_and_its_rows_are_one_artifact() -> None:
    frame = pl.DataFrame({"a": range(100), "b": [f"x{i}" for i in range(100)]})
    artifacts = Artifacts(MemoryStore())
    lazy, whole = artifacts.save(frame.lazy()), artifacts.save(frame)
    assert lazy.digest == whole.digest
    assert lazy.summary["rows"] == 100
    assert artifacts.load(lazy, pl.DataFrame).equals(frame)


@pytest.mark.parametrize("rows", [1, 7, 99, 100, 101])
def test_batches_have_the_size_that_was_asked_for(rows: int) -> None:
    frame = pl.DataFrame({"a": range(100)})
    found = list(batches(frame.lazy(), rows))
    assert pl.concat(found).equals(frame)
    assert {b.height for b in found[:-1]} <= {rows}
    assert found[-1].height <= rows


def test_scratch_folders_go_with_release() -> None:
    artifacts = Artifacts(MemoryStore())
    folder = artifacts.scratch()
    (folder / "x").write_text("1")
    artifacts.release()
    assert not folder.exists()


@pytest.mark.parametrize("last", [True, False, None])
def test_a_last_piece_of_one_flag_has_its_bytes_in_the_whole(tmp_path: Path, last: bool | None) -> None:
    frame = pl.DataFrame({"flag": [*[True, False] * 16, last]})
    polars_ipc.write(frame, tmp_path / "whole")
    polars_ipc.write_lazy(frame.lazy(), tmp_path / "pieces")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "pieces").read_bytes()


def test_a_lazy_frame_that_fails_when_it_is_computed_says_so() -> None:
    hours = pl.LazyFrame({"at": [datetime(2026, 3, 6, 8, tzinfo=UTC)]})
    without_zone = pl.lit("2026-03-06T08:00").str.to_datetime()
    with pytest.raises(CodecError) as refused:
        Artifacts(MemoryStore()).save(hours.filter(pl.col("at") == without_zone))
    assert refused.value.what.startswith("the polars.LazyFrame can't be computed: SchemaError: ")
    assert "\n" not in refused.value.what
    assert "collect()" in str(refused.value.next)
