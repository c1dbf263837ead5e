"""A batch of requests in, their answers and the log's rows out: what a worker does, without sockets.

Requests of a batch are checked and predicted together. If that fails, each is tried alone, so that only the
request that is at fault is refused.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.errors import PredictionError
from trikk.models.calling.dtypes import dtype_of, is_number
from trikk.models.calling.invoke import predictions, raw_predictions
from trikk.models.calling.model_columns import fitted_on
from trikk.models.signature import Field
from trikk.models.version import ModelVersion
from trikk.serving.http.answers import Answer, answer, chosen_type, ids, refusal
from trikk.serving.http.bodies import Body, Columns, Reader
from trikk.serving.model_processes.typed_columns import frame_of, is_exact, logged_columns, value_as, with_times

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its body, and the kinds of answer that its client takes."""

    body: Body
    accept: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """An answered batch."""

    answers: list[Answer]  # one for each request
    log: bytes  # the log's rows as an Arrow stream; empty for none
    rows: int  # how many were predicted
    # the type in which a model without a signature has its values logged; "" for others, and for no rows
    value: str = ""


@dataclass(slots=True)
class _Read:
    """A request whose body is read."""

    index: int
    kind: str
    rows: Columns | pl.DataFrame
    id: str


@dataclass(frozen=True, slots=True)
class Logging:
    """What is logged of a prediction."""

    fields: Sequence[Field] = ()  # the key's columns and the slot's, in order, as the table holds them
    inputs: bool = True  # whether the model's inputs are, as JSON
    value: str = ""  # the type of the table's values; "" where it is not known yet


