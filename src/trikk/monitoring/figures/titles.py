"""What people call a monitor, its metrics and its slices; and what a customer does, who knows no internal name.

Titles are for reading only: no figure depends on them, so that another title makes no window anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from trikk.core.errors import UsageError
from trikk.core.names import check_title
from trikk.core.record import Record
from trikk.models.metrics.own_metric import Metric
from trikk.monitoring.cases.slices import Slice

_IN_UNIT = ("mae", "rmse", "bias", "median_error")
Named = dict[str, dict[str, Any]]
"""Of each metric or column what it is called: `title`, `unit`, `customer_name`, as far as they are given."""


class Titles(Record, frozen=True, omit_defaults=True):
    """What a monitor and its parts are called.

    Attributes:
        title: the monitor's; "" for its name, as with all others.
        customer_name: what a customer's page calls it; "" for its title.
        unit: of the values that it watches.
        baseline: the baseline's.
        metrics: by the metric's name.
        slices: by the column's name; `customer_name` is a mapping of values there.
    """

    title: str = ""
    customer_name: str = ""
    unit: str = ""
    baseline: str = ""
    metrics: Named = msgspec.field(default_factory=dict)
    slices: Named = msgspec.field(default_factory=dict)

    def monitor(self, *, customer: bool = False) -> str:
        """The monitor's title, on a customer's page or another; "" if it has none."""
        return (customer and self.customer_name) or self.title

    def metric(self, name: str, *, customer: bool = False) -> str:
        """A metric's title; "" if it has none."""
        own = self.metrics.get(name, {})
        return str((customer and own.get("customer_name")) or own.get("title", ""))

    def unit_of(self, metric: str) -> str:
        """The unit of a metric's figures; "" if it has none."""
        return str(self.metrics.get(metric, {}).get("unit") or (self.unit if _has_unit(metric) else ""))

    def column(self, name: str) -> str:
        """A slice's title; "" if it has none."""
        return str(self.slices.get(name, {}).get("title", ""))

    def value(self, column: str, text: str) -> str:
        """What a customer calls a value of a slice; "" if nothing is said of it."""
        return str(self.slices.get(column, {}).get("customer_name", {}).get(text, ""))


def columns_of(slices: Sequence[str | Slice]) -> tuple[str, ...]:
    """The columns that an author slices by."""
    return tuple(one.column if isinstance(one, Slice) else one for one in slices)


def titles_of(
    metrics: Sequence[str | Metric | Callable[..., float]], slices: Sequence[str | Slice], **own: str
) -> Titles:
    """What an author calls a monitor, and those of its metrics and slices that have a title.

    Raises:
        UsageError: if something is no line of text, or a unit is given to a metric that has none.
    """
    for name, text in own.items():
        check_title(name, text)
    named: Named = {}
    for metric in metrics:
        if isinstance(metric, Metric) and metric.called:
            if "unit" in metric.called and not (metric.function or _has_unit(metric.name)):
                raise UsageError(f"{metric.name} has no unit", next="leave out unit=")
            named[metric.name] = {**metric.called}
    columns = {one.column: one.titles for one in slices if isinstance(one, Slice)}
    return Titles(metrics=named, slices=columns, **own)


def _has_unit(metric: str) -> bool:
    """Whether a metric's figures have the unit of the values."""
    return metric in _IN_UNIT or metric.startswith("quantile_")
