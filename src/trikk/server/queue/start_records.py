"""Which waiting runs were given to a process, written down before the process is started.

The record is for the other servers, and for the next one if this is killed. One entry has all runs that are not
over, and is added only after the last one that was read (`after=`). So of two servers that decide at the same time
one has to look again, and a pool's last place is taken once. That no run has two drivers is up to the run's lease.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from trikk.core.errors import Conflict
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.ledger import Ledger

SUBJECT, STARTED = "queue", "runs.started"
_PATIENCE = (
    15.0  # seconds in which a process takes the lease of its run; on a machine that can't be asked, four times
)
_ELSEWHERE = 60.0


class Start(Record, frozen=True):
    """A process that was started for a run.

    Attributes:
        by: the server's process.
        at: wall time in seconds since 1970.
        attempts: how many processes in a row, this one included, were started without any step succeeding.
        seq: of the run's last event at that time.
    """

    by: Holder
    at: float
    attempts: int
    seq: int

    def is_fresh(self, now: float) -> bool:
        """Whether its process may be there without having taken the run's lease yet.

        What a server has started that is dead by now may be there as well. Starting another costs that one a look
        at the lease; waiting would cost the run the time.
        """
        alive = self.by.is_alive()
        return alive is not False and now < self.at + (_PATIENCE if alive else _ELSEWHERE)


class StartRecords:
    """The starts of the runs that are not over.

    Args:
        ledger: the project's.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        entry = ledger.last(SUBJECT)
        self._seq = 0 if entry is None else entry.seq
        runs: Mapping[str, Any] = {} if entry is None else entry.body["runs"]  # type: ignore[assignment]
        self.starts = {run: msgspec.convert(start, Start) for run, start in runs.items()}

    def add(self, starts: Mapping[str, Start], unfinished: Collection[str], at: float) -> bool:
        """Write down that processes are about to be started; False if another server has done so meanwhile.

        Args:
            starts: by run.
            unfinished: the runs that are not over: of others nothing is kept.
            at: wall time in seconds since 1970.
        """
        kept = {run: start for run, start in self.starts.items() if run in unfinished} | dict(starts)
        runs: dict[str, JSON] = {run: start.to_json() for run, start in kept.items()}
        try:
            self._ledger.add(SUBJECT, STARTED, {"runs": runs}, at=at, after=self._seq)
        except Conflict:
            return False
        return True
