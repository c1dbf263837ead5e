"""A call to somebody outside while all is well: when it stays away, they tell people that the server is away.

Nobody in a machine can report that the machine is gone. Services such as healthchecks.io do: they are called every
minute, and write a mail when a call does not come.
"""

from __future__ import annotations

import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence

from trikk.core.clock import Clock
from trikk.core.errors import UsageError
from trikk.core.network.addresses import fill, web_address

EVERY = 60.0
_SECONDS = 10.0
_LOG = logging.getLogger("trikk.server")


class Heartbeat:
    """Calls an address every minute, as long as every part of the server turns.

    That it can't be reached hurts nothing and is logged when it begins; the address is in no log.

    Args:
        written: the address, with `${NAME}` for what the environment has.
        clock: the time.
        stuck: names the parts of the server that do not turn.

    Raises:
        UsageError: if it is no address of the web, or a variable is not set.
    """

    name = "heartbeat"

    def __init__(self, written: str, clock: Clock, stuck: Callable[[], Sequence[str]]) -> None:
        self._address = fill(web_address(written, "server.heartbeat"), where="server.heartbeat")
        if not self._address.text.startswith(("http://", "https://")):
            raise UsageError("the heartbeat's variable holds no address", next="let it begin with https://")
        self._clock = clock
        self._stuck = stuck
        self._next = 0.0
        self._calling: threading.Thread | None = None
        self._problem = ""

    def turn(self, now: float) -> float:  # noqa: ARG002 - how long ago the last call was is told by another clock
        """Call if it is time; seconds until the next look.

        A thread of its own calls: whoever is called may take their time to answer.
        """
        moment = self._clock.monotonic()
        if moment >= self._next and not (self._calling is not None and self._calling.is_alive()):
            self._next = moment + EVERY
            if stuck := self._stuck():
                self._note(f"it is left out, for these do not turn: {', '.join(stuck)}")
            else:
                self._calling = threading.Thread(target=self._call, name="heartbeat", daemon=True)
                self._calling.start()
        return max(1.0, self._next - moment)

    def close(self) -> None:
        """A call that is under way is left to itself."""

    def _call(self) -> None:
        try:
            with urllib.request.urlopen(self._address.text, timeout=_SECONDS):  # noqa: S310 - checked to be http
                self._note("")
        except urllib.error.HTTPError as error:
            error.close()
            self._note(f"the answer was {error.code}")
        except Exception as error:  # noqa: BLE001 - a heartbeat must never hurt, whatever a library raises
            reason = getattr(error, "reason", error)
            self._note(f"it can't be sent ({type(reason).__name__})")  # its text may have the address

    def _note(self, problem: str) -> None:
        if problem and problem != self._problem:
            _LOG.warning("heartbeat: %s", problem)
        self._problem = problem
