"""What type checkers see of the public interface: checked by mypy --strict, never run."""

from __future__ import annotations

from datetime import date
from typing import assert_type

from trikk import Pipeline, Retry, Step, Table, pipeline, step, when


@step
def plain(rows: int, rate: float = 0.1) -> float:
    return rows * rate


@step(retry=Retry(2), timeout="1m")
def configured(text: str) -> dict[str, float]:
    return {text: 1.0}


@pipeline
def nightly(day: date, rate: float = 0.1) -> None:
    share = plain(3, rate=rate)
    assert_type(share, float)
    scores = configured("mae")
    assert_type(scores, dict[str, float])
    with when(scores["mae"] <= 3):
        Table("scores").append(scores)
    plain.options(name="again", after=[share])(4)


assert_type(plain(3), float)
assert_type(nightly, Pipeline)
tested: Step[[str], dict[str, float]] = configured
plain("3")  # type: ignore[arg-type]
plain(3, speed=1)  # type: ignore[call-arg]
