"""One process does it: claims over the ledger, for whatever many processes might do at the same time.

A claim is an entry that names the process. It is written before anything is done, and of many processes one writes
it: the others lose by the entry's identity, or because the subject has a later entry than they have seen
(`after=`). It ends with the entry that tells how it went. Nobody renews it, so a process that dies in between
leaves it behind, and whoever looks next has to judge whether somebody is still at it (`is_at_it`):

- On the same machine the kernel tells whether the process lives. If it does, it may yet have given up: its disk
  was full when it was to write the end down, and `trikk watch` lives on. A claim's `token` tells such claims from
  those that a process is at, but only to the process itself. Without one (earlier builds wrote none for messages,
  mails and evaluations) a claim counts as long as its process lives.
- On another machine nothing can be asked. After `UNKNOWN_FOR` seconds of silence it is taken for gone.

A run is not claimed but leased (`trikk.runs.journals.lease`): it takes hours, is renewed, and every write to it is
checked. Locks of files (`trikk.storage.stores.locks`) are for what concerns one machine's folder.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from trikk.core.errors import Conflict
from trikk.core.values import JSON
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.ledger import Entry, Ledger

UNKNOWN_FOR = 900.0
"""Seconds after which a process on another host, of which nothing is heard, is taken for gone."""
_OPEN: set[str] = set()  # tokens of the claims that this process is at


def is_at_it(alive: bool | None, since: float, now: float) -> bool:
    """Whether a process may still be at what it has claimed. Pure.

    Args:
        alive: whether it lives and has not given up; None if that can't be told from here.
        since: when it claimed it, seconds since 1970.
        now: the time by the same clock.
    """
    return alive is True or (alive is None and now < since + UNKNOWN_FOR)


@dataclass(frozen=True, slots=True)
class Claim:
    """What an entry tells of the process that has claimed something.

    Attributes:
        holder: the process.
        since: when it claimed it, seconds since 1970.
        token: tells the claims of one process apart; "" in entries of builds that had none.
    """

    holder: Holder
    since: float
    token: str = ""

    @classmethod
    def read(cls, at: float, body: Mapping[str, Any]) -> Claim:
        """The claim in an entry's body; it counts from the entry's own time, if the body has no other."""
        return cls(Holder(**body["holder"]), body.get("since", at), body.get("token", ""))

    def is_alive(self) -> bool | None:
        """Whether the process is at it still; None if that can't be told from here. Asks the system."""
        if self.token and self.holder == Holder.current():
            return self.token in _OPEN
        return self.holder.is_alive()


class Claims:
    """The claims that this process makes within a `with` block; what has no end behind the block was given up.

    Args:
        ledger: where they are written down.
        at: the time of the entries, seconds since 1970.
    """

    def __init__(self, ledger: Ledger, at: float) -> None:
        self._ledger = ledger
        self._at = at
        self._tokens: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _OPEN.difference_update(self._tokens)

    def take(
        self,
        subject: str,
        kind: str,
        body: Mapping[str, JSON],
        *,
        identity: str | None = None,
        after: int | None = None,
        since: float | None = None,
    ) -> Entry | None:
        """Claim something.

        Args:
            subject: where the entry goes.
            kind: of the entry.
            body: what it says beside who claims it.
            identity: makes the claim unique in its subject.
            after: `seq` of the last entry of the subject that was read before deciding (0 for none).
            since: by the clock that will be asked whether the claim counts still, if that is not the entries'.

        Returns:
            The entry; None if another process was faster.
        """
        token = secrets.token_hex(8)
        claim: dict[str, JSON] = {**body, "holder": Holder.current().to_json(), "token": token}
        if since is not None:
            claim["since"] = since
        _OPEN.add(token)  # before the entry: another thread may read it at once
        self._tokens.append(token)
        return self.note(subject, kind, claim, identity=identity, after=after)

    def note(
        self,
        subject: str,
        kind: str,
        body: dict[str, JSON],
        *,
        identity: str | None = None,
        after: int | None = None,
    ) -> Entry | None:
        """Write down how something that was claimed has ended; arguments and result as of `take`."""
        try:
            added = self._ledger.add(subject, kind, body, at=self._at, identity=identity, after=after)
        except Conflict:
            return None
        return None if added.repeated else added.entry
