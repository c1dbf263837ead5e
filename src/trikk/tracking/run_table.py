"""Runs side by side: what they were given, what they were locked to, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.values import JSON, encode, plain
from trikk.execution.code.code_changes import packages_of
from trikk.runs.run_state import RunState
from trikk.tracking.fold import RunRecord, read_record

if TYPE_CHECKING:
    from trikk.execution.project import Project


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that runs may differ in."""

    group: str  # run, parameter, metric, table, model, code or package
    name: str  # of the thing
    values: tuple[JSON, ...]  # one for each run; None where the run has none

    @property
    def differs(self) -> bool:
        """Whether the runs are not all the same in this."""
        return any(value != self.values[0] for value in self.values[1:])

    def to_json(self) -> dict[str, JSON]:
        """The row as JSON."""
        return {"group": self.group, "name": self.name, "values": list(self.values), "differs": self.differs}


@dataclass(frozen=True, slots=True)
class Compared:
    """Runs by their ids, and the rows, in a fixed order of groups."""

    runs: tuple[str, ...]
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, JSON]:
        """The comparison as `trikk compare --json` prints it."""
        return {"runs": list(self.runs), "rows": [row.to_json() for row in self.rows]}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one run."""

    state: RunState
    record: RunRecord
    packages: dict[str, str]


def compare(project: Project, runs: Sequence[str], *, everything: bool = False) -> Compared:
    """Put runs side by side.

    Raises:
        UnknownName: if there is no such run.
    """
    rows = lay_out([_facts(project, run) for run in runs])
    kept = [row for row in rows if row.differs or row.group in ("run", "metric") or _shown(row, everything)]
    return Compared(tuple(runs), tuple(kept))


def _facts(project: Project, run: str) -> Facts:
    events = project.journal.events(run)
    state = project.state_after(run, events)
    return Facts(state, read_record(project.journal, run, events), packages_of(project, state.lock))


def lay_out(facts: Sequence[Facts]) -> list[Row]:
    """Every row, equal or not: a pure function."""
    rows = [
        Row("run", name, tuple(get(f.state) for f in facts))
        for name, get in (
            ("pipeline", lambda s: s.pipeline),
            ("state", lambda s: s.state),
            ("seconds", _seconds),
            ("origin", lambda s: str(s.origin.get("kind", "manual"))),
        )
    ]
    rows += _rows("parameter", facts, lambda f: f.state.parameters | f.record.parameters())
    rows += _rows("metric", facts, lambda f: {name: encode(v) for name, v in f.record.values().items()})
    rows += _rows("table", facts, lambda f: f.state.lock.get("tables", {}))
    rows += _rows("model", facts, lambda f: {n: _version(v) for n, v in f.state.lock.get("models", {}).items()})
    rows += _rows("code", facts, _code)
    rows += _rows("package", facts, lambda f: f.packages)
    return rows


def _rows(group: str, facts: Sequence[Facts], get: Callable[[Facts], dict[str, Any]]) -> list[Row]:
    dicts = [get(f) for f in facts]
    names = dict.fromkeys(name for each in dicts for name in each)
    return [Row(group, name, tuple(plain(each.get(name)) for each in dicts)) for name in names]


def _shown(row: Row, everything: bool) -> bool:
    # Some hundred packages that are all the same would hide the rest.
    return everything and row.group != "package"


def _seconds(state: RunState) -> JSON:
    if state.started is None or state.ended is None:
        return None
    return round(max(0.0, state.ended - state.started), 3)


def _version(locked: Any) -> JSON:
    """The number of a model's version that a run was locked to."""
    version: JSON = locked["version"] if isinstance(locked, dict) else locked
    return version


def _code(facts: Facts) -> dict[str, JSON]:
    lock = facts.state.lock
    git = lock.get("git") or {}
    code: dict[str, JSON] = {"code": str(lock.get("code", ""))[:12]}
    if git:
        code["commit"] = f"{str(git.get('commit'))[:10]}{' with changes' if git.get('dirty') else ''}"
    return code | {name: lock.get(name) for name in ("python", "platform", "seed")}
