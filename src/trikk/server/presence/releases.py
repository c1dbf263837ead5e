"""Whose triggers count while servers of different code serve one project.

A release is the digest of a project's code. It is announced in the ledger when a server first serves it, and the
order of first announcements is that of releases: restarting a server of old code makes that code no newer. Of the
releases that living servers serve, the one that was announced last counts. A server that fires no triggers has no
say in that, unless none does: else newer code that only answers would keep the others from firing. So a roll-out
takes effect with its first server, and a roll-back with the end of the last server of what is rolled back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from trikk.runs.journals.ledger import Ledger
from trikk.runs.journals.server_beats import Server

SUBJECT = "releases"
ANNOUNCED = "release.announced"
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """What one server may do, as of its last look at the others.

    Attributes:
        mine: the release that it serves; "" as long as it could load none.
        current: the release whose triggers count; "" if no living server serves any.
        serving: the servers whose release counts, in the order in which they began.
    """

    mine: str = ""
    current: str = ""
    serving: tuple[Server, ...] = ()

    @property
    def may_fire(self) -> bool:
        """Whether this server's triggers count, and it may start runs."""
        return self.mine != "" and self.mine == self.current

    @property
    def is_outdone(self) -> bool:
        """Whether another release counts; not if none does, since no server could load any code."""
        return self.current not in ("", self.mine)

    @property
    def whose(self) -> str:
        """Whose the triggers are, in words, such as "release 3f2a91c0 on north, south"."""
        if not self.current:
            return "nobody's: no server is there"
        hosts = ", ".join(dict.fromkeys(server.holder.host for server in self.serving))
        return f"release {self.current[:_SHOWN]} on {hosts}"


def current_release(served: Collection[str], announced: Sequence[str]) -> str:
    """The release whose triggers count. Pure.

    Args:
        served: the releases of the living servers.
        announced: all releases, in the order of their first announcements.

    Returns:
        The one of those served that was announced last; "" if there is none.
    """
    return next((release for release in reversed(announced) if release in served), "")


def standing(mine: str, there: Sequence[Server], announced: Sequence[str]) -> Standing:
    """What a server of release `mine` may do while these live, itself among them. Pure."""
    loaded = [server for server in there if server.release]
    counting = [server for server in loaded if server.fires] or loaded
    current = current_release({server.release for server in counting}, announced)
    return Standing(mine, current, tuple(server for server in counting if server.release == current))


def announce(ledger: Ledger, release: str, server: Server, at: float) -> None:
    """Write down that a release is served, if it never was."""
    body = {"host": server.holder.host, "server": server.id}
    ledger.add(SUBJECT, ANNOUNCED, {**body}, at=at, identity=release)


class Announced:
    """The releases that the ledger knows, in the order of their first announcements; reads what is new."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._releases: list[str] = []
        self._read = 0

    def read(self) -> Sequence[str]:
        """All of them by now."""
        for entry in self._ledger.entries(SUBJECT, after=self._read):
            self._releases.append(entry.identity or "")
            self._read = entry.seq
        return self._releases
