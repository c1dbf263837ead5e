"""For tests of pipelines, in milliseconds and without files: in-memory storage, a clock to set, an inline run.

from trikk.testing import run_inline

def test_nightly_predicts_every_sensor():
    run = run_inline(nightly, day=date(2020, 3, 2), tables={"counts": some_counts})
    assert run.state == "succeeded"
    assert run.table("predictions").height == 21 * 24
"""

from trikk.runs.memory import MemoryJournal
from trikk.storage.memory import MemoryStore
from trikk.testing.clock import ManualClock
from trikk.testing.inline import InlineRun, run_inline
from trikk.testing.tables import MemoryTables

__all__ = ["InlineRun", "ManualClock", "MemoryJournal", "MemoryStore", "MemoryTables", "run_inline"]
