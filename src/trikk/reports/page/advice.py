"""What to do after reading a page: few things, each with its command. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from trikk.core.text import counted
from trikk.reports.page import words
from trikk.reports.page.page_content import Action, PointState, Section, Trouble, Verdict


def actions(report: str, period: str, sections: Sequence[Section], troubles: Sequence[Trouble]) -> list[Action]:
    """What the figures ask for, the most urgent first."""
    advice = [
        Action(f"Incident {trouble.id} is open: {trouble.title}", "trikk incidents")
        for trouble in troubles
        if not trouble.resolved
    ]
    for section in sections:
        advice += _section(report, period, section)
    return advice


def _section(report: str, period: str, section: Section) -> list[Action]:
    advice = []
    look = f"trikk monitor {section.monitor}"
    metric = section.metric
    if overdue := section.states[PointState.OVERDUE]:
        windows = counted(overdue, section.window)
        advice.append(Action(f"Labels of {windows} are overdue: see whether {section.watches} comes in", look))
    if metric.gain is not None and metric.gain < 0:
        text = f"The baseline {section.baseline} was better: compare the model with its predecessors"
        advice.append(Action(text, "trikk models"))
    if section.worst and metric.verdict is Verdict.WORSE:
        text = f"See which cases made {words.window_text(section.worst)} the worst {section.window}"
        advice.append(Action(text, f"{look} --kind {section.window} --window {section.worst} --worst 20"))
    if missing := section.states[PointState.MISSING]:
        text = f"{counted(missing, section.window)} of the period {_are(missing)} not evaluated (yet)"
        advice.append(Action(text, "trikk watch --once"))
    if waiting := section.states[PointState.PENDING] + section.states[PointState.PARTIAL]:
        text = f"{counted(waiting, section.window)} {_are(waiting)} without all labels: make this report again"
        advice.append(Action(text, _again(report, period)))
    return advice


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _again(report: str, period: str) -> str:
    return f"trikk report {report} --for {period}"
