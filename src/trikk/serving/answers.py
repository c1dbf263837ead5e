"""Predictions as the client asked for them: JSON with ids, lines of values, or an Arrow stream."""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.serving.bodies import ARROW_TYPE, CSV_TYPE, TYPES
from trikk.serving.refusal import JSON_TYPE, Refused, body_of, status_of

if TYPE_CHECKING:
    import polars as pl

_ANY = ("", "*/*", "application/*")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to a client.

    Attributes:
        status: the HTTP status.
        body: its bytes.
        content_type: their kind.
        rows: how many predictions are in it.
        id: what the ids of its predictions begin with, or "".
    """

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    rows: int = 0
    id: str = ""


def refusal(error: BaseException) -> Answer:
    """The answer that explains an error."""
    return Answer(status_of(error), body_of(error))


def chosen_type(accept: str) -> str:
    """The first media type of an Accept header that is served; Refused with 406 if none is."""
    for part in accept.split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind in _ANY:
            return JSON_TYPE
        if kind == "text/*":
            return CSV_TYPE
        if kind in TYPES:
            return kind
    raise Refused(406, f"no answer of type {accept[:60]!r} is given", next=f"accept one of: {', '.join(TYPES)}")


def answer(kind: str, request: str, values: pl.Series, model: str, version: int) -> Answer:
    """The predictions of one request.

    Args:
        kind: one of TYPES.
        request: the request's id; row 3 of it has the prediction id "request-3".
        values: one for each row.
        model: the model's name.
        version: the version that made them.
    """
    if kind == CSV_TYPE:
        body = values.to_frame().write_csv(include_header=False).encode()
    elif kind == ARROW_TYPE:
        import polars as pl

        file = io.BytesIO()
        frame = pl.DataFrame([pl.Series("prediction_id", ids(request, len(values))), values])
        frame.write_ipc_stream(file)
        body = file.getvalue()
    else:
        listed = values.to_list()
        if values.dtype.is_temporal():
            listed = [None if value is None else value.isoformat() for value in listed]
        found = [
            {"prediction_id": one, "value": value}
            for one, value in zip(ids(request, len(listed)), listed, strict=True)
        ]
        told = {"predictions": found, "model": model, "model_version": version}
        try:
            body = json.dumps(told, allow_nan=False).encode()
        except ValueError:  # a model that may give no number has given none
            told["predictions"] = [{**one, "value": _finite(one["value"])} for one in found]
            body = json.dumps(told, allow_nan=False).encode()
    return Answer(200, body, kind, len(values), request)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def ids(request: str, rows: int) -> list[str]:
    """The prediction ids of a request's rows."""
    return [f"{request}-{row}" for row in range(rows)]
