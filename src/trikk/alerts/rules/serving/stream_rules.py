"""Streams that bring nothing: a sender that is silent is seen by nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from trikk.alerts.rules.rule import Kind, Point, Reading, Rule, Scene, Severity
from trikk.core.durations import exactly
from trikk.core.errors import ProjectError
from trikk.core.values import JSON
from trikk.core.zones import local_text
from trikk.streams.stream_declaration import declared_streams
from trikk.streams.stream_state import SAYS, StreamStatus

STREAM = "stream/"
"""Begins the subject of a stream; its name follows."""


class LateRule(Rule, frozen=True, kw_only=True):
    """Bad is a stream that has brought nothing for longer than its `expected`."""

    kind: ClassVar[Kind] = Kind.LATE
    severity: Severity = Severity.ALARM

    def subjects(self, scene: Scene) -> Sequence[str]:
        """The streams of which something is expected, as long as a server is there; else that is what is told."""
        return [f"{STREAM}{name}" for name in _expected(scene)] if scene.living else []

    def readings(self, scene: Scene, subject: str) -> list[Reading]:
        """One point: when the last batch was stored."""
        name, now, zone = subject.removeprefix(STREAM), scene.now.timestamp(), scene.project.settings.timezone
        expected = _expected(scene)[name]
        statuses = [
            StreamStatus.read(server.says[SAYS + name]) for server in scene.living if SAYS + name in server.says
        ]
        last = max((status.last for status in statuses if status.last is not None), default=None)
        # A server that has just begun has had no time yet, however old the last batch is.
        begun = max((status.began for status in statuses), default=max(server.since for server in scene.living))
        due = max(begun, last or begun) + expected
        is_late = now > due
        came = f"the last rows came {local_text(last, zone)}" if last is not None else "nothing has come yet"
        text = f"{came}, expected every {exactly(expected)}" if is_late else "it is there again"
        facts: dict[str, JSON] = {"stream": name, "expected": local_text(due, zone)}
        at = due if is_late else last or begun
        point = Point(f"{due:.0f}" if is_late else "none", at, at, is_late, text, float(is_late), facts)
        return [Reading(self, subject, f"stream {name} is late", (point,))]

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:  # noqa: ARG002
        """Where it stands."""
        return [f"trikk streams {subject.removeprefix(STREAM)}"]


def _expected(scene: Scene) -> dict[str, float]:
    try:
        declared = declared_streams(scene.project.settings)
    except ProjectError:  # told by the part that reads them
        return {}
    return {name: stream.expected for name, stream in declared.items() if stream.expected is not None}
