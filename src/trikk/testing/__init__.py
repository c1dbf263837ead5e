"""For tests of pipelines, in milliseconds and without files: in-memory storage, a clock to set, an inline run.

A test with it looks like this::

    from trikk.testing import run_inline

    def test_nightly_predicts_every_sensor():
        run = run_inline(nightly, day=date(2020, 3, 2), tables={"counts": some_counts})
        assert run.state == "succeeded"
        assert run.table("predictions").height == 21 * 24
"""

from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.stores.memory_store import MemoryStore
from trikk.testing.inline_run import InlineRun, run_inline
from trikk.testing.manual_clock import ManualClock
from trikk.testing.memory_tables import MemoryTables

__all__ = ["InlineRun", "ManualClock", "MemoryJournal", "MemoryStore", "MemoryTables", "run_inline"]
