"""What people call a monitor, its metrics and its slices; and what a customer does, who knows no internal name.

Titles are for reading only: no figure depends on them, so that another title makes no window anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trikk.core.errors import DefinitionError, TrikkError, UsageError
from trikk.core.names import check_title
from trikk.models.metrics.own_metric import Metric
from trikk.monitoring.cases.slices import slice_text
from trikk.pipeline.location import caller

_IN_UNIT = ("mae", "rmse", "bias", "median_error")
Named = dict[str, dict[str, Any]]
"""Of each metric or column what it is called: `title`, `unit`, `customer_name`, as far as they are given."""


class Slice:
    """A column to slice by, and what people call it: `Monitor(..., slices=[Slice("pump", title="Pump")])`.

    Args:
        column: of either table; or hour, weekday, month or date of the slot's local time.
        title: what reports call the column.
        customer_name: by the column's value, what a customer's page calls it: {"pump_7": "Pump 7, north basin"}.
            Pages on everything show both.

    Raises:
        DefinitionError: if a title is no line of text.
    """

    def __init__(self, column: str, *, title: str = "", customer_name: Mapping[Any, str] | None = None) -> None:
        self.column = column
        try:
            self.title = check_title("title", title)
            self.names = {
                slice_text(value): check_title("customer_name", name)
                for value, name in (customer_name or {}).items()
            }
        except TrikkError as error:
            raise DefinitionError(error.what, where=caller(), next=error.next) from error

    def __repr__(self) -> str:
        return f"Slice({self.column!r}, title={self.title!r})"


@dataclass(frozen=True, slots=True)
class Titles:
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
    metrics: Named = field(default_factory=dict)
    slices: Named = field(default_factory=dict)

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

    def to_json(self) -> dict[str, Any]:
        """What is given, as JSON."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}


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
    columns: Named = {}
    for one in slices:
        if isinstance(one, Slice):
            given = {"title": one.title, "customer_name": one.names}
            columns[one.column] = {name: value for name, value in given.items() if value}
    return Titles(metrics=named, slices=columns, **own)


def _has_unit(metric: str) -> bool:
    """Whether a metric's figures have the unit of the values."""
    return metric in _IN_UNIT or metric.startswith("quantile_")
