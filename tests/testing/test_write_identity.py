from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trikk import Table, pipeline, step
from trikk.execution.code.loading import Loaded
from trikk.execution.step_messages import StepCall
from trikk.execution.workers.attempt import Workplace, run_call
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.memory_store import MemoryStore
from trikk.storage.tables.versioned_tables import Tables
from trikk.testing import MemoryTables

counts = Table("counts")


@step
def rows() -> pl.DataFrame:
    return pl.DataFrame({"n": [1]})


@pipeline
def p() -> None:
    counts.append(rows())


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_a_write_that_was_made_with_other_rows_is_no_success(kind: str, tmp_path: Path) -> None:
    tables: Any = MemoryTables() if kind == "memory" else Tables(str(tmp_path))
    artifacts, journal = Artifacts(MemoryStore()), MemoryJournal()
    place = Workplace(Loaded({"p": p}), artifacts, tables, journal, tmp_path, tmp_path)

    def write(n: int, attempt: int) -> Any:
        rows = {"artifact": place.artifacts.save(pl.DataFrame({"n": [n]})).to_json(), "path": []}
        target = {"table": "counts", "mode": "append", "key": [], "schema_mode": "strict"}
        return run_call(StepCall("run", "p", "append_counts", None, attempt, {"rows": rows}, write=target), place)

    assert write(1, 1).error is None
    assert write(1, 2).error is None
    other = write(2, 3)
    assert other.error is not None
    assert "this step of this run has already written other rows to it, in version 0" in other.error["message"]
    assert not other.error["retryable"]
    assert tables.scan("counts").collect().rows() == [(1,)]


def written(tmp_path: Path, value: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, int]:
    """Rows as a step's result, as the result of their write, and how often the write saved something."""
    artifacts = Artifacts(MemoryStore())
    place = Workplace(Loaded({"p": p}), artifacts, Tables(str(tmp_path)), MemoryJournal(), tmp_path, tmp_path)
    given, saved = artifacts.save(value), []
    save = Artifacts.save
    monkeypatch.setattr(Artifacts, "save", lambda self, rows: (saved.append(rows), save(self, rows))[1])
    target = {"table": "counts", "mode": "append", "key": [], "schema_mode": "strict"}
    rows = {"rows": {"artifact": given.to_json(), "path": []}}
    result = run_call(StepCall("run", "p", "append_counts", None, 1, rows, write=target), place)
    assert result.error is None
    return given, result.outputs[0], len(saved)


@pytest.mark.parametrize("lazy", [False, True])
def test_rows_that_are_a_results_own_are_not_kept_a_second_time(
    lazy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pl.DataFrame({"n": [1, 2], "at": ["a", None]})
    given, kept, saved = written(tmp_path, frame.lazy() if lazy else frame, monkeypatch)
    assert saved == 0
    assert kept == Artifacts(MemoryStore()).save(frame)  # as it would be, saved again
    assert kept.digest == given.digest


@pytest.mark.parametrize(
    "value",
    [
        pl.DataFrame({"n": pl.Series([1], dtype=pl.UInt8)}),
        pl.DataFrame({"n": [1]}).to_pandas(),
        pl.DataFrame({"n": [1]}).to_arrow(),
        [pl.DataFrame({"n": [1]}), pl.DataFrame({"n": [2]})],
    ],
    ids=["stored in another type", "pandas", "arrow", "several frames"],
)
def test_rows_that_a_table_holds_in_another_form_are_kept_in_that(
    value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, kept, saved = written(tmp_path, value, monkeypatch)
    assert (saved, kept.summary["type"]) == (1, "polars.DataFrame")
    assert kept.digest != given.digest
