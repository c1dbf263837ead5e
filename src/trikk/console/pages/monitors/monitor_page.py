"""One monitor: its figures over time, by slice and by class, what drifts, and what its alarms would have done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trikk.alerts.incidents.book import Book
from trikk.console.page_view import View
from trikk.console.pages.monitors.alarms_tab import alarms_tab
from trikk.console.pages.monitors.classes_tab import classes_tab
from trikk.console.pages.monitors.course_tab import course_tab
from trikk.console.pages.monitors.drift_tab import drift_tab
from trikk.console.pages.monitors.monitor_choice import Choice, TabView, choice_of, metrics_of
from trikk.console.pages.monitors.slices_tab import slices_tab
from trikk.core.errors import TrikkError
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Call

TABS: dict[str, tuple[str, Callable[[Choice], TabView]]] = {
    "course": ("Over time", course_tab),
    "slices": ("Slices", slices_tab),
    "classes": ("Classes", classes_tab),
    "drift": ("Drift", drift_tab),
    "alarms": ("Alarms", alarms_tab),
}
_FOLLOWED = 1000  # windows up to which a page follows what changes: years are not drawn anew for each run
_RANGES = ((14, "14"), (60, "60"), (180, "180"), (1000, "1,000"), (30_000, "all"))


def show_one_monitor(doors: Doors, call: Call) -> View:
    """Show one monitor, as the query has chosen."""
    choice = choice_of(doors, call)
    spec, records, name = choice.spec, choice.records, choice.spec.name
    label, of_tab = TABS[choice.query.tab]
    try:
        tab, trouble = of_tab(choice), ""
    except TrikkError as error:  # the rest of the page is of use all the same
        tab, trouble = TabView({}), f"{error.what}; {error.next}" if error.next else error.what
    incidents = [
        one.to_json() for one in Book(records.ledger).each(open_only=True)
        if one.subject == name and one.rule.about == "monitor"
    ]  # fmt: skip
    document: dict[str, Any] = {
        "monitor": spec.to_json(),
        "evaluated": records.cursor().at,
        "kind": choice.kind,
        "metric": choice.metric,
        "slice": list(choice.part) if choice.part else None,
        "open_incidents": incidents,
        "trouble": trouble or None,
        **tab.document,
    }
    context = {
        "spec": spec,
        "tab": choice.query.tab,
        "tab_label": label,
        "tabs": [(key, text) for key, (text, _) in TABS.items() if key == choice.query.tab or _has(choice, key)],
        "metrics": metrics_of(spec),
        "ranges": _RANGES,
        "last": choice.query.last,
        "trouble": trouble,
        **tab.context,
    }
    return View(
        spec.titles.monitor() or name,
        f"monitors/{choice.query.tab}_tab.html.j2",
        document,
        context,
        sheets=tab.sheets,
        trail=[("Monitors", "/monitors")],
        live="project" if choice.query.last <= _FOLLOWED else "",
        commands=tab.commands,
    )


def _has(choice: Choice, tab: str) -> bool:
    """Whether there is something for a tab to show."""
    spec, records = choice.spec, choice.records
    if tab == "slices":
        return bool(spec.slices)
    if tab == "drift":
        return spec.drift is not None
    if tab == "classes":
        newest = records.newest(spec, choice.kind, 1, lambda window: window.whole.labelled)
        return bool(newest and newest[0].whole.confusion)
    return True
