"""Monitoring: predictions against late ground truth, from a figure down to its cause."""

from __future__ import annotations

from trikk.monitoring.ab.shadow import shadow
from trikk.monitoring.cases.slices import Slice
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.estimates.estimate_step import estimate_error
from trikk.monitoring.monitor import Monitor

__all__ = ["Drift", "Monitor", "Slice", "estimate_error", "shadow"]
