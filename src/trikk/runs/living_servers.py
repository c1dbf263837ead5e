"""Which servers of a project live, and which are missed. Pure, but for asking this machine for a process.

A server beats every `BEAT_EVERY` seconds. One that has not beaten for `LOST_AFTER`, or whose process is dead on
this machine, is lost, unless it has left in order. It is missed until a server that began later lives: on the next
start of a container or machine nothing is left of the earlier one but its row, so that nobody else can say it is
back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trikk.core.values import JSON
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.server_beats import Server

BEAT_EVERY = 10.0
LOST_AFTER = 45.0
"""Seconds without a beat; clocks of machines that share a journal differ by less than that."""

IsAlive = Callable[[Holder], bool | None]
"""Whether a process lives; None if that can't be told from here."""


def living(servers: Iterable[Server], now: float, is_alive: IsAlive = Holder.is_alive) -> list[Server]:
    """The servers that are there.

    One whose process lives but does not beat is not: whatever has stopped it, it serves nobody.
    """
    return [
        server
        for server in servers
        if server.left is None and now - server.at <= LOST_AFTER and is_alive(server.holder) is not False
    ]


def missed(servers: Iterable[Server], now: float, is_alive: IsAlive = Holder.is_alive) -> list[Server]:
    """The servers that went without leaving, and that none has followed."""
    known = list(servers)
    there = living(known, now, is_alive)
    newest = max((server.since for server in there), default=0.0)
    lost = [server for server in known if server.left is None and server not in there]
    return [server for server in lost if server.at >= newest]


def server_document(server: Server, *, lives: bool) -> dict[str, JSON]:
    """A server as it is listed; times in seconds since 1970."""
    return {
        "id": server.id,
        "host": server.holder.host,
        "pid": server.holder.pid,
        "release": server.release,
        "since": server.since,
        "at": server.at,
        "left": server.left,
        "lives": lives,
        "fires": server.fires,
        "says": server.says,
    }
