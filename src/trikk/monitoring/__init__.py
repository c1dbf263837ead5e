"""Monitoring: predictions against late ground truth, from a figure down to its cause."""

from __future__ import annotations

from trikk.monitoring.ab_shadow import shadow
from trikk.monitoring.monitor import Monitor

__all__ = ["Monitor", "shadow"]
