"""Streams that bring nothing, and those to which nothing is published: a silent sender is seen by nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from trikk.alerts.rules.rule import Kind, Point, Reading, Rule, Scene, Severity
from trikk.core.durations import exactly, lasting
from trikk.core.errors import ProjectError
from trikk.core.values import JSON
from trikk.core.zones import local_text
from trikk.publishing.publication_records import PUBLISHED
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


class PublishedRule(Rule, frozen=True, kw_only=True):
    """Bad is a stream, or a broker's topic, to which no run has published anything for too long."""

    kind: ClassVar[Kind] = Kind.UNPUBLISHED
    about: ClassVar[str] = "stream"
    severity: Severity = Severity.ALARM

    stream: str = ""  # the last part of the address that `publish` has
    within: float = 0.0  # seconds that may have passed since the last publication

    def check(self) -> None:
        """Check that the rule can work; UsageError if not."""
        if not (self.stream and self.within):
            problem = "needs a stream, and how old what was published last may be"
            self.refuse(problem, 'stream = "forecast", within = "26h"')
        if {":", "/"} & set(self.stream):
            self.refuse(f"names {self.stream!r}", 'write the last part of its address: stream = "forecast"')
        if self.windows > 1:
            self.refuse("takes no `windows`", "give it more time: within")

    def readings(self, scene: Scene, subject: str) -> list[Reading]:
        """One point: the last publication; none as long as there was none."""
        now, journal = scene.now.timestamp(), scene.project.journal
        zone = scene.project.settings.timezone
        title = f"{subject}: nothing was published for more than {lasting(self.within)}"
        entries = [journal.last(each) for each in journal.subjects(PUBLISHED) if _is_of(each, subject)]
        last = max((entry.at for entry in entries if entry is not None), default=None)
        if last is None:
            return [Reading(self, subject, title, (), unknown="no run has published anything there yet")]
        is_late = now - last > self.within
        text = f"{'nothing was published since' if is_late else 'it was published at'} {local_text(last, zone)}"
        facts: dict[str, JSON] = {"stream": subject, "expected within": lasting(self.within)}
        point = Point(str(last), last, last, is_late, text, float(is_late), facts)
        return [Reading(self, subject, title, (point,))]

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:  # noqa: ARG002
        """What there is of runs, of which one publishes there."""
        return ["trikk runs"]


def _is_of(published: str, stream: str) -> bool:
    """Whether an address ends with a stream's name: `stream:NAME`, `kafka://hosts/NAME`, `mqtt://hosts/a/NAME`."""
    return published.removeprefix(PUBLISHED).endswith((f":{stream}", f"/{stream}"))


def _expected(scene: Scene) -> dict[str, float]:
    try:
        declared = declared_streams(scene.project.settings)
    except ProjectError:  # told by the part that reads them
        return {}
    return {name: stream.expected for name, stream in declared.items() if stream.expected is not None}
