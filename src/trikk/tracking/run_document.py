"""One run as programs get it: from `trikk show --json` and from the server alike."""

from __future__ import annotations

from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.execution.upkeep.run_costs import cost_of
from trikk.tracking.fold import read_record


def run_document(project: Project, run: str, now: float) -> dict[str, JSON]:
    """A run's state, what it cost up to `now` (seconds since 1970), and what its steps have logged.

    Raises:
        UnknownName: if there is no such run.
    """
    cost = cost_of(project, run, now)
    priced: dict[str, JSON] = {"cost": cost.to_json()} if cost else {}
    return {**project.run(run).to_json(), **priced, **read_record(project.journal, run).to_json()}
