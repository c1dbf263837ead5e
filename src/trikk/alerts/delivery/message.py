"""What people are told: what is wrong, since when, how bad, the end of the failed step's log, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from trikk.alerts.incidents.decision import Change, Decision
from trikk.alerts.incidents.incident import Incident
from trikk.alerts.rules.rule import Severity
from trikk.core.durations import lasting
from trikk.core.text import printable, shorten
from trikk.core.values import JSON
from trikk.core.zones import local_text

_HEADS = {Change.UPDATED: "worse: ", Change.ESCALATED: "still open: ", Change.UNMUTED: "still open: "}
_COLOURS = {Severity.ALARM: "#b42318", Severity.WARNING: "#b54708", Severity.INFO: "#175cd3"}
_GREEN = "#067647"
LOG_LINES = 15
_LONGEST = 2_000  # characters of a text that users wrote: services cut messages off at 4,000 and less


@dataclass(frozen=True, slots=True)
class Failure:
    """How a run failed."""

    step: str
    error: str  # one line
    log: tuple[str, ...] = ()  # the last lines of its log, or of its stack trace
    next: str = ""  # the command that goes on with the run


@dataclass(frozen=True, slots=True)
class Message:
    """One message, ready for any channel."""

    key: str  # unique in the project, and the same at every attempt
    severity: Severity  # of the incident
    resolved: bool  # whether it is an all-clear
    subject: str  # one line
    text: str  # for channels that show plain text
    html: str  # the same for mail
    data: dict[str, JSON]  # the same for programs


def message(
    incident: Incident,
    decision: Decision,
    *,
    project: str,
    zone: str,
    url: str = "",
    failure: Failure | None = None,
) -> Message:
    """Put what is told of an incident into words."""
    is_over = decision.kind is Change.RESOLVED
    mark = "resolved" if is_over else incident.severity.upper()
    title = _shown(incident.title)
    subject = f"[{project}] {mark}: {_HEADS.get(decision.kind, '')}{title}"
    facts = _facts(incident, decision, zone)
    next_ = [] if is_over else commands(incident, decision, failure)
    link = f"{url}/incidents/{quote(incident.id)}" if url else ""
    about = f"incident {incident.id} of project {project}, rule {incident.rule.name}"
    text = _text(title, facts, failure, next_, link, about)
    colour = _GREEN if is_over else _COLOURS[incident.severity]
    html = page(f"{mark}: {title}", colour, facts, failure, next_, link, about)
    data: dict[str, JSON] = {
        **_data(incident, decision, failure),
        "next": [*next_],
        "link": link or None,
        "project": project,
    }
    return Message(f"{incident.id}/{decision.key}", incident.severity, is_over, subject, text, html, data)


def _text(
    title: str,
    facts: Sequence[tuple[str, str]],
    failure: Failure | None,
    next_: Sequence[str],
    link: str,
    about: str,
) -> str:
    """The message for channels that show plain text; arguments as of `page`."""
    width = max(len(name) for name, _ in facts) + 3
    lines = [title, "", *(f"{name + ':':<{width}}{value}" for name, value in facts), *_failure_text(failure)]
    lines += ["", "next:", *(f"  {line}" for line in next_)] if next_ else []
    lines += ["", link] if link else []
    return "\n".join([*lines, "", about])


def _data(incident: Incident, decision: Decision, failure: Failure | None) -> dict[str, JSON]:
    """The message for programs: facts as they are, not as people read them."""
    return {
        "incident": incident.id,
        "message": decision.key,
        "kind": decision.kind.word,
        "severity": incident.severity,
        "title": incident.title,
        "why": decision.why,
        "since": incident.since,
        "at": decision.at,
        "facts": dict(decision.point.facts) if decision.point else {},
        "step": failure.step if failure else None,
        "log": list(failure.log) if failure else [],
    }


def digest(messages: Sequence[Message], *, project: str, url: str = "") -> Message:
    """Many messages as one: a line for each, the worst first."""
    worst_first = [*Severity]
    # What is over comes last, however bad it was.
    ranked = sorted(messages, key=lambda m: (m.resolved, worst_first.index(m.severity)))
    over = sum(m.resolved for m in ranked)
    counts = [f"{len(ranked) - over} open or worse"] if over < len(ranked) else []
    counts += [f"{over} resolved"] if over else []
    subject = f"[{project}] {len(ranked)} incidents: {', '.join(counts)}"
    lines = [(m.subject.removeprefix(f"[{project}] "), _shown(str(m.data["why"]))) for m in ranked]
    text = "\n".join([subject, "", *(f"{head}\n  {why}" for head, why in lines), "", "next:", "  trikk incidents"])
    first = next((m for m in ranked if not m.resolved), ranked[0])
    colour = _GREEN if first.resolved else _COLOURS[first.severity]
    html = page(
        f"{len(ranked)} incidents: {', '.join(counts)}",
        colour,
        lines,
        None,
        ["trikk incidents"],
        f"{url}/incidents" if url else "",
        f"project {project}",
    )
    data: dict[str, JSON] = {"kind": "digest", "project": project, "messages": [m.data for m in ranked]}
    # The same for the same messages, so that a digest that is sent again can be known.
    key = f"digest/{len(ranked)}/{ranked[0].key}"
    return Message(key, first.severity, first.resolved, subject, text, html, data)


def run_of(decision: Decision) -> str:
    """The run that a message is about; "" if it is about none."""
    return decision.point.run if decision.point else ""


def commands(incident: Incident, decision: Decision, failure: Failure | None = None) -> list[str]:
    """What to do about it, as commands; `failure` as of `message`."""
    go_on = failure.next if failure is not None else ""
    of_rule = incident.rule.commands(incident.subject, decision.point, go_on)
    return [*of_rule, f"trikk incidents {incident.id}", f"trikk incidents ack {incident.id}"]


def _shown(text: str) -> str:
    """What users wrote, on one line that is not too long to read."""
    return shorten(printable(text), _LONGEST)


def _facts(incident: Incident, decision: Decision, zone: str) -> list[tuple[str, str]]:
    facts = [("what", _shown(decision.why)), ("since", local_text(incident.since, zone))]
    if decision.kind is Change.RESOLVED:
        lasted = lasting(max(0.0, (incident.resolved or decision.at) - incident.opened))
        facts.append(("was open for", lasted))
    else:
        facts.append(("severity", incident.severity))
    if decision.point is not None:
        facts += [
            (_shown(name.replace("_", " ")), _shown(str(value))) for name, value in decision.point.facts.items()
        ]
    for start in incident.starts:
        run = f"run {start.run} {start.state}" if start.run else start.why or start.state
        facts.append(("started", _shown(f"{start.pipeline}: {run}")))
    if incident.rule.starts and not incident.starts and decision.kind is not Change.RESOLVED:
        facts.append(("starts", incident.rule.starts))
    return facts


def _failure_text(failure: Failure | None) -> list[str]:
    if failure is None:
        return []
    log = ["the end of its log:", *(f"  | {_shown(line)}" for line in failure.log[-LOG_LINES:])]
    return ["", f"failed step:  {failure.step}: {_shown(failure.error)}", *(log if failure.log else [])]


_CELL = "padding:4px 16px 4px 0;vertical-align:top;"
_PRE = (
    "background:#f2f4f7;padding:12px;border-radius:4px;white-space:pre-wrap;"
    "font:12px/1.5 monospace;margin:4px 0 0;"
)


def page(
    title: str,
    colour: str,
    facts: Sequence[tuple[str, str]],
    failure: Failure | None,
    next_: Sequence[str],
    link: str,
    about: str,
) -> str:
    """A page that mail programs show: tables, styles within the elements, nothing fetched from elsewhere."""
    rows = "".join(
        f'<tr><td style="{_CELL}color:#667085;">{escape(name)}</td><td style="{_CELL}">{escape(value)}</td></tr>'
        for name, value in facts
    )
    parts = [
        f'<h2 style="margin:0 0 12px;font-size:18px;color:{colour};">{escape(title)}</h2>',
        f'<table style="border-collapse:collapse;font-size:14px;">{rows}</table>',
    ]
    if failure is not None:
        parts.append(f"<p><b>Failed step {escape(failure.step)}</b>: {escape(_shown(failure.error))}</p>")
        if failure.log:
            lines = escape("\n".join(map(_shown, failure.log[-LOG_LINES:])))
            parts.append(f'<p style="margin:12px 0 0;">The end of its log</p><pre style="{_PRE}">{lines}</pre>')
    if next_:
        shown = escape("\n".join(next_))
        parts.append(f'<p style="margin:12px 0 0;">Next</p><pre style="{_PRE}">{shown}</pre>')
    if link:
        parts.append(f'<p><a href="{escape(link, quote=True)}">Open it in the console</a></p>')
    parts.append(f'<p style="color:#667085;font-size:12px;">{escape(about)}</p>')
    return (
        '<div style="font-family:system-ui,-apple-system,Segoe UI,sans-serif;color:#101828;max-width:720px;'
        f'border-left:4px solid {colour};padding:4px 0 4px 20px;">{"".join(parts)}</div>'
    )
