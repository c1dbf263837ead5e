"""Batch prediction: rows in pieces, each with an id that is the same whenever the same step is repeated."""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.digests import short_digests
from trikk.core.errors import PredictionError, SignatureError, UsageError
from trikk.models.calling.invoke import predictions
from trikk.models.calling.model_columns import Fitted, fitted_on, inputs_of
from trikk.models.calling.set_aside import INDEX, REASON, Parted, Repeated, reasons_text, unfit
from trikk.models.keys import RESERVED, check_columns, check_keys, key_text, repeated_keys
from trikk.models.signature import Signature
from trikk.models.version import ModelVersion, as_version
from trikk.runs.context import StepContext, current_step
from trikk.storage.frames import lazy_of
from trikk.storage.row_batches import batches
from trikk.storage.tables.rejected_rows import rejected_rows

if TYPE_CHECKING:
    import polars as pl

ID_LENGTH = 32
_HELD = 4  # pieces of predictions in memory at once: as many rows as are computed at once when they are stored
_LOG = logging.getLogger("trikk.predict")


@dataclass(frozen=True, slots=True)
class _Job:
    """What is the same for all rows."""

    model: Any
    known: Fitted
    signature: Signature | None
    name: str
    version: int | None
    where: str
    key: list[str]
    slot: str | None
    keep: list[str]
    allow_nan: bool
    run: str
    identity: str
    now: datetime

    @property
    def about(self) -> list[str]:
        """The columns that name a row."""
        return [*self.key, *([self.slot] if self.slot else [])]


def predict_frame(
    model: ModelVersion | Any,
    frame: Any,
    *,
    key: str | Sequence[str],
    slot: str | None = None,
    keep: str | Sequence[str] = (),
    allow_nan: bool = False,
) -> Any:
    """Predict the rows of a frame; see `trikk.predict`."""
    import polars as pl

    context = current_step()
    lazy = lazy_of(frame)
    job, needed = _planned(model, lazy, key, slot, keep, allow_nan)
    # before anything is predicted: a key that comes twice is known in seconds, predictions may take hours
    check_keys(lazy, job.about)
    names = lazy.collect_schema().names()
    wanted = list(dict.fromkeys([*job.about, *job.keep, *(name for name in needed if name in names)]))
    folder = _folder(context)
    parts: list[pl.LazyFrame] = []
    pieces: list[pl.DataFrame] = []
    for batch in batches(lazy.select(wanted)):
        # written only once there are more: most nights' predictions fit, and would be read right back
        if len(pieces) == _HELD:
            parts.append(_on_disk(pieces, folder / f"{len(parts):06}.arrow"))
            pieces = []
        pieces.append(_predicted(job, batch, needed))
    if not pieces:
        return _predicted(job, lazy.select(wanted).collect(), needed).lazy()
    return pl.concat([*parts, pl.concat(pieces).lazy()])


def _on_disk(pieces: list[pl.DataFrame], path: Path) -> pl.LazyFrame:
    import polars as pl

    pl.concat(pieces).write_ipc(path)
    return pl.scan_ipc(path, glob=False)


def predict_valid(
    model: ModelVersion | Any,
    frame: Any,
    *,
    key: str | Sequence[str],
    slot: str | None = None,
    keep: str | Sequence[str] = (),
    allow_nan: bool = False,
    at_most: float = 1.0,
) -> tuple[Any, Any, int]:
    """Predict the rows that can be predicted; see `trikk.predict`.

    Returns:
        The predictions; the other rows as their table has them; and how many these are.
    """
    import polars as pl

    context = current_step()
    lazy = lazy_of(frame)
    # what has no value is set aside, if it must have one
    job, needed = _planned(model, lazy, key, slot, keep, allow_nan=True)

    def values(predicted: pl.DataFrame) -> list[str]:
        return [] if allow_nan else predicted.columns[len(job.about) + 2 : predicted.columns.index("model")]

    parted = Parted(lambda rows: _predicted(job, rows, needed), needed, values)
    repeated = Repeated(job.about, repeated_keys(lazy, job.about))
    folder, about, beside = _folder(context), _about(context, job.now), [*job.about, *job.keep]
    good: list[Path] = []
    bad: list[Path] = []
    reasons: Counter[str] = Counter()
    total = 0
    for n, batch in enumerate(batches(lazy)):
        predicted, why = _parted(job, batch, parted, repeated)
        total += batch.height
        if predicted.height:
            good.append(folder / f"{n:06}.arrow")
            predicted.write_ipc(good[-1])
        reasons.update(why.drop_nulls())
        if why.null_count() < batch.height:
            bad.append(folder / f"{n:06}.aside.arrow")
            rejected_rows(batch.lazy(), pl.lit(why), about, beside).write_ipc(bad[-1])
    # nothing but failures says that the model is broken, not the rows
    if parted.error is not None and parted.failed == total:
        raise parted.error
    count = sum(reasons.values())
    _tell(context, reasons, total, at_most)
    nothing = lazy.clear()
    made_all = pl.scan_ipc(good, glob=False) if good else _predicted(job, nothing.collect(), needed).lazy()
    aside = rejected_rows(nothing, pl.lit(None, pl.String), about, beside).lazy()
    return made_all, pl.scan_ipc(bad, glob=False) if bad else aside, count


