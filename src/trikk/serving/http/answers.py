"""Predictions as the client asked for them: JSON with ids, lines of CSV, or an Arrow stream."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.serving.http.bodies import ARROW_TYPE, CSV_TYPE, TYPES, header_said
from trikk.serving.http.refusal import body_of, status_of
from trikk.web.refused import JSON_TYPE, Refused

if TYPE_CHECKING:
    import polars as pl

_ANY = ("", "*/*", "application/*")
_CSV = {None: CSV_TYPE, True: f"{CSV_TYPE}; header=present", False: f"{CSV_TYPE}; header=absent"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to a client."""

    status: int  # the HTTP status
    body: bytes
    content_type: str = JSON_TYPE  # their kind
    rows: int = 0  # how many predictions are in it
    id: str = ""  # what the ids of its predictions begin with, or ""


def refusal(error: BaseException) -> Answer:
    """The answer that explains an error."""
    return Answer(status_of(error), body_of(error))


def chosen_type(accept: str) -> str:
    """The first media type of an Accept header that is served, CSV with what is said of its header (RFC 4180).

    Raises:
        Refused: with 406 if none is.
    """
    for part in accept.split(","):
        kind, _, parameters = part.partition(";")
        kind = kind.strip().lower()
        if kind in _ANY:
            return JSON_TYPE
        if kind in ("text/*", CSV_TYPE):
            return _CSV[header_said(parameters)]
        if kind in TYPES:
            return kind
    raise Refused(406, f"no answer of type {accept[:60]!r} is given", next=f"accept one of: {', '.join(TYPES)}")


def answer(kind: str, request: str, columns: Sequence[pl.Series], model: str, version: int) -> Answer:
    """The predictions of a request, as the `kind` of `chosen_type`; row 3 has the prediction id "REQUEST-3"."""
    rows = len(columns[0])
    if kind.startswith(CSV_TYPE):
        kind, body = _csv(kind, columns)
    elif kind == ARROW_TYPE:
        import polars as pl

        file = io.BytesIO()
        pl.DataFrame([pl.Series("prediction_id", ids(request, rows)), *columns]).write_ipc_stream(file)
        body = file.getvalue()
    else:
        body = _json(_predictions(ids(request, rows), columns), model, version)
    return Answer(200, body, kind, rows, request)


def _csv(kind: str, columns: Sequence[pl.Series]) -> tuple[str, bytes]:
    """Lines of values; their names come first where there are several, or as the client wants it."""
    import polars as pl

    header = kind == _CSV[True] or (kind == CSV_TYPE and len(columns) > 1)
    return _CSV[True] if header else CSV_TYPE, pl.DataFrame(columns).write_csv(include_header=header).encode()


def _predictions(named: list[str], columns: Sequence[pl.Series]) -> list[dict[str, Any]]:
    lists = [column.to_list() for column in columns]
    if columns[0].dtype.is_temporal():
        lists[0] = [None if value is None else value.isoformat() for value in lists[0]]
    if len(lists) == 1:
        return [{"prediction_id": one, "value": value} for one, value in zip(named, lists[0], strict=True)]
    names = ["prediction_id", *(column.name for column in columns)]
    return [dict(zip(names, row, strict=True)) for row in zip(named, *lists, strict=True)]


def _json(predictions: list[dict[str, Any]], model: str, version: int) -> bytes:
    document = {"predictions": predictions, "model": model, "model_version": version}
    try:
        return json.dumps(document, allow_nan=False).encode()
    except ValueError:  # a model that may give no number has given none
        document["predictions"] = [{name: _finite(value) for name, value in one.items()} for one in predictions]
        return json.dumps(document, allow_nan=False).encode()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def ids(request: str, rows: int) -> list[str]:
    """The prediction ids of a request's rows."""
    return [f"{request}-{row}" for row in range(rows)]
