"""`Report`: what an author declares beside a monitor, and the pipeline that makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.monitoring.monitor import Monitor
from trikk.pipeline.graph import Role
from trikk.pipeline.location import caller, defining, explained
from trikk.pipeline.pipeline import Pipeline
from trikk.pipeline.step import Step
from trikk.pipeline.tracing import when
from trikk.runs.context import step_context

if TYPE_CHECKING:
    from trikk.reports.report_definition import ReportSpec


@explained
@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """A page that tells people how good predictions were in a month, week or day, from the figures of monitors.

    Declared at the top level of a module of the project, it adds a pipeline `report_NAME`, which
    `trikk report NAME` runs.

    Args:
        name: the report's name.
        monitors: monitors, or their names; the first one's time zone is the report's if none is given.
        period: "month", "week" or "day".
        title: what stands on top; the name if not given.
        template: a Jinja template of the project, relative to its folder, such as "reports/page.html.j2".
        notebook: a notebook of the project that gets the figures as figures.json, windows.parquet and
            slices.parquet; its page takes the place of the HTML page.
        slices: columns of the monitors' slices; all if not given, none if empty.
        models: names of the models whose changes are told; all if not given.
        customer_slice: the slice that says whose a case is.
        customers: its values by customer: each customer's page has figures of these alone.
        customer_name: what a customer's page calls them, by customer: {"acme": "Acme Water Ltd"}.
        recipients: addresses by customer; `"*"` for those who get the report on everything. trikk.toml can add
            more.
        schedule: a cron line, such as `0 6 1 * *`, by the clock of `timezone`: `trikk watch` makes and sends the
            report on the period that ended last, when it is due.
        timezone: whose midnights count.

    Raises:
        DefinitionError: if something in it can't work.
    """

    name: str
    _: KW_ONLY
    monitors: Sequence[Monitor | str]
    period: str = "month"
    title: str = ""
    template: str | None = None
    notebook: str | None = None
    slices: Sequence[str] | None = None
    models: Sequence[str] | None = None
    customer_slice: str = ""
    customers: Mapping[str, Sequence[str]] | None = None
    customer_name: Mapping[str, str] | None = None
    recipients: Mapping[str, Sequence[str]] | None = None
    schedule: str | None = None
    timezone: str | None = None
    spec: ReportSpec = field(init=False)
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        where = caller()
        with defining(where):
            object.__setattr__(self, "spec", self._specified())
        pipeline = Pipeline(self._making(), name=f"report_{self.name}", where=where)
        object.__setattr__(self, "pipeline", pipeline)

    def _specified(self) -> ReportSpec:
        """The definition as it is recorded, checked."""
        from trikk.core.cron import checked_cron
        from trikk.mailing.mail_addresses import check_recipients
        from trikk.reports.report_definition import ReportSpec, check, period_kind, values_by_customer

        zones = [monitor.timezone for monitor in self.monitors if isinstance(monitor, Monitor)]
        names = [monitor if isinstance(monitor, str) else monitor.name for monitor in self.monitors]
        spec = ReportSpec(
            name=self.name,
            title=self.title or self.name,
            monitors=tuple(dict.fromkeys(names)),
            period=period_kind(self.period),
            timezone=self.timezone or next(iter(zones), "UTC"),
            template=self.template or "",
            notebook=self.notebook or "",
            slices=None if self.slices is None else tuple(self.slices),
            models=None if self.models is None else tuple(self.models),
            customer_slice=self.customer_slice,
            customers=values_by_customer(self.customers or {}),
            recipients=check_recipients(self.recipients or {}),
            schedule="" if self.schedule is None else checked_cron(self.schedule),
            customer_name=dict(self.customer_name or {}),
        )
        check(spec)
        return spec

    def _making(self) -> Callable[..., None]:
        """The body of its pipeline."""

        def make(
            period: str | None = None,
            customer: str | None = None,
            as_known_at: datetime | None = None,
            send: bool = False,
        ) -> None:
            contents = _COLLECT(self.spec.to_json(), period, customer, as_known_at)
            folders = _RENDER.map(contents, spec=self.spec.to_json())
            with when(send):
                _DELIVER(self.spec.to_json(), contents, folders)

        make.__doc__ = f"Make report {self.name} from what its monitors have found."
        return make

    def trikk_pipelines(self) -> list[Pipeline]:
        """The pipelines that come with it."""
        return [self.pipeline]

    def __repr__(self) -> str:
        return f"Report({self.name!r})"


def collect_report(
    spec: dict[str, Any], period: str | None, customer: str | None, as_known_at: datetime | None
) -> list[dict[str, Any]]:
    """The step that reads figures; see `trikk.reports.collect`.

    Returns:
        What is on each page, as JSON: the page on everything first, then those of the customers.
    """
    from trikk.reports.collect import collect
    from trikk.reports.report_definition import ReportSpec

    context = step_context("collecting a report")
    return collect(ReportSpec.read(spec), context, period=period, customer=customer, as_known_at=as_known_at)


def render_report(content: dict[str, Any], spec: dict[str, Any]) -> Path:
    """The step that makes a page; see `trikk.reports.page.render`.

    Returns:
        A folder with report.html, report.pdf, mail.eml, figures.json and a picture for each monitor.
    """
    from trikk.reports.page.render import render
    from trikk.reports.report_definition import ReportSpec

    return render(ReportSpec.read(spec), content)


def deliver_report(
    spec: dict[str, Any], contents: list[dict[str, Any]], folders: list[Path]
) -> list[dict[str, Any]]:
    """The step that sends pages to those who subscribe to them; see `trikk.reports.sending.send_pages`.

    Returns:
        For each page its customer, whom it has reached, whom not (yet), and why.
    """
    from trikk.reports.report_definition import ReportSpec
    from trikk.reports.sending.send_pages import deliver

    return deliver(ReportSpec.read(spec), contents, folders, step_context("delivering a report"))


_COLLECT: Step[..., Any] = Step(collect_report, name="collect", source=True, role=Role.REPORT)
_RENDER: Step[..., Any] = Step(render_report, name="render")
_DELIVER: Step[..., Any] = Step(deliver_report, name="deliver", effect=True)
