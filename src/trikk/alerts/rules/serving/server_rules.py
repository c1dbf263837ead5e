"""Servers: those that are gone, times in which none was there, and what those that are there have to say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from trikk.alerts.rules.rule import SOON, Kind, Point, Reading, Rule, Scene, Severity
from trikk.alerts.rules.serving.served import is_served
from trikk.alerts.rules.serving.stream_rules import STREAM
from trikk.core.clock import iso
from trikk.core.digests import digest_json
from trikk.core.text import printable, shorten
from trikk.core.values import JSON
from trikk.core.zones import local_text
from trikk.runs.journals.server_beats import Server
from trikk.runs.living_servers import LOST_AFTER, missed
from trikk.triggers.trigger_state import TRIGGERS

SERVERS, ABSENCE = "_servers", "_absence"
"""Subjects: servers that are missed, and times without any; no trigger, pipeline or monitor can be called so."""
PARTS = "_parts"
RETURNED = "server.returned"
"""The kind of the entries of `SERVING`: what came due while no server was there, written down by the next one.

The body has `since` and `until`, seconds since 1970, and `due`: by trigger, how many of its moments came."""
SERVING = "serving"
"""A subject of the ledger."""
_SHOWN_FOR = 3600.0
_LASTS = 120.0
_PLACE = ("topic", "partition", "offset", "bytes")


class AwayRule(Rule, frozen=True, kw_only=True):
    """Bad is a server that has gone without leaving, and a time in which triggers came due and none was there."""

    kind: ClassVar[Kind] = Kind.AWAY
    # Badness is how many servers are missed, or when the time without any was over: more of it is told again.
    clearly_worse: ClassVar[float] = 1.0
    worse: ClassVar[str] = "since the last message"
    cooldown: float = SOON

    def subjects(self, scene: Scene) -> Sequence[str]:
        """Servers, and times without any."""
        return [SERVERS, ABSENCE] if is_served(scene) else []

    def readings(self, scene: Scene, subject: str) -> list[Reading]:
        """One point of each."""
        return self._missed(scene) if subject == SERVERS else self._absence(scene)

    def _missed(self, scene: Scene) -> list[Reading]:
        now, zone = scene.now.timestamp(), scene.project.settings.timezone
        servers, there = scene.servers, scene.living
        # One that is started again at once is missed by nobody, though its process was seen to be dead meanwhile.
        lost = [server for server in missed(servers, now) if now - server.at > LOST_AFTER]
        left = f"{len(there)} of the project's servers {'is' if len(there) == 1 else 'are'} there"
        if not lost:
            at = max((server.since for server in there), default=now)
            return [Reading(self, SERVERS, "a server is away", (Point("none", at, at, False, left),))]
        names = ", ".join(f"{_named(server)}, last heard of {local_text(server.at, zone)}" for server in lost)
        first, last = lost[0].at, max(server.at for server in lost)
        facts: dict[str, JSON] = {"away": names, "there": ", ".join(map(_named, there)) or "none"}
        text = f"{names}, {'is' if len(lost) == 1 else 'are'} away; {left}"
        point = Point(
            digest_json([server.id for server in lost])[:12], first, last, True, text, float(len(lost)), facts
        )
        return [Reading(self, SERVERS, "a server is away", (point,))]

    def _absence(self, scene: Scene) -> list[Reading]:
        """The last time without a server, bad for an hour: people are to hear of it, and nothing is left to do."""
        entry = scene.project.journal.last(SERVING)
        if entry is None or scene.now.timestamp() < entry.at:
            return []
        body: Any = entry.body
        zone = scene.project.settings.timezone
        due = ", ".join(f"{name} {count}x" for name, count in body["due"].items())
        span = f"from {local_text(body['since'], zone)} to {local_text(body['until'], zone)}"
        bad = scene.now.timestamp() < entry.at + _SHOWN_FOR
        text = f"no server was there {span}; due in that time: {due}" if bad else "a server is there again"
        at = entry.at if bad else entry.at + _SHOWN_FOR
        facts: dict[str, JSON] = {"away": span, "due": due}
        point = Point(iso(body["until"]), body["since"], at, bad, text, bad * entry.at, facts)
        return [Reading(self, ABSENCE, "no server was there", (point,))]

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:  # noqa: ARG002
        """Start it again; or see what the triggers have made of the time without."""
        return ["trikk serve"] if subject == SERVERS else ["trikk triggers"]


class TroubleRule(Rule, frozen=True, kw_only=True):
    """Bad is what a server says of itself: a source of events that it can't reach, a part of it that fails."""

    kind: ClassVar[Kind] = Kind.TROUBLE
    severity: Severity = Severity.ALARM
    cooldown: float = SOON

    def subjects(self, scene: Scene) -> Sequence[str]:
        """The servers' parts, and each trigger and stream of which a server speaks or spoke."""
        if not is_served(scene):
            return []
        return [PARTS, *_sources(scene)]

    def readings(self, scene: Scene, subject: str) -> list[Reading]:
        """One point, good if no server complains."""
        begins = "part " if subject == PARTS else f"source {subject}"
        title = "a server can't do its work" if subject == PARTS else f"{_source(subject)} is away"
        now = scene.now.timestamp()
        complaints = [
            (server, about, says)
            for server in scene.living
            for about, says in server.says.items()
            if (about == begins or (subject == PARTS and about.startswith(begins)))
            and now - _since(says, server) > _LASTS
        ]
        if not complaints:
            return [Reading(self, subject, title, (Point("none", now, now, False, "all is well again"),))]
        server, about, says = complaints[0]
        whose = f" ({about.removeprefix('part ')})" if subject == PARTS else ""
        text = f"{_named(server)}{whose}: {says.get('what') or says.get('why') or 'it fails'}"
        since = _since(says, server)
        facts: dict[str, JSON] = {key: says.get(key) or "-" for key in ("where", "next")}
        facts["servers"] = ", ".join(dict.fromkeys(_named(one) for one, _, _ in complaints))
        point = Point(digest_json(text)[:12], since, since + _LASTS, True, text, float(len(complaints)), facts)
        return [Reading(self, subject, title, (point,))]

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:  # noqa: ARG002
        """Where it stands."""
        return ["trikk doctor"] if subject == PARTS else [_command(subject)]


