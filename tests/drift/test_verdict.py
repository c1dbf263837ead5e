from __future__ import annotations

import pytest

from trikk.drift.drift_verdict import Facts, Limits, decide
from trikk.drift.measures.methods import Measured

LIMITS = Limits(threshold=0.1, missing=0.1, alpha=0.05, minimum=100)


def facts(effect: float = 0.3, values: int = 500, **more: object) -> Facts:
    measured = Measured("ks", effect, effect, 0.0, 0.0, "mean 1 -> 2")
    found = {"measured": measured, "reference_values": 500, "current_values": values, **more}
    return Facts("a", **found)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("effect", "p_value", "verdict"),
    [
        (0.3, 0.001, "drift"),
        (0.1, 0.05, "drift"),
        (0.0999, 0.001, "no drift"),
        (0.3, 0.0501, "no drift"),
        (0.0, 1.0, "no drift"),
    ],
)
def test_a_drift_needs_an_effect_and_significance(effect: float, p_value: float, verdict: str) -> None:
    assert decide(facts(effect), p_value, None, LIMITS).verdict == verdict


@pytest.mark.parametrize(
    ("share", "p_value", "verdict"),
    [(0.2, 0.001, "drift"), (0.2, 0.2, "no drift"), (0.05, 0.001, "no drift"), (0.2, None, "no drift")],
)
def test_a_change_in_missing_values_needs_both_too(share: float, p_value: float | None, verdict: str) -> None:
    assert decide(facts(0.0, current_missing=share), 1.0, p_value, LIMITS).verdict == verdict


def test_few_values_give_no_verdict_but_missing_ones_may() -> None:
    few = facts(values=99, measured=None, current_missing=0.9)
    assert decide(few, None, None, LIMITS).verdict == "insufficient data"
    assert decide(few, None, 0.001, LIMITS).verdict == "drift"


def test_trouble_comes_before_all_else() -> None:
    found = decide(Facts("a", "the column is gone"), None, 0.0, LIMITS)
    assert (found.verdict, found.reason, found.method) == ("not comparable", "the column is gone", None)
