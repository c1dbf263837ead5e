"""Whether values are distributed as they were: in features, predictions and errors.

Use it like this::

    from trikk.drift import compare, profile

    report = compare(training_rows, rows_of_today)
    for column in report.drifted:
        print(column.column, column.reason)

Profiles are summaries that can be merged, kept and sent; `compare` accepts them instead of rows. All of this is
pure: monitors decide what is compared with what, and when.
"""

from __future__ import annotations

from trikk.drift.column_comparison import compare
from trikk.drift.day_windows import FixedWindow, Reference, SlidingWindow, TrainingData, spans
from trikk.drift.drift_report import ColumnDrift, DriftReport, Method, MethodName, Verdict
from trikk.drift.measures.distances_of_series import ks, psi
from trikk.drift.profile import Profile, profile

__all__ = [
    "ColumnDrift",
    "DriftReport",
    "FixedWindow",
    "Method",
    "MethodName",
    "Profile",
    "Reference",
    "SlidingWindow",
    "TrainingData",
    "Verdict",
    "compare",
    "ks",
    "profile",
    "psi",
    "spans",
]