class Predictor:
    """Answers requests with one model version."""

    def __init__(
        self, model: Any, version: ModelVersion, logging: Logging | None, *, max_bytes: int, max_rows: int
    ) -> None:
        self.model = model
        self._known = fitted_on(model)  # once, since it costs as much as a small model
        self._version = version
        self._logging = logging
        self._inputs = version.signature.inputs if version.signature else ()
        own = {field.name for field in self._inputs}
        extra = [field for field in (logging.fields if logging else ()) if field.name not in own]
        fields = (*self._inputs, *extra)
        self._fields = {field.name: field for field in fields}
        self._logged = dtype_of(logging.value) if logging and logging.value else None
        self._reader = Reader(fields, version.signature is None, max_bytes, max_rows, extra)

    def answer(self, requests: Sequence[Request]) -> Done:
        """Answer a batch; whatever is wrong with a request becomes its answer."""
        answers: list[Answer | None] = [None] * len(requests)
        groups: dict[object, list[_Read]] = {}
        for index, request in enumerate(requests):
            try:
                kind = chosen_type(request.accept)
                rows = self._reader.read(request.body)
            except Exception as error:  # noqa: BLE001 - the client hears of it, the other requests don't
                answers[index] = refusal(error)
                continue
            # Only requests of one form can be one frame: the same columns, in Arrow and CSV of the same types,
            # too.
            form = tuple(rows) if isinstance(rows, dict) else tuple(rows.schema.items())
            groups.setdefault(form, []).append(_Read(index, kind, rows, os.urandom(16).hex()))
        logs: list[pl.DataFrame] = []
        for group in groups.values():
            self._group(group, answers, logs)
        finished = [one for one in answers if one is not None]
        kinds = [] if self._version.signature else [is_number(log["value"].dtype) for log in logs]
        value = "" if not kinds else "Float64" if all(kinds) else "String"
        return Done(finished, _stream(logs), sum(one.rows for one in finished), value)

    def _group(self, group: list[_Read], answers: list[Answer | None], logs: list[pl.DataFrame]) -> None:
        try:
            done, log = self._together(group)
        except Exception as error:  # noqa: BLE001 - as above
            if len(group) == 1:
                answers[group[0].index] = refusal(error)
                return
            for one in group:
                # One bad row must not refuse the others that happened to come at the same time.
                self._group([one], answers, logs)
            return
        for read, given in zip(group, done, strict=True):
            answers[read.index] = given
        logs += log

    def _together(self, group: list[_Read]) -> tuple[list[Answer], list[pl.DataFrame]]:
        """The answers of requests of one form, and their rows in the log."""
        frame = with_times(self._merged(group), list(self._fields.values()))
        extra = logged_columns(frame, self._logging.fields) if self._logging else []
        columns = self._outputs(self._given(frame))
        if self._logging and self._version.signature is None:
            self._check_logged(columns[0])
        answers, at, names = [], 0, []
        for one in group:
            rows = len(next(iter(one.rows.values()))) if isinstance(one.rows, dict) else one.rows.height
            part = columns if len(group) == 1 else [column.slice(at, rows) for column in columns]
            answers.append(answer(one.kind, one.id, part, self._version.name, self._version.version))
            names += ids(one.id, rows)
            at += rows
        return answers, [self._log(names, frame, extra, columns)] if self._logging else []

    def _outputs(self, rows: pl.DataFrame) -> list[pl.Series]:
        """What is predicted: "value", and a classifier's probabilities; the errors are those of `predictions`."""
        signature = self._version.signature
        if signature is not None and is_exact(rows, signature.inputs):
            outputs = raw_predictions(self.model, rows, signature, known=self._known)
            if is_exact(outputs, signature.outputs):
                return outputs.get_columns()
        nullable = signature is not None and signature.output.nullable
        return predictions(self.model, rows, signature, allow_nan=nullable, known=self._known).get_columns()

    def _check_logged(self, values: pl.Series) -> None:
        """Refuse what the table can't hold: one such row would keep all others of its file out of it."""
        import polars as pl

        dtype = values.dtype
        if self._logged is None and dtype != pl.Null:
            self._logged = pl.Float64() if is_number(dtype) else pl.String()
        nested = dtype.is_nested() or dtype in (pl.Binary, pl.Object)
        if nested or (self._logged is not None and value_as(values, self._logged).dtype != self._logged):
            raise PredictionError(
                f"the model gives {dtype}, and the log of predictions holds {self._logged}",
                next="register the model with inputs=, so that only what it takes reaches it",
            )

    def _given(self, frame: pl.DataFrame) -> pl.DataFrame:
        """What the model gets: its inputs, or, where they are not known, everything that is not only logged."""
        import polars as pl

        if self._inputs:
            own = [frame[field.name] for field in self._inputs]
        else:
            extra = {field.name for field in self._logging.fields} if self._logging else set()
            own = [column for column in frame.get_columns() if column.name not in extra]
        return pl.DataFrame(own)

    def _merged(self, group: list[_Read]) -> pl.DataFrame:
        import polars as pl

        lists = [one.rows for one in group if isinstance(one.rows, dict)]
        if not lists:
            return pl.concat([one.rows for one in group if isinstance(one.rows, pl.DataFrame)])
        merged = lists[0]
        if len(lists) > 1:
            merged = {name: [value for one in lists for value in one[name]] for name in lists[0]}
        return frame_of(merged, self._fields)

    def _log(
        self, names: list[str], frame: pl.DataFrame, extra: list[pl.Series], outputs: list[pl.Series]
    ) -> pl.DataFrame:
        import polars as pl

        assert self._logging is not None
        rows = len(names)
        version = self._version
        columns = [
            pl.Series("prediction_id", names),
            *extra,
            pl.Series("predicted_at", [time.time_ns() // 1000] * rows, pl.Datetime("us", "UTC")),
            *outputs,
            pl.Series("model", [version.name]).new_from_index(0, rows),
            pl.Series("model_version", [version.version], pl.Int64).new_from_index(0, rows),
            pl.Series("run", [version.run]).new_from_index(0, rows),
        ]
        if self._logging.inputs:
            columns.append(
                pl.Series("inputs", [_as_json(row) for row in self._given(frame).iter_rows(named=True)])
            )
        return pl.DataFrame(columns)


def _as_json(row: dict[str, Any]) -> str:
    return json.dumps(row, separators=(",", ":"), default=str)


def _stream(logs: list[pl.DataFrame]) -> bytes:
    """Frames as one Arrow stream; they have the same columns, and values of several types without a signature."""
    if not logs:
        return b""
    import polars as pl

    file = io.BytesIO()
    (logs[0] if len(logs) == 1 else pl.concat(logs, how="vertical_relaxed")).write_ipc_stream(file)
    return file.getvalue()
