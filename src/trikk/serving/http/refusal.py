"""Requests that can't be answered, as the client hears of it: a status and a JSON body, never a stack trace."""

from __future__ import annotations

import json

from trikk.core.errors import PredictionError, SignatureError, TrikkError
from trikk.web.refused import Refused

_UNFIT = 422


def status_of(error: BaseException) -> int:
    """The status of an error: 422 if rows do not fit the signature, 500 where the client did nothing wrong."""
    if isinstance(error, Refused):
        return error.status
    return _UNFIT if isinstance(error, SignatureError) else 500


def body_of(error: BaseException) -> bytes:
    """The JSON body that explains an error: code, what, where, next, and the field's name if it is about one."""
    if isinstance(error, SignatureError):
        described: dict[str, str | None] = {**error.to_json(), "field": error.field}
    elif isinstance(error, PredictionError):
        described = {
            **error.to_json(),
            "next": "mend the inputs of these rows; the model takes them but has no answer",
        }
    elif isinstance(error, Refused):
        described = {**error.to_json()}
    else:
        kind = error.code if isinstance(error, TrikkError) else "error"
        problem = f"the endpoint could not answer ({type(error).__name__})"
        described = {"code": kind, "what": problem, "where": None, "next": "the endpoint's own log says more"}
    return json.dumps({"error": described}).encode()
