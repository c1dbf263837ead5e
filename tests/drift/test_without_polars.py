"""What a device does: it sums up numbers with numpy alone, and sends, merges and reads the summaries."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import polars as pl
from tests.drift.samples import numbers

from trikk.drift.measures.column_summary import ColumnProfile

DEVICE = """
import json, sys
for name in ("polars", "deltalake", "pyarrow", "pandas"):
    sys.modules[name] = None  # as if it were not installed

import numpy as np
from trikk.drift.measures.number_summary import Numbers
from trikk.drift.profile import Profile

hours = [Numbers.of(np.sort(np.array(values))) for values in json.load(sys.stdin)]
day = hours[0].merge(*hours[1:])
assert Numbers.read(json.loads(json.dumps(day.to_json()))) == day
print(json.dumps(day.to_json()))
"""


def of_device(hours: list[np.ndarray]) -> dict[str, object]:
    """What a device says of these hours, in an interpreter of its own that has no polars."""
    values = json.dumps([hour.tolist() for hour in hours])
    done = subprocess.run(
        [sys.executable, "-c", DEVICE], input=values, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_a_device_without_polars_sums_up_numbers_as_the_server_does() -> None:
    hours = [numbers("lognormal", 400, seed) for seed in range(6)] + [numbers("sales", 50, 7), np.array([])]
    columns = [ColumnProfile.of(pl.Series(hour, dtype=pl.Float64)) for hour in hours]
    day = columns[0].merge(*columns[1:])
    assert day.summary is not None
    assert of_device(hours) == json.loads(json.dumps(day.summary.to_json()))


def test_the_same_summaries_merged_at_once_give_the_same_bytes_again() -> None:
    parts = [ColumnProfile.of(pl.Series(numbers("normal", 700, seed))) for seed in range(9)]
    first, again = (json.dumps(parts[0].merge(*parts[1:]).to_json()) for _ in range(2))
    assert first == again
    digests = [part.summary.digest for part in parts]  # type: ignore[union-attr]
    assert digests[0].merge(*digests[1:]) == digests[-1].merge(*digests[-2::-1])
