"""How each pipeline is doing, in one line: its last runs, how many went well, when it is due next.

Each costs one bounded query, however many runs there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.charts import RunBar, Svg, run_bars
from trikk.core.durations import lasting
from trikk.core.errors import TrikkError
from trikk.core.values import JSON
from trikk.runs.journals.journal import RunRow
from trikk.runs.states import OVER, RunStatus
from trikk.server.schedule.trigger_view import TriggerRow, trigger_rows
from trikk.server.site import Site

if TYPE_CHECKING:
    from trikk.pipeline.graph import Graph

LAST_RUNS = 30
_BARS, _LEAST_BARS = 600, 5  # of all pipelines on a page together, that it stays small; of each at least
_RECENT = 500  # runs among which pipelines are looked for while the code does not load


@dataclass(frozen=True, slots=True)
class PipelineLine:
    """One pipeline.

    Attributes:
        name: its name.
        graph: as it is declared now; None if the code does not say.
        runs: its last ones, the newest first.
        triggers: what starts it by itself.
    """

    name: str
    graph: Graph | None
    runs: Sequence[RunRow]
    triggers: Sequence[TriggerRow]

    @property
    def last_over(self) -> RunRow | None:
        """The newest of its runs that is over."""
        return next((run for run in self.runs if run.state in OVER), None)

    @property
    def has_failed(self) -> bool:
        """Whether the newest of its runs that is over has failed."""
        return self.last_over is not None and self.last_over.state == RunStatus.FAILED

    @property
    def success(self) -> float | None:
        """The share that succeeded of those of its last runs that succeeded or failed; None without any."""
        ended = [run.state for run in self.runs if run.state in (RunStatus.SUCCEEDED, RunStatus.FAILED)]
        return ended.count(RunStatus.SUCCEEDED) / len(ended) if ended else None

    @property
    def next_tick(self) -> str | None:
        """When it is due next, ISO in UTC."""
        return min((row.next for row in self.triggers if row.next), default=None)

    def to_json(self) -> dict[str, JSON]:
        """As JSON."""
        return {
            "pipeline": self.name,
            "doc": self.graph.doc if self.graph else "",
            "steps": len(self.graph.nodes) if self.graph else None,
            "state": str(self.runs[0].state) if self.runs else None,
            "success": self.success,
            "next": self.next_tick,
            "paused": bool(self.triggers) and all(row.paused for row in self.triggers),
            "runs": [
                {"id": r.id, "state": str(r.state), "created": r.created, "started": r.started, "ended": r.ended}
                for r in self.runs
            ],
        }

    def bars(self, now: float, most: int = LAST_RUNS, *, width: float = 240) -> Svg:
        """Its last runs as bars."""
        runs = list(reversed(self.runs[:most]))
        states = [run.state for run in runs]
        counted = ", ".join(f"{states.count(state)} {state}" for state in RunStatus if state in states)
        label = f"the last {len(runs)} runs of {self.name}: {counted}" if runs else f"{self.name} has no runs"
        return run_bars([bar_of(run, now) for run in runs], label, width=width)


def bars_each(pipelines: int, most: int) -> int:
    """How many runs of each of so many pipelines a page draws."""
    return max(_LEAST_BARS, min(most, _BARS // max(1, pipelines)))


def bar_of(run: RunRow, now: float) -> RunBar:
    """A run as a bar, which leads to it."""
    took = seconds_of(run, now)
    lasted = f", {lasting(took)}" if took is not None else ""
    return RunBar(took, run.state, href=f"/runs/{run.id}", title=f"{run.id}: {run.state}{lasted}")


def seconds_of(run: RunRow, now: float) -> float | None:
    """How long a run took, or has been taking; None if it has not begun."""
    return None if run.started is None else max(0.0, (now if run.ended is None else run.ended) - run.started)


def pipeline_lines(site: Site, now: float, names: Iterable[str] | None = None) -> list[PipelineLine]:
    """The project's pipelines in their order, or those of these names.

    While the code has never been loaded, those are listed that ran lately.
    """
    journal = site.project.journal
    graphs: Mapping[str, Any] = {}
    try:
        graphs = site.graphs()
        listed = list(graphs)
    except TrikkError:
        listed = list(dict.fromkeys(run.pipeline for run in journal.runs(limit=_RECENT)))
    by_pipeline: dict[str, list[TriggerRow]] = {}
    wanted = list(listed if names is None else names)
    declared = [trigger for trigger in site.known_triggers().values() if trigger.pipeline in wanted]
    for row in trigger_rows(journal, declared, now):
        by_pipeline.setdefault(row.pipeline, []).append(row)
    return [
        PipelineLine(
            name,
            graphs.get(name),
            journal.runs(pipeline=name, limit=LAST_RUNS),
            by_pipeline.get(name, []),
        )
        for name in wanted
    ]
