"""What a run costs: each attempt's time by what its step asked for, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.runs.cost import Cost, Need, Prices, Usage, dearest, graphs_of, money, needs_of, usage
from trikk.runs.journals.journal import Event

NEEDS = {
    "g": {"fit": Need(2.0, 4e9, 1.0, timeout=600.0), "rows": Need(1.0)},
    "h": {"fit": Need(8.0)},
}


def run(*events: tuple[float, str, dict[str, Any]], graph: str = "g") -> list[Event]:
    """A run that is created at 0 and does this: (when, kind, body)."""
    all_ = [(0.0, "run.created", {"graph": graph}), (0.0, "run.started", {}), *events]
    return [Event(n, "r", kind, at, body) for n, (at, kind, body) in enumerate(all_, 1)]


def started(at: float, step: str = "fit", attempt: int = 1, **more: Any) -> tuple[float, str, dict[str, Any]]:
    return at, "step.started", {"step": step, "attempt": attempt, **more}


def succeeded(at: float, seconds: float, step: str = "fit", **more: Any) -> tuple[float, str, dict[str, Any]]:
    return at, "step.succeeded", {"step": step, "outputs": [], "seconds": seconds, **more}


def failed(at: float, step: str = "fit", **more: Any) -> tuple[float, str, dict[str, Any]]:
    return at, "step.failed", {"step": step, "attempt": 1, "error": {}, "retry_in": None, **more}


def cores(events: list[Event], until: float = 1e6) -> dict[str, float]:
    return {step: used.core for step, used in usage(events, NEEDS, until).items()}


def test_an_attempt_costs_its_seconds_by_cores_memory_and_accelerators() -> None:
    spent = usage(run(started(5), succeeded(20, 10.0), (20, "run.succeeded", {})), NEEDS, 99)
    assert spent == {"fit": Usage(20.0, 40.0, 10.0, 10.0)}
    cost = Cost.of(spent, Prices("NOK", core_hour=3.6, gb_hour=0.36, gpu_hour=36.0))
    assert cost.amount == pytest.approx(0.02 + 0.004 + 0.1)
    assert cost.to_json() == {"amount": 0.124, "currency": "NOK", "steps": {"fit": 0.124}, "missing": []}
    assert Cost.read(cost.to_json()) == cost
    assert cost.text() == "0.12 NOK (fit 0.12 NOK)"


def test_failed_cancelled_and_repeated_attempts_count_by_the_clock() -> None:
    assert cores(run(started(0), failed(7), started(9, attempt=2), succeeded(20, 10.0))) == {"fit": 34.0}
    assert cores(run(started(0), (8, "step.cancelled", {"step": "fit", "attempt": 1}))) == {"fit": 16.0}
    assert cores(run(started(0), started(3, attempt=2), (5, "run.cancelled", {}))) == {"fit": 10.0}


def test_each_item_of_a_mapped_step_counts_and_putting_them_together_does_not() -> None:
    items = [started(0, "rows", item=0), started(1, "rows", item=1), failed(4, "rows", item=1)]
    ends = [succeeded(5, 5.0, "rows", item=0), succeeded(6, 5.0, "rows"), (6, "run.succeeded", {})]
    assert cores(run(*items, *ends)) == {"rows": 8.0}


def test_what_was_cached_skipped_or_never_began_costs_nothing() -> None:
    events = run(
        (1, "step.cached", {"step": "fit", "outputs": [], "run": "q", "reason": ""}),
        (2, "step.skipped", {"step": "rows", "reason": ""}),
        failed(3, "rows", attempt=0),
    )
    assert cores(events) == {}


def test_what_a_step_says_while_it_runs_does_not_end_its_attempt() -> None:
    said = [(3.0, "metric.logged", {"step": "fit", "item": None, "attempt": 1, "name": "mae", "value": 1.0})]
    assert cores(run(started(0), *said, failed(10))) == {"fit": 20.0}


def test_an_attempt_whose_driver_died_counts_until_the_run_is_resumed_and_no_longer_than_its_time_out() -> None:
    again = [started(0), (90.0, "run.resumed", {}), started(95, attempt=2), succeeded(99, 4.0)]
    assert cores(run(*again)) == {"fit": 2 * 94.0}
    late = [started(0), (90_000.0, "run.resumed", {}), started(90_001, attempt=2), failed(90_003)]
    assert cores(run(*late)) == {"fit": 2 * 602.0}


def test_a_run_that_is_resumed_with_other_code_needs_what_that_asks_for() -> None:
    events = run(started(0), failed(10), (20, "run.failed", {}), (30, "run.resumed", {"graph": "h"}), started(30))
    assert cores(events, until=40) == {"fit": 20.0 + 80.0}
    assert graphs_of(events) == ["g", "h"]


def test_what_goes_on_counts_up_to_now_and_a_step_of_a_lost_graph_as_one_core() -> None:
    assert cores(run(started(0)), until=12) == {"fit": 24.0}
    assert cores(run(started(0), graph="lost"), until=12) == {"fit": 12.0}
    assert cores(run(started(10)), until=3) == {"fit": 0.0}  # a clock that was set back takes nothing away


def test_needs_are_read_from_a_graph() -> None:
    node = {"name": "fit", "resources": {"cpus": 0.5, "memory": 10, "gpus": 2}, "timeout": 60}
    assert needs_of({"nodes": [node]}) == {"fit": Need(0.5, 10.0, 2.0, 60.0)}


def test_a_price_that_is_not_set_is_told_where_it_is_missing() -> None:
    assert Prices.of_section({"currency": "EUR"}) is None
    prices = Prices.of_section({"core_hour": 3.6})
    assert prices is not None
    cost = Cost.of({"fit": Usage(1000.0, 0.0, 5.0), "rows": Usage(2000.0)}, prices)
    assert (cost.missing, list(cost.steps)) == (("gpu_hour",), ["rows", "fit"])
    assert cost.text() == "3.00 EUR (rows 2.00 EUR, fit 1.00 EUR); no price is set for gpu_hour"
    assert Cost.of({}, prices).text() == "0.00 EUR"


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00 EUR"), (1234.5, "1,234.50 EUR"), (0.0421, "0.0421 EUR"), (1e-6, "less than 0.0001 EUR")],
)
def test_amounts_can_be_read(amount: float, text: str) -> None:
    assert money(amount, "EUR") == text


def test_the_dearest_come_first() -> None:
    assert dearest({"a": 1.0, "b": 3.0, "c": 0.0, "d": 2.0}, "EUR") == "b 3.00 EUR, d 2.00 EUR, a 1.00 EUR"
    assert dearest({"a": 0.0}, "EUR") == ""


ATTEMPT = st.tuples(
    st.sampled_from(["fit", "rows"]),
    st.one_of(st.none(), st.integers(0, 2)),
    st.integers(0, 1000),
    st.sampled_from(["succeeded", "failed", "cancelled"]),
)


@given(st.lists(ATTEMPT, max_size=12), st.integers(0, 12))
def test_a_cost_is_the_sum_of_its_attempts(attempts: list[Any], cut: int) -> None:
    def spent(some: list[Any]) -> Usage:
        clock, events = 0.0, []
        for step, item, took, end in some:
            where = {"step": step, "attempt": 1, **({} if item is None else {"item": item})}
            events.append((clock, "step.started", where))
            clock += took
            more: dict[str, Any] = (
                {"seconds": float(took)} if end == "succeeded" else {"error": {}, "retry_in": None}
            )
            events.append((clock, f"step.{end}", {**where, **more}))
        return sum(usage(run(*events), NEEDS, clock).values(), Usage())

    assert spent(attempts) == spent(attempts[:cut]) + spent(attempts[cut:])
    alone = sum((spent([one]) for one in attempts), Usage())
    assert (spent(attempts).core, spent(attempts).gpu) == (alone.core, alone.gpu)
