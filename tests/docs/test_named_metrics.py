"""Every metric is documented, and what the documentation names is a metric."""

from __future__ import annotations

import re
from pathlib import Path

from trikk.telemetry.metrics.metric_table import METRICS

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(trikk_(?:\w+))(?:\{[^`]*\})?`")


def test_every_metric_is_documented_and_every_documented_one_is_there() -> None:
    there = {metric.name for metric in METRICS}
    assert set(NAMED.findall((ROOT / "docs" / "telemetry.md").read_text())) == there
    for page in ("server.md", "streams.md", "endpoints.md"):
        assert set(NAMED.findall((ROOT / "docs" / page).read_text())) <= there, page
