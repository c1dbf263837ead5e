"""What readers of a table or stream are told: that it is late, and that it is there again.

The rules "data did not come" and "nothing was published" open and resolve an incident for the team. Those who
subscribe to `table/NAME`, or to `stream/NAME` of a stream that is kept in the table or published, get two mails of
it, of its opening and of its end, which name no incident and no command.
"""

from __future__ import annotations

from html import escape
from typing import Any

from trikk.alerts.incidents.decision import Change, Decision
from trikk.alerts.incidents.incident import Incident
from trikk.alerts.rules.rule import Rule
from trikk.alerts.rules.serving.stream_rules import PublishedRule
from trikk.alerts.rules.silence import SilenceRule
from trikk.core.durations import lasting
from trikk.core.settings import Settings
from trikk.core.values import JSON
from trikk.core.zones import local_text
from trikk.execution.project import Project
from trikk.mailing.topics.subscriptions import TOPIC, subscribers


def reader_channels(project: Project, rule: Rule, part: object, kind: Change) -> tuple[str, ...]:
    """The topics with subscribers that a decision is told to, as names of channels.

    Args:
        project: the project.
        rule: the rule that it is about.
        part: the slice; None for the table as a whole, of which alone readers are told.
        kind: what was decided.
    """
    if part is not None or kind not in (Change.OPENED, Change.RESOLVED):
        return ()
    topics = [topic for topic in _topics(project.settings, rule) if subscribers(project.journal, topic)]
    return tuple(f"{TOPIC}{topic}" for topic in topics)


def _topics(settings: Settings, rule: Rule) -> list[str]:
    if isinstance(rule, PublishedRule):
        return [f"stream/{rule.stream}"]
    return topics_of(settings, rule.table) if isinstance(rule, SilenceRule) else []


def topics_of(settings: Settings, table: str) -> list[str]:
    """The topics of those who read a table."""
    # As they stand there: a mistake in another section must not keep anybody from being told.
    streams = [name for name, given in settings.streams.items() if _table_of(given) == table]
    return [f"table/{table}", *(f"stream/{name}" for name in streams)]


def is_watched(settings: Settings, rules: tuple[Rule, ...], topic: str) -> bool:
    """Whether a rule says when a topic's table or stream is late; True for a topic of something else."""
    if not topic.startswith(("table/", "stream/")):
        return True
    return any(topic in _topics(settings, rule) for rule in rules)


def notice(incident: Incident, decision: Decision, topic: str, *, project: str, zone: str) -> dict[str, JSON]:
    """The mail: subject, text and html."""
    what = f"{topic.partition('/')[0]} {topic.partition('/')[2]}"
    rule = incident.rule
    assert isinstance(rule, SilenceRule | PublishedRule)
    if decision.kind is Change.RESOLVED and decision.point is not None and not decision.point.bad:
        head = f"there again: {what}"
        since = local_text(incident.since + rule.within, zone)
        lines = [f"New rows of {what} have come: {decision.point.text}.", f"They were expected by {since}."]
    elif decision.kind is Change.RESOLVED:  # what was seen last is bad still, and nobody looks any more
        head = f"no longer watched: {what}"
        lines = [f"Nobody is told any more whether {what} is late: {decision.why}."]
    else:
        start = decision.point.start if decision.point is not None else incident.since
        expected = local_text(start + rule.within, zone)
        head = f"late: {what}, expected by {expected}"
        lines = [
            f"New rows of {what} were expected by {expected}, {lasting(rule.within)} after the last.",
            f"{decision.why[:1].upper()}{decision.why[1:]}.",
            "You get one more mail when it is there again.",
        ]
    html = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return {"subject": f"[{project}] {head}", "text": "\n\n".join(lines), "html": html}


def _table_of(given: Any) -> Any:
    return given.get("table") if isinstance(given, dict) else None
