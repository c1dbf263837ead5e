"""Monitoring: predictions against late ground truth, from a figure down to its cause."""

from __future__ import annotations

from trikk.monitoring.ab_shadow import shadow
from trikk.monitoring.drift_definition import Drift
from trikk.monitoring.estimate import estimate_error
from trikk.monitoring.monitor import Monitor
from trikk.monitoring.titles import Slice

__all__ = ["Drift", "Monitor", "Slice", "estimate_error", "shadow"]
