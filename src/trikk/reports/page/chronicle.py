"""What happened in a period besides predictions: models that became champion, incidents that were open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from trikk.models.registry import Registry
from trikk.models.state import Move, MoveState
from trikk.reports.page.page_content import Holder, Trouble
from trikk.reports.page.words import moment_text
from trikk.runs.journals.ledger import Entry, Ledger

CHAMPION = "champion"
_INCIDENTS = "incident/"


def champions(
    ledger: Ledger,
    names: Sequence[str] | None,
    environment: str,
    start: float,
    end: float,
    zone: ZoneInfo,
    until: float | None,
) -> tuple[list[Holder], float | None]:
    """Which versions were champion from `start` to before `end`, as far as was written down by `until`.

    Returns:
        The versions, and when the newest of these facts was written down.
    """
    registry = Registry(ledger)
    last = end if until is None else min(end, until)
    holders: list[Holder] = []
    newest: float | None = None
    for name in registry.names():
        if names is not None and name not in names:
            continue
        moves = [m for m in registry.moves(name, environment) if m.alias == CHAMPION and _counts(m, end, last)]
        # The last one before the period held the alias when it began, however long ago it got it.
        earlier = [m for m in moves if m.at < start][-1:]
        moves_seen = [*earlier, *(m for m in moves if m.at >= start)]
        holders += [_holder(name, move, move.at >= start, zone) for move in moves_seen]
        newest = max([*(m.at for m in moves_seen), *([newest] if newest is not None else [])], default=None)
    return holders, newest


def _counts(move: Move, end: float, last: float) -> bool:
    return move.at < end and move.at <= last


def _holder(model: str, move: Move, moved: bool, zone: ZoneInfo) -> Holder:
    back = "rolled back" + (f": {move.why}" if move.why else "")
    why = back if move.state == MoveState.RETURNED else move.why
    return Holder(model, move.version, moment_text(move.at, zone), moved, why, move.by)


def incidents(
    ledger: Ledger, start: float, end: float, zone: ZoneInfo, until: float | None
) -> tuple[list[Trouble], float | None]:
    """The incidents that were open from `start` to `end`, oldest first; arguments as of `champions`.

    Each subject `incident/...` of the ledger is one, opened and resolved by entries of these kinds.
    """
    troubles: list[tuple[float, Trouble]] = []
    newest: list[float] = []
    by_subject: dict[str, list[Entry]] = {}
    for entry in ledger.history(_INCIDENTS):
        if until is None or entry.at <= until:
            by_subject.setdefault(entry.subject, []).append(entry)
    for subject, entries in by_subject.items():
        opened = _first(entries, "incident.opened")
        if opened is None or opened.at >= end:
            continue
        resolved = _first(reversed(entries), "incident.resolved")
        # Open at some moment of the period is enough: most incidents span more than a day.
        if resolved is not None and resolved.at < start:
            continue
        newest += [opened.at, *([resolved.at] if resolved else [])]
        troubles.append((opened.at, _trouble(subject, opened, resolved, zone)))
    ordered = sorted(troubles, key=lambda one: (one[0], one[1].id))
    return [trouble for _, trouble in ordered], max(newest, default=None)


def _first(entries: Iterable[Entry], kind: str) -> Entry | None:
    return next((entry for entry in entries if entry.kind == kind), None)


def _trouble(subject: str, opened: Entry, resolved: Entry | None, zone: ZoneInfo) -> Trouble:
    body: dict[str, Any] = opened.body
    name = subject.removeprefix(_INCIDENTS)
    return Trouble(
        id=name.replace("/", "-"),
        title=str(body.get("title") or name),
        severity=str(body.get("severity") or ""),
        opened=moment_text(opened.at, zone),
        resolved=moment_text(resolved.at, zone) if resolved else "",
        why=str(body.get("why") or ""),
    )
