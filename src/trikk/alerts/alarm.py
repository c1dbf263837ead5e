"""`Alarm`: a rule that an author declares with a monitor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.pipeline.location import caller, explained, located

if TYPE_CHECKING:
    from trikk.monitoring.monitor_definition import MonitorSpec


@explained
class Alarm:
    """When a monitor's figures are wrong, and what follows: `Monitor(..., alarms=[Alarm("loss", when=...)])`.

    Args:
        name: unique among the monitor's alarms.
        when: a condition on a window's figures, such as "mae > 1.3 * baseline" or "wape > 0.3 for 2 windows": the
            monitor's metrics; `baseline` and `usual` (the median of the 28 windows before that were not bad);
            `estimated(mae)`, known before labels; coverage, waiting, unpredicted, predicted, observed, labelled;
            numbers, + - * /, abs(), and, or, not.
        kind: instead of `when`: "labels overdue" (its time is over and too few labels of a window came), "drift".
        window: hour, day or week; the monitor's first by default.
        slice: one of the monitor's slices; each of its values is an incident of its own.
        windows: how many windows in a row must be bad to open an incident, and good to resolve it.
        severity: info, warning or alarm (the default; warning for labels, info for drift).
        starts: a pipeline to run, once for each opening. Its one required parameter of type date is the day.
        parameters: other parameters of that pipeline.
        cooldown: the least time between two messages on one incident; "6h" by default.
        escalate_after: unresolved and not acknowledged for so long, it is told again; "1d" by default for alarms.
        min_labelled: a window with fewer labelled cases is not judged; the monitor's `minimum` by default.

    Raises:
        UsageError: if something in it can't work; what the monitor does not have is told by the monitor.
    """

    def __init__(
        self,
        name: str,
        *,
        when: str | None = None,
        kind: str | None = None,
        window: str | None = None,
        slice: str | None = None,  # noqa: A002 - what it is called everywhere else
        windows: int | None = None,
        severity: str | None = None,
        starts: str | None = None,
        parameters: Mapping[str, JSON] | None = None,
        cooldown: float | str | timedelta | None = None,
        escalate_after: float | str | timedelta | None = None,
        min_labelled: int | None = None,
    ) -> None:
        # Late: every process that loads the project imports this module, and most declare no alarm.
        from trikk.alerts.rules.kinds import checked
        from trikk.alerts.rules.monitor_rule import MonitorRule

        given: dict[str, Any] = {
            "name": name,
            "when": when,
            "kind": kind,
            "window": window,
            "slice": slice,
            "windows": windows,
            "severity": severity,
            "starts": starts,
            "parameters": parameters,
            "cooldown": cooldown,
            "escalate_after": escalate_after,
            "min_labelled": min_labelled,
        }
        self.name = name
        # The monitor's `minimum` is not known yet: an alarm is made before the monitor that it is given to.
        self._has_minimum = min_labelled is not None
        rule = located(checked, given)
        if not isinstance(rule, MonitorRule):
            raise UsageError(
                f"alarm {name} ({kind}) is about runs, not about a monitor",
                where=caller(),
                next="write it in trikk.toml: [[alerts.rule]]",
            )
        self._rule = rule

    def of(self, spec: MonitorSpec) -> dict[str, JSON]:
        """The rule as JSON, checked against the monitor that it belongs to.

        Raises:
            UsageError: if the monitor does not have what it names.
        """
        from msgspec.structs import replace

        from trikk.alerts.rules.rule import Kind

        minimum = self._rule.min_labelled if self._has_minimum else spec.minimum
        rule = replace(self._rule, monitor=spec.name, min_labelled=minimum)
        # Of drift only a look checks this: earlier builds took such alarms, and their projects have to load.
        if rule.kind is not Kind.DRIFT:
            rule.check_against(spec)
        return rule.to_json()

    def __repr__(self) -> str:
        return f"Alarm({self.name!r})"
