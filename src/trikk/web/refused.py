"""A request that is refused for its form, before anything is done for it."""

from __future__ import annotations

from collections.abc import Mapping

from trikk.core.errors import UsageError

JSON_TYPE = "application/json"


class Refused(UsageError):
    """A request that is refused for its form: too large, unreadable, or of a kind that is not served."""

    code = "request"

    def __init__(
        self,
        status: int,
        what: str,
        *,
        where: str | None = None,
        next: str | None = None,  # noqa: A002
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(what, where=where, next=next)
        self.status = status
        self.headers = dict(headers or {})  # of the answer, such as `allow`; names in lower case
