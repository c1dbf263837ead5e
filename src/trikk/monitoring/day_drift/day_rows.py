"""A day's profile, made of its cases: the one place that says which rows each column is made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from trikk.drift import Profile
from trikk.drift.measures.column_kinds import CALENDAR, kind_of
from trikk.drift.measures.column_summary import ColumnProfile
from trikk.monitoring.cases.case_columns import OBSERVED, PREDICTED
from trikk.monitoring.cases.case_join import cases, errors
from trikk.monitoring.cases.case_join import within as in_time
from trikk.monitoring.cases.changes import Source
from trikk.monitoring.cases.class_cases import SAID, TRUTH, is_of_chances, with_classes
from trikk.monitoring.cases.windows import Window, WindowState, state_of
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DayProfile
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    import polars as pl

    from trikk.models.registry import Registry

ROLES = ("prediction", "truth", "error")
_IDS = ("prediction_id", "model", "model_version", "run")


def features_of(spec: MonitorSpec, drift: Drift, schema: pl.Schema) -> list[str]:
    """The feature columns of a table that are compared; those that are named and missing are left out."""
    if "features" not in drift.of:
        return []
    if drift.columns is not None:
        return [name for name in dict.fromkeys(drift.columns) if name in schema]
    own = {*spec.key, spec.slot, spec.prediction, spec.made_at, spec.baseline, spec.expected_error, *spec.interval}
    return [
        name
        for name, dtype in schema.items()
        if name not in (*own, *_IDS) and kind_of(dtype) not in (*CALENDAR, "nested")
    ]


def absent(drift: Drift, schema: pl.Schema) -> list[str]:
    """The feature columns that are named, and that the table does not have."""
    return [name for name in drift.columns or () if "features" in drift.of and name not in schema]


def case_rows(
    spec: MonitorSpec, features: Sequence[str], source: Source, windows: Sequence[Window], registry: Registry
) -> pl.DataFrame:
    """The cases of neighbouring days, each with its features; classes as texts, too."""
    start, end = windows[0].start, windows[-1].end
    known = [rows for (first, last), rows in source.joined.items() if first <= start and end <= last]
    bare = replace(spec, slices=tuple(features), baseline="", interval=(), expected_error="")
    if known and not features:
        joined = in_time(spec, known[0], known[0].schema, start, end)
    else:
        joined = cases(bare, source.predictions, source.truth, start, end, registry=registry)
    of_classes = None if is_of_chances(bare, joined, registry) else with_classes(bare, joined, registry)
    return joined if of_classes is None else of_classes


def within(spec: MonitorSpec, rows: Any, window: Window) -> Any:
    """The rows of a frame, lazy or not, whose slot is in a window."""
    return in_time(spec, rows, rows.collect_schema(), window.start, window.end)


def day_profile(
    spec: MonitorSpec,
    drift: Drift,
    window: Window,
    rows: pl.DataFrame,
    features: pl.DataFrame | None,
    names: Sequence[str],
    now: datetime,
) -> DayProfile:
    """Sum up a day.

    Predictions and features are of the cases that have a prediction; truths of all that are there and errors of
    the cases that have both, once the day's labels are in (its state is final): a part of the places would differ
    from all of them.

    Args:
        spec: the monitor.
        drift: its drift.
        window: the day.
        rows: its cases.
        features: its rows of the table of features; None if they are in the cases.
        names: the columns that are features.
        now: the time.
    """
    import polars as pl

    predicted = rows.filter(pl.col(PREDICTED).is_not_null())
    both = predicted.filter(pl.col(OBSERVED).is_not_null())
    observed = rows[OBSERVED].drop_nulls()
    counts = predicted.height, len(observed), both.height
    state = state_of(window, *counts, delay=spec.label_delay, now=now, least=spec.least, settling=spec.settling)
    labels = state is WindowState.FINAL
    given = predicted if features is None else features
    columns = {_feature(name): ColumnProfile.of(given[name]) for name in names}
    columns["prediction"] = ColumnProfile.of(predicted[PREDICTED])
    if "truth" in drift.of:
        columns["truth"] = ColumnProfile.of(observed if labels else observed.clear())
    if "error" in drift.of:
        off = both[TRUTH] != both[SAID] if TRUTH in both.columns else errors(both[PREDICTED], both[OBSERVED])
        columns["error"] = ColumnProfile.of(off if labels else off.clear())
    return DayProfile(window.label, Profile(predicted.height, columns), labels, *_model(predicted))


def _feature(name: str) -> str:
    """What a feature is called beside the three that are always called the same."""
    return f"features.{name}" if name in ROLES else name


def _model(predicted: pl.DataFrame) -> tuple[str, int | None]:
    """The model and version that made most of the predictions."""
    import polars as pl

    if predicted.is_empty() or not {"model", "model_version"} <= set(predicted.columns):
        return "", None
    counted = predicted.group_by("model", "model_version").len().sort("len", "model", "model_version")
    name, version = counted.select(pl.col("model").cast(pl.String), pl.col("model_version").cast(pl.Int64)).row(-1)
    return name or "", version
