"""What a run costs, estimated from what its steps asked for: cores, memory and accelerators for a time. Pure.

Every attempt counts, also one that failed, and each item of a mapped step. A result that was taken from an earlier
run has no attempt and costs nothing. An attempt that succeeded took the seconds that it reported; any other the
wall time between its start and the next event of its step, or the run's end. When its driver died, nobody saw it
end: it counts up to the moment at which the run was resumed, but for no longer than the step's time-out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import field

from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.pipeline.policies import Resources
from trikk.runs.events import EventKind

if TYPE_CHECKING:
    from trikk.runs.journals.journal import Event
    from trikk.runs.run_state import Task

HOUR = 3600.0
GB = 10**9
_RUN_BEGINS = (EventKind.RUN_CREATED, EventKind.RUN_STARTED, EventKind.RUN_RESUMED)
_RUN_ENDS = (EventKind.RUN_SUCCEEDED, EventKind.RUN_FAILED, EventKind.RUN_CANCELLED)
_ENDS = (EventKind.STEP_STARTED, EventKind.STEP_SUCCEEDED, EventKind.STEP_FAILED, EventKind.STEP_CANCELLED)


class Usage(Record, frozen=True):
    """What was taken: cores, gigabytes of 10**9 bytes and accelerators, each times seconds; and the seconds."""

    core: float = 0.0
    gb: float = 0.0
    gpu: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.core + other.core, self.gb + other.gb, self.gpu + other.gpu, self.seconds + other.seconds
        )


class Need(Record, frozen=True):
    """What an attempt of a step takes while it runs.

    Attributes:
        cpus: cores.
        memory: bytes; 0 if it is not known.
        gpus: accelerators.
        timeout: seconds that an attempt may take; None for any.
    """

    cpus: float = 1.0
    memory: float = 0.0
    gpus: float = 0.0
    timeout: float | None = None

    def over(self, seconds: float) -> Usage:
        """What is taken in so many seconds."""
        return Usage(self.cpus * seconds, self.memory / GB * seconds, self.gpus * seconds, seconds)


class Prices(Record, frozen=True):
    """What an hour costs, as `[costs]` of trikk.toml has it; None where there is no price.

    Attributes:
        currency: as it is shown behind amounts.
        core_hour: of one core.
        gb_hour: of 10**9 bytes of memory that were asked for.
        gpu_hour: of one accelerator.
    """

    currency: str = "EUR"
    core_hour: float | None = None
    gb_hour: float | None = None
    gpu_hour: float | None = None

    @classmethod
    def of_section(cls, section: Mapping[str, Any]) -> Prices | None:
        """The prices of a checked section; None if it sets none."""
        prices = cls(**{name: section[name] for name in cls.__struct_fields__ if name in section})
        is_set = any(price is not None for price in (prices.core_hour, prices.gb_hour, prices.gpu_hour))
        return prices if is_set else None

    def of(self, usage: Usage) -> float:
        """The price of what was taken, in the currency."""
        return (
            usage.core * (self.core_hour or 0.0)
            + usage.gb * (self.gb_hour or 0.0)
            + usage.gpu * (self.gpu_hour or 0.0)
        ) / HOUR

    def missing(self, usage: Usage) -> list[str]:
        """The settings without which some of what was taken has no price."""
        pairs = {"core_hour": usage.core, "gb_hour": usage.gb, "gpu_hour": usage.gpu}
        return [name for name, amount in pairs.items() if amount and getattr(self, name) is None]


class Cost(Record, frozen=True):
    """What something costs.

    Attributes:
        amount: in the currency.
        currency: such as "EUR".
        steps: the amount by step, the dearest first.
        missing: the prices that are not set and without which the amount is too low.
    """

    amount: float
    currency: str
    steps: dict[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @classmethod
    def of(cls, spent: Mapping[str, Usage], prices: Prices) -> Cost:
        """The cost of what steps took."""
        steps = {name: prices.of(usage) for name, usage in spent.items()}
        ranked = dict(sorted(steps.items(), key=lambda pair: (-pair[1], pair[0])))
        whole = sum(spent.values(), Usage())
        return cls(sum(ranked.values()), prices.currency, ranked, tuple(prices.missing(whole)))

    def to_json(self) -> dict[str, JSON]:
        """What `read` takes; amounts are rounded to millionths."""
        steps: dict[str, JSON] = {name: round(amount, 6) for name, amount in self.steps.items()}
        amount = round(self.amount, 6)
        return {"amount": amount, "currency": self.currency, "steps": steps, "missing": list(self.missing)}

    def text(self, most: int = 3) -> str:
        """In words, with the dearest steps: "0.42 EUR (fit 0.31 EUR, rows 0.11 EUR)"."""
        steps = dearest(self.steps, self.currency, most)
        without = f"; no price is set for {', '.join(self.missing)}" if self.missing else ""
        return f"{money(self.amount, self.currency)}{f' ({steps})' if steps else ''}{without}"


def dearest(amounts: Mapping[str, float], currency: str, most: int = 3) -> str:
    """The greatest of some amounts, in words; "" if none is above zero."""
    ranked = sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
    return ", ".join(f"{name} {money(amount, currency)}" for name, amount in ranked if amount > 0)


def money(amount: float, currency: str) -> str:
    """An amount for people: "12.30 EUR", "0.0042 EUR"."""
    if 0 < amount < 0.0001:
        return f"less than 0.0001 {currency}"
    return f"{amount:,.2f} {currency}" if amount >= 0.1 or not amount else f"{amount:.4f} {currency}"


def needs_of(graph: Mapping[str, Any]) -> dict[str, Need]:
    """What the steps of a graph need, from the graph as JSON."""
    needs = {}
    for node in graph["nodes"]:
        resources = node["resources"]
        timeout = node.get("timeout")
        needs[node["name"]] = Need(
            float(resources["cpus"]),
            float(resources["memory"]),
            float(resources["gpus"]),
            None if timeout is None else float(timeout),
        )
    return needs


def graphs_of(events: Iterable[Event]) -> list[str]:
    """The digests of the graphs that a run was made from, each once; several if it was resumed with other code."""
    named = (event.body.get("graph") for event in events if event.kind in _RUN_BEGINS)
    return list(dict.fromkeys(str(digest) for digest in named if digest))


def usage(events: Iterable[Event], needs: Mapping[str, Mapping[str, Need]], until: float) -> dict[str, Usage]:
    """What each step of a run took, over all its attempts and items.

    Args:
        events: of one run, in order.
        needs: of each graph, by its digest, what its steps need; a step that is in none takes one core.
        until: the time (seconds since 1970) up to which attempts count that nothing has ended.
    """
    meter = _Meter(needs)
    for event in events:
        meter.take(event)
    meter.end_all(until)
    return meter.spent


class _Meter:
    """Adds attempts up, event by event."""

    def __init__(self, needs: Mapping[str, Mapping[str, Need]]) -> None:
        self.needs = needs
        self.graph: Mapping[str, Need] = {}
        self.running: dict[Task, tuple[float, Need]] = {}
        self.spent: dict[str, Usage] = {}

    def take(self, event: Event) -> None:
        body: Mapping[str, Any] = event.body
        if event.kind in _RUN_BEGINS:
            self.end_all(event.at, lost=True)
            if body.get("graph"):
                self.graph = self.needs.get(body["graph"], {})
        elif event.kind in _RUN_ENDS:
            self.end_all(event.at)
        elif event.kind in _ENDS:
            task = body["step"], body.get("item")
            took = body.get("seconds") if event.kind == EventKind.STEP_SUCCEEDED else None
            self.end(task, event.at, took)
            if event.kind == EventKind.STEP_STARTED:
                self.running[task] = event.at, self.graph.get(task[0], _ANY)

    def end(self, task: Task, at: float, took: float | None = None, *, lost: bool = False) -> None:
        if task not in self.running:
            return  # it was cached, put together from its items, or never began
        began, need = self.running.pop(task)
        seconds = max(0.0, at - began) if took is None else took
        if lost and need.timeout is not None:
            seconds = min(seconds, need.timeout)
        self.spent[task[0]] = self.spent.get(task[0], Usage()) + need.over(seconds)

    def end_all(self, at: float, *, lost: bool = False) -> None:
        for task in list(self.running):
            self.end(task, at, lost=lost)


_ANY = Need(float(Resources().cpus))