def _parted(job: _Job, batch: pl.DataFrame, parted: Parted, repeated: Repeated) -> tuple[pl.DataFrame, pl.Series]:
    """The predictions of a batch, and of each of its rows why it has none; null where it has one."""
    import polars as pl

    try:
        why = unfit(batch, job.about, job.signature)
        fit = batch.with_row_index(INDEX).filter(why.is_null())
        predicted = parted.of(fit) if fit.height else _predicted(job, batch.clear(), parted.inputs)
    except (SignatureError, PredictionError) as error:
        error.where = job.where
        raise
    if not fit.height:
        return predicted, why
    good = predicted.filter(predicted[REASON].is_null())
    again = {good[INDEX][place] for place in repeated.of(good)}
    key = ", ".join(job.about)
    later = {
        index: reason or (f"{key} came before" if index in again else None)
        for index, reason in zip(predicted[INDEX], predicted[REASON], strict=True)
    }
    all_reasons = [later.get(n, reason) for n, reason in enumerate(why)]
    chosen = good.filter(~good[INDEX].is_in(list(again))).drop(INDEX, REASON)
    return chosen, pl.Series(REASON, all_reasons, pl.String)


def _about(context: StepContext | None, now: datetime) -> dict[str, Any]:
    """When, in what run and at which step rows were set aside."""
    if context is None:
        return {"at": now, "run": None, "pipeline": None, "gate": "predict"}
    return {"at": now, "run": context.run, "pipeline": context.pipeline, "gate": context.step}


def _tell(context: StepContext | None, reasons: Counter[str], total: int, at_most: float) -> None:
    """Say what was set aside; PredictionError if it is too much."""
    count = sum(reasons.values())
    if not count:
        return
    text = reasons_text(reasons, total)
    if count > at_most * total:
        raise PredictionError(
            f"{text}; that is {count / total:.1%}, and at_most={at_most:g} may be set aside",
            next="mend these rows, or raise at_most=",
        )
    if context is not None:
        context.notes.append(text)
    if count == total:
        _LOG.warning("nothing is predicted: %s", text)


def _planned(
    model: Any,
    rows: pl.LazyFrame,
    key: str | Sequence[str],
    slot: str | None,
    keep: str | Sequence[str],
    allow_nan: bool,
) -> tuple[_Job, list[str]]:
    """What is the same for all rows, and the names of the model's inputs; refuses columns that can't be these."""
    schema = rows.collect_schema()
    keys, kept = ([names] if isinstance(names, str) else list(names) for names in (key, keep))
    job = _job(model, current_step(), keys, slot, kept, allow_nan)
    outputs = [field.name for field in job.signature.outputs] if job.signature else []
    check_columns(schema, keys, slot, kept, [*RESERVED, *outputs])
    return job, job.signature.names if job.signature else _unnamed_inputs(job, schema.names())


def _job(
    model: Any,
    context: StepContext | None,
    key: list[str],
    slot: str | None,
    keep: list[str],
    allow_nan: bool,
) -> _Job:
    if model is None:
        raise UsageError(
            "there is no model to predict with", next="promote a version to the alias, or guard the step"
        )
    version = as_version(model)
    fitted = model if version is None else version.load(context.artifacts if context else None)
    return _Job(
        fitted,
        fitted_on(fitted),
        None if version is None else version.signature,
        type(fitted).__name__ if version is None else version.name,
        None if version is None else version.version,
        f"model {type(fitted).__name__}" if version is None else f"model {version.reference}",
        key,
        slot,
        keep,
        allow_nan,
        context.run if context else "",
        context.identity if context else "",
        context.now if context else datetime.now(UTC),
    )


def _unnamed_inputs(job: _Job, columns: list[str]) -> list[str]:
    """The inputs of a model without a signature: those that it names, else all that have no other part."""
    unnamed = [name for name in columns if name not in (*job.about, *job.keep)]
    return inputs_of(job.model, columns, unnamed, job.known)


def _predicted(job: _Job, rows: pl.DataFrame, inputs: list[str]) -> pl.DataFrame:
    import polars as pl

    keys = rows.select(job.about)
    given = rows if job.signature else rows.select(inputs)
    try:
        answers = predictions(job.model, given, job.signature, keys=keys, allow_nan=job.allow_nan, known=job.known)
    except (SignatureError, PredictionError) as error:
        error.where = job.where
        raise
    return keys.with_columns(
        prediction_id=prediction_ids(job.identity, keys),
        predicted_at=pl.lit(job.now, pl.Datetime("us", "UTC")),
        **{column.name: column for column in answers.get_columns()},
        model=pl.lit(job.name),
        model_version=pl.lit(job.version, pl.Int64),
        run=pl.lit(job.run),
        **{name: rows[name] for name in job.keep},
    ).select(
        "prediction_id", *job.about, "predicted_at", *answers.columns, "model", "model_version", "run", *job.keep
    )


def prediction_ids(identity: str, keys: pl.DataFrame) -> pl.Series:
    """An id for each row: the first 128 bits, in hexadecimal, of BLAKE3 over the identity and the row's key.

    Args:
        identity: what is repeated if the same ids are to come again, such as a step's identity.
        keys: the columns that name a row, in order.

    Returns:
        A String column of `ID_LENGTH` characters each.
    """
    import polars as pl

    texts = pl.select(pl.lit(f"{identity}\n") + key_text(keys)).to_series().cast(pl.Binary)
    return pl.Series("prediction_id", short_digests(texts, ID_LENGTH // 2), pl.Binary).bin.encode("hex")


def _folder(context: StepContext | None) -> Path:
    """Where the pieces are until the result is saved; outside of a run, until the process ends."""
    if context is not None:
        return context.artifacts.scratch()
    folder = Path(tempfile.mkdtemp(prefix="trikk-predict-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
