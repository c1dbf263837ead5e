"""What the columns of cases are called, beside the key, the slot and the slices, which keep their names."""

from __future__ import annotations

PREDICTED, OBSERVED, BASELINE, LOWER, UPPER = "_predicted", "_observed", "_baseline", "_lower", "_upper"
EXPECTED = "_expected_error"
PROBABILITY = "_probability"
"""The probability of the positive one of two classes; of several, each with `_` and its class behind."""
MADE_BY = ("model", "model_version")
"""The columns of predictions that say which version made a row."""
