"""A report as an author declares it, and as the JSON that runs and the ledger have of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from trikk.core.errors import UnknownName, UsageError
from trikk.core.names import check_name, check_title
from trikk.core.record import Record
from trikk.core.zones import zone_of
from trikk.mailing.mail_addresses import ALL
from trikk.reports.periods import PeriodKind
from trikk.steps.notebooks.parameter_names import check_notebook
from trikk.steps.scripts.file_names import check_file_name


class ReportSpec(Record, frozen=True):
    """What is reported, on what, and to whom; a record in graphs and in the ledger."""

    name: str  # the report
    title: str  # what stands on top
    monitors: tuple[str, ...]  # names of the monitors whose figures are shown
    period: PeriodKind = PeriodKind.MONTH  # how long a time it is about
    timezone: str = "UTC"  # whose midnights count
    template: str = ""  # the author's template; "" for trikk's own
    notebook: str = ""  # the author's notebook; "" for none
    slices: tuple[str, ...] | None = None  # columns; None for all that the monitors have
    models: tuple[str, ...] | None = None  # the models whose changes are told; None for all
    customer_slice: str = ""  # the column that says whose a case is; "" without customers
    customers: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)  # that column's values by customer
    # addresses by customer, "*" for those who get the report on everything
    recipients: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    schedule: str = ""  # when it is made and sent, as a cron line by the clock of `timezone`; "" for never
    # what a customer's page calls them, by customer
    customer_name: dict[str, str] = msgspec.field(default_factory=dict)

    def audiences(self) -> list[str]:
        """For whom there is a page: "*", then the customers."""
        return [ALL, *sorted(self.customers)]


def check(spec: ReportSpec) -> None:
    """Check what an author declares.

    A definition that is read is not: an earlier build may have allowed what is refused by now.

    Raises:
        UsageError: if something in it can't work.
    """
    check_name("report", spec.name)
    if not spec.monitors:
        raise UsageError("a report needs a monitor", next="monitors=[people]")
    for monitor in spec.monitors:
        check_name("monitor", monitor)
    zone_of(spec.timezone)
    check_title("title", spec.title)
    if spec.template:
        check_file_name(spec.template, "template")
    if spec.notebook:
        check_notebook(spec.notebook, "python3")
    _check_customers(spec)


def _check_customers(spec: ReportSpec) -> None:
    if spec.customers and not spec.customer_slice:
        raise UsageError("customers= needs the column that says whose a case is", next='customer_slice="sensor"')
    for customer, title in spec.customer_name.items():
        check_title("customer_name", title)
        if customer not in spec.customers:
            raise UnknownName("customer", customer, spec.customers)
    unknown = sorted(set(spec.recipients) - {ALL, *spec.customers})
    if unknown:
        raise UsageError(
            f"recipients has {unknown[0]!r}, whose part of the figures is not known",
            next=f'customer_slice="sensor", customers={{"{unknown[0]}": ["north"]}}; "*" is for everything',
        )


def period_kind(text: str) -> PeriodKind:
    """The kind of period that an author names.

    Raises:
        UnknownName: if there is none.
    """
    if text not in [*PeriodKind]:
        raise UnknownName("period", str(text), [*PeriodKind])
    return PeriodKind(text)


def values_by_customer(customers: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """What makes each customer's part of the cases, each value once.

    Raises:
        UsageError: if it is not a dict, or a customer's name is none or has no list of values.
    """
    if not isinstance(customers, Mapping):
        raise UsageError("customers is not a dict", next='write {"acme": ["north", "south"]}')
    by_customer = {}
    for customer, values in customers.items():
        check_name("customer", customer)
        # A text is a sequence, too, of its letters.
        if isinstance(values, str) or not values:
            raise UsageError(f"customers: {customer} has no list of values", next='{"acme": ["north", "south"]}')
        # As text, as figures have the values of slices.
        by_customer[customer] = tuple(dict.fromkeys(str(value) for value in values))
    return by_customer
