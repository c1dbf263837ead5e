"""The error with which a gate stops a run."""

from __future__ import annotations

from typing import Any

from trikk.core.errors import PermanentError


class GateBlocked(PermanentError):
    """At least one check whose severity is "block" failed; trying again would not help.

    Attributes:
        result: the gate's whole result, as `quality_gate` returns it where nothing blocks.
    """

    code = "gate-blocked"

    def __init__(self, what: str, result: dict[str, Any], *, next: str) -> None:  # noqa: A002 - as in TrikkError
        super().__init__(what, next=next)
        self.result = result