class SetAsideRule(Rule, frozen=True, kw_only=True):
    """Bad for an hour is a message that has come and that no run can be told of: it is lost to the pipeline."""

    kind: ClassVar[Kind] = Kind.SET_ASIDE
    # Badness is when it came: further ones are told again, once in a cool-down.
    clearly_worse: ClassVar[float] = 1.0
    worse: ClassVar[str] = "set aside since the last message"
    severity: Severity = Severity.WARNING
    cooldown: float = SOON

    def subjects(self, scene: Scene) -> Sequence[str]:
        """Each trigger and stream, since only what waits for messages ever has any."""
        return _sources(scene) if is_served(scene) else []

    def readings(self, scene: Scene, subject: str) -> list[Reading]:
        """One point, of the last such message."""
        entry = scene.project.journal.last(f"source/{subject}/set-aside")
        if entry is None:
            return []
        over = entry.at + _SHOWN_FOR
        bad, message = scene.now.timestamp() < over, shorten(printable(entry.identity or ""), 200)
        text = f"message {message} was set aside: {entry.body['why']}" if bad else "none was set aside for an hour"
        facts = {name: entry.body[name] for name in _PLACE if name in entry.body}
        point = Point(f"{entry.seq}", entry.at, entry.at if bad else over, bad, text, bad * entry.at, facts)
        return [Reading(self, subject, f"{_named_source(subject)} set a message aside", (point,))]

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:  # noqa: ARG002
        """What has come before and since."""
        return [_command(subject)]


def _sources(scene: Scene) -> list[str]:
    """Where messages and files come from: the triggers, and `stream/NAME` for each stream."""
    journal = scene.project.journal
    return [*journal.children(TRIGGERS), *(f"{STREAM}{name}" for name in journal.children(f"source/{STREAM}"))]


def _source(subject: str) -> str:
    named = _named_source(subject)
    return named if subject.startswith(STREAM) else f"the source of {named}"


def _named_source(subject: str) -> str:
    return f"stream {subject.removeprefix(STREAM)}" if subject.startswith(STREAM) else f"trigger {subject}"


def _command(subject: str) -> str:
    """The command that shows a trigger or a stream."""
    return (
        f"trikk streams {subject.removeprefix(STREAM)}"
        if subject.startswith(STREAM)
        else f"trikk triggers {subject}"
    )


def code_trouble(scene: Scene) -> tuple[Server, dict[str, Any]] | None:
    """A server that serves an older version, since the code that is there now does not load, and why not."""
    for server in scene.living:
        if says := server.says.get("code"):
            return server, says
    return None


def _named(server: Server) -> str:
    return f"server {server.id} on {server.holder.host}"


def _since(says: dict[str, Any], server: Server) -> float:
    """Since when it is so, seconds since 1970; since ever if the server does not say."""
    since = says.get("since", server.since)
    return datetime.fromisoformat(since).timestamp() if isinstance(since, str) else float(since or server.since)
