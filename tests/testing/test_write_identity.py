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
