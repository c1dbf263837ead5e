"""A monitor's alarms: what each looks for, what it has opened, and the way to replay the past with it."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

from trikk.alerts.incidents.book import Book
from trikk.alerts.rules.drift import DriftRule
from trikk.alerts.rules.figures import FigureRule
from trikk.alerts.rules.kinds import read_rule
from trikk.console.page_view import Sheet
from trikk.console.pages.monitors.monitor_choice import Choice, TabView

_INCIDENTS = 500  # that are counted, the newest first


def alarms_tab(choice: Choice) -> TabView:
    """The alarms as the last evaluation had them."""
    spec = choice.spec
    opened: Counter[str] = Counter()
    for one in islice(Book(choice.records.ledger).newest(), _INCIDENTS):
        if one.subject == spec.name and one.rule.about == "monitor":
            opened[one.rule.name] += 1
    alarms: list[dict[str, Any]] = []
    for alarm in spec.alarms:
        rule = read_rule(alarm)
        replayed = isinstance(rule, FigureRule | DriftRule)
        alarms.append({**alarm, "incidents": opened[rule.name], "replayed": replayed})
    fields = ("name", "kind", "when", "window", "slice", "windows", "severity", "starts", "incidents")

    def sheet() -> Sheet:
        return Sheet(fields, [[alarm.get(name) for name in fields] for alarm in alarms])

    return TabView(
        {"alarms": alarms},
        {"alarms": alarms},
        {"alarms": sheet},
        [("Replay the past:", f"trikk backtest {spec.name} --alarm NAME")],
    )
