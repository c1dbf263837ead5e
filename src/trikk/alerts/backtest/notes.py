"""What to know about a backtest beside its numbers, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from trikk.alerts.backtest.answer import Backtest
from trikk.alerts.backtest.past import Known
from trikk.alerts.backtest.question import Question
from trikk.alerts.backtest.threshold_sweep import Sweep
from trikk.alerts.rules.drift import DriftRule


def notes_on(
    question: Question, found: Backtest, sweep: Sweep | None, known: Sequence[Known[Any]]
) -> Iterator[str]:
    """What to know about an answer.

    Args:
        question: the question.
        found: its answer.
        sweep: what numbers were tried in; None if none were.
        known: the monitor's records.
    """
    if question.good is None:
        yield _good_days(question, found)
        yield from _blamed(found)
    if sweep is not None and sweep.is_empty:
        yield _unjudged(sweep, known)
    if found.rule.starts:
        yield f"each opening starts {found.rule.starts}: what that would have changed is not in this"


def _good_days(question: Question, found: Backtest) -> str:
    if question.events:
        return f"days up to {found.good.last} are taken for good: --known-ok FROM:TO tells better"
    return "all days are taken for good, so that every alarm counts as false: --known-ok FROM:TO tells better"


def _blamed(found: Backtest) -> Iterator[str]:
    """What to say of an alarm that counts as false and may have been a sign of the event."""
    for met in found.detections:
        if met.early and any(one.opened.day == met.night and found.is_false(one) for one in found.episodes or ()):
            yield (
                f"the alarm of {met.night}, still open on {met.event}, counts as false: if it was about the same,"
                " name the day on which that began as --event"
            )


def _unjudged(sweep: Sweep, known: Sequence[Known[Any]]) -> str:
    rule = sweep.rule
    if isinstance(rule, DriftRule):
        return "no day could be judged: none was compared and has its labels"
    figures = (one for k in known for one in k.record.figures if one.slice == rule.slice)
    most = max((one.labelled for one in figures), default=0)
    each = f"of one {rule.slice} " if rule.slice else ""
    needed = f"it takes {rule.min_labelled} labelled cases {each}(--min-labelled)"
    return f"no window could be judged: {needed}, and there are {most} at most"
