"""What rules on a monitor have in common: which windows and slices they look at, and the records they read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from trikk.alerts.rules.rule import Point, Reading, Rule, Scene, among
from trikk.core.errors import UsageError
from trikk.core.zones import zone_of
from trikk.monitoring.cases.windows import labels_back, until_gap
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    from trikk.monitoring.figures.records import Records, WindowRecord

BACK = 84
"""How many windows are looked at for what is usual."""
_FARTHEST = 2000


class MonitorRule(Rule, frozen=True, kw_only=True):
    """A rule on a monitor."""

    about: ClassVar[str] = "monitor"
    reads_every_part: ClassVar[bool] = True

    monitor: str = ""  # whose; "" for any
    window: str = ""  # hour, day or week; "" for the monitor's first
    slice: str = ""  # a column: each of its values is a cause of its own
    min_labelled: int = 30  # labelled cases below which a window is not judged

    @property
    def sliced_by(self) -> str:
        """The column whose values are causes of their own; "" for none."""
        return self.slice

    @property
    def least(self) -> int:
        """How many windows to look at, so that neither side of a change is missed."""
        return max(14, 2 * self.windows + 1)

    def kind_of_window(self, spec: MonitorSpec) -> str:
        """Which windows it looks at: hour, day or week."""
        return self.window or spec.windows[0]

    def check_against(self, spec: MonitorSpec) -> None:
        """Check the rule against what the monitor has.

        Raises:
            UsageError: if the monitor does not have what the rule names.
        """
        if self.window and self.window not in spec.windows:
            raise UsageError(
                f"rule {self.name} looks at each {self.window}, which the monitor does not make",
                next=f"it makes: {', '.join(spec.windows)}",
            )
        if self.slice and self.slice not in spec.slices:
            raise UsageError(
                f"rule {self.name} looks at each {self.slice!r}, by which the monitor does not slice",
                next=f"it slices by: {', '.join(spec.slices) or 'nothing'}",
            )

    def subjects(self, scene: Scene) -> Sequence[str]:
        """The monitor that it names, or all; UnknownName if that is not there."""
        return among(self, scene.monitors)

    def readings(self, scene: Scene, subject: str) -> list[Reading]:
        """What it sees of a monitor; nothing of one that was never evaluated."""
        if subject not in scene.evaluated:
            return []
        from trikk.monitoring.figures.records import Records

        records = Records(scene.project.journal, subject, sliced_by=self.slice)
        spec = records.spec()
        self.check_against(spec)
        return self.judge(records, spec, scene.now)

    def judge(self, records: Records, spec: MonitorSpec, now: datetime) -> list[Reading]:
        """What it sees in a monitor's records; UsageError if the monitor does not have what it takes."""
        raise NotImplementedError

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:  # noqa: ARG002
        """The monitor's window, with its worst cases."""
        return [] if point is None else [f"{self._monitor_command(subject)} --window {point.mark} --worst 20"]

    def _monitor_command(self, subject: str) -> str:
        return f"trikk monitor {subject}" + (f" --kind {self.window}" if self.window else "")


def recent(
    records: Records,
    spec: MonitorSpec,
    kind: str,
    now: datetime,
    most: int,
    wanted: Callable[[WindowRecord], bool],
    ahead: timedelta = timedelta(),
) -> list[WindowRecord]:
    """The last windows that are over by `now` and wanted, at most so many, oldest first.

    With `ahead`, those too that begin no later than so long after now. A gap of windows that were never evaluated
    ends it.
    """
    labels = labels_back(kind, now + ahead, zone_of(spec.timezone))
    near = until_gap(records.window(kind, label) for label in itertools.islice(labels, _FARTHEST))
    fitting = (record for record in near if (ahead or record.end <= now) and wanted(record))
    return list(itertools.islice(fitting, most))[::-1]
