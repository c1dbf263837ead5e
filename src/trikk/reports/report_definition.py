"""A report as an author declares it, and as the JSON that runs and the ledger have of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trikk.core.cron import checked_cron
from trikk.core.errors import DefinitionError, TrikkError, UnknownName, UsageError
from trikk.core.names import check_name, check_title
from trikk.core.values import JSON
from trikk.monitoring.cases.windows import zone_of
from trikk.reports.periods import KINDS
from trikk.reports.sending.mail_addresses import ALL, check_recipients
from trikk.steps.notebooks.parameter_names import check_notebook
from trikk.steps.scripts.file_names import check_file_name


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """What is reported, on what, and to whom.

    Attributes:
        name: the report.
        title: what stands on top.
        monitors: names of the monitors whose figures are shown.
        period: day, week or month.
        timezone: whose midnights count.
        template: the author's template; "" for trikk's own.
        notebook: the author's notebook; "" for none.
        slices: columns; None for all that the monitors have.
        models: the models whose changes are told; None for all.
        customer_slice: the column that says whose a case is; "" without customers.
        customers: that column's values by customer.
        customer_name: what a customer's page calls them, by customer.
        recipients: addresses by customer, "*" for those who get the report on everything.
        schedule: when it is made and sent, as a cron line by the clock of `timezone`; "" for never.
    """

    name: str
    title: str
    monitors: tuple[str, ...]
    period: str = "month"
    timezone: str = "UTC"
    template: str = ""
    notebook: str = ""
    slices: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    customer_slice: str = ""
    customers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    recipients: dict[str, tuple[str, ...]] = field(default_factory=dict)
    schedule: str = ""
    customer_name: dict[str, str] = field(default_factory=dict)

    def audiences(self) -> list[str]:
        """For whom there is a page: "*", then the customers."""
        return [ALL, *sorted(self.customers)]

    def to_json(self) -> dict[str, JSON]:
        """The definition as JSON."""
        found: dict[str, Any] = {name: _listed(getattr(self, name)) for name in self.__slots__}
        return found

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> ReportSpec:
        """The definition that `to_json` wrote."""
        return cls(**{name: _tupled(data[name]) for name in cls.__slots__ if name in data})


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: part if isinstance(part, str) else list(part) for key, part in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: part if isinstance(part, str) else tuple(part) for key, part in value.items()}
    return tuple(value) if isinstance(value, list) else value


def specified(
    name: str,
    *,
    title: str,
    monitors: Sequence[str],
    period: str,
    timezone: str,
    template: str | None,
    notebook: str | None,
    slices: Sequence[str] | None,
    models: Sequence[str] | None,
    customer_slice: str,
    customers: Mapping[str, Sequence[str]],
    recipients: Mapping[str, Sequence[str]],
    schedule: str | None,
    customer_name: Mapping[str, str],
    where: str,
) -> ReportSpec:
    """Check an author's definition; arguments as of `Report`.

    Raises:
        DefinitionError: if something in it can't work.
    """
    try:
        check_name("report", name)
        if not monitors:
            raise UsageError("a report needs a monitor", next="monitors=[people]")
        for monitor in monitors:
            check_name("monitor", monitor)
        if period not in KINDS:
            raise UnknownName("period", str(period), KINDS)
        zone_of(timezone)
        check_title("title", title)
        if template:
            check_file_name(template, "template")
        if notebook:
            check_notebook(notebook, "python3")
        spec = ReportSpec(
            name=name,
            title=title,
            monitors=tuple(dict.fromkeys(monitors)),
            period=period,
            timezone=timezone,
            template=template or "",
            notebook=notebook or "",
            slices=None if slices is None else tuple(slices),
            models=None if models is None else tuple(models),
            customer_slice=customer_slice,
            customers=_customers(customers, customer_slice),
            recipients=check_recipients(recipients),
            schedule="" if schedule is None else checked_cron(schedule),
            customer_name={who: check_title("customer_name", name) for who, name in customer_name.items()},
        )
        for customer in spec.customer_name:
            if customer not in spec.customers:
                raise UnknownName("customer", customer, spec.customers)
        unknown = sorted(set(spec.recipients) - {ALL, *spec.customers})
        if unknown:
            raise UsageError(
                f"recipients has {unknown[0]!r}, whose part of the figures is not known",
                next=f'customer_slice="sensor", customers={{"{unknown[0]}": ["north"]}}; "*" is for everything',
            )
        return spec
    except TrikkError as error:
        raise DefinitionError(error.what, where=where, next=error.next) from error


def _customers(given: Mapping[str, Sequence[str]], column: str) -> dict[str, tuple[str, ...]]:
    if given and not column:
        raise UsageError("customers= needs the column that says whose a case is", next='customer_slice="sensor"')
    found = {}
    for customer, values in given.items():
        check_name("customer", customer)
        if isinstance(values, str) or not values:
            raise UsageError(f"customers: {customer} has no list of values", next='{"acme": ["north", "south"]}')
        found[customer] = tuple(dict.fromkeys(str(value) for value in values))
    return found
