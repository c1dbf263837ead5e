"""`trikk report`: list reports, make one for any past period, send it, send what could not be sent."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, show_page, table, when
from trikk.cli.server_option import or_by_server, trikk
from trikk.core.errors import UnknownName, UsageError
from trikk.execution.project import Project
from trikk.reports.report_records import Delivered, ReportLine
from trikk.reports.report_view import PREFIX, delivered, report_lines
from trikk.runs.states import RunStatus
from trikk.server.declaration_check import declared_graphs

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.pipeline.graph import Graph
    from trikk.reports.report_definition import ReportSpec
    from trikk.reports.sending.deliveries import Delivery
    from trikk.runs.run_state import RunState


def _by_server(client: Client, name: str | None, retry: bool, as_json: bool) -> int:
    if retry:
        return _print_retried(client.send_reports(name).deliveries, as_json=as_json)
    if name is not None:
        mend = f"{trikk()} run {PREFIX}{name} -p period=2020-03"
        raise UsageError("a server makes a report as it runs any pipeline", next=mend)
    _print_reports(client.reports().reports, as_json=as_json)
    return 0


@click.command()
@click.argument("name", required=False)
@click.option("--for", "period", metavar="PERIOD", help="2020-03, 2020-W13 or 2020-03-26; the last that is over.")
@click.option("--customer", help='Only this customer\'s page; "*" for the one on everything. All by default.')
@click.option("--as-known-at", metavar="TIME", help="With the figures as they were at TIME, in the report's zone.")
@click.option("--send", is_flag=True, help="Mail it to subscribers who do not have it yet.")
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write the files there.")
@click.option("--retry", is_flag=True, help="Make nothing; send what has not reached everybody yet.")
@json_option
@or_by_server(_by_server, without=("period", "customer", "as_known_at", "send", "show", "out"))
@audited(lambda options: "make_report" if options["name"] else "", "name", "period", "customer")
def report(
    name: str | None,
    period: str | None,
    customer: str | None,
    as_known_at: str | None,
    send: bool,
    show: bool,
    out: Path | None,
    retry: bool,
    as_json: bool,
) -> int:
    """List reports, or make the one called NAME: page, PDF and mail. Exit code 1 if a mail could not be sent."""
    project = Project.open()
    making = period or customer or as_known_at or send or show or out
    if retry:
        if making:
            raise click.UsageError("--retry makes nothing: leave the other options out")
        return _retry(project, name, as_json=as_json)
    if name is None:
        if making:
            raise click.UsageError("name the report to make; `trikk report` lists them")
        _print_reports(report_lines(project, _declared(project), time.time()), as_json=as_json)
        return 0
    given = {"period": period, "customer": customer, "as_known_at": as_known_at, "send": "true" if send else None}
    return _make(
        project, name, {k: v for k, v in given.items() if v is not None}, show=show, out=out, as_json=as_json
    )


def _print_reports(reports: Sequence[ReportLine], *, as_json: bool) -> None:
    if as_json:
        print_json({"reports": [one.to_json() for one in reports]})
    elif not reports:
        echo('no reports yet: declare one: Report("monthly", monitors=[people])')
    else:
        rows = [
            [
                one.name + ("" if one.declared else " (no longer declared)"),
                one.period or "-",
                one.schedule or "-",
                _next(one),
                ", ".join(one.monitors) or "-",
                when(one.made),
                str(one.outstanding),
            ]
            for one in reports
        ]
        heads = ["REPORT", "PERIOD", "SCHEDULE", "NEXT", "MONITORS", "LAST MADE", "MAILS TO SEND"]
        table(heads, rows, right=["MAILS TO SEND"])


def _declared(project: Project) -> dict[str, ReportSpec]:
    """The reports that the project's code declares, by name."""
    from trikk.reports.due_reports import declared

    return {spec.name: spec for spec in declared(declared_graphs(project)).values()}


def _next(one: ReportLine) -> str:
    """When a report comes due, by its own clock."""
    if one.due:
        return f"due since {datetime.fromisoformat(one.due):%Y-%m-%d %H:%M}"
    return f"{datetime.fromisoformat(one.next):%Y-%m-%d %H:%M}" if one.next else "-"


def _make(
    project: Project, name: str, given: dict[str, str], *, show: bool, out: Path | None, as_json: bool
) -> int:
    from trikk.cli.run_commands.execute import explain
    from trikk.cli.run_commands.progress import Progress
    from trikk.execution.run_options import How
    from trikk.execution.session import Session

    with Progress(quiet=as_json) as progress, Session(project, How(listener=progress)) as session:
        # Before there is a run: a misspelt customer would be a failed run in everybody's list.
        _check(project, session.executor.graphs(), name, given)
        state = session.run(PREFIX + name, given, text=True)
    # Before pages are looked for: a run that failed may have made some, and they are not to be taken for whole.
    if state.state != RunStatus.SUCCEEDED:
        if as_json:
            print_json(state.to_json())
        else:
            explain(project, state)
        return 1
    pages = _pages(project, state, out)
    sent = _output(project, state, "deliver") if "send" in given else []
    if as_json:
        print_json({"run": state.id, "pages": pages, "deliveries": sent})
    else:
        _tell(state.id, pages, sent)
    if show:
        show_page(Path(pages[0]["html"]))
    return 1 if any(one["failed"] or one["refused"] for one in sent) else 0


def _check(project: Project, graphs: Mapping[str, Graph], name: str, given: dict[str, str]) -> None:
    """Refuse a report that can't be made before there is a run for it."""
    from trikk.pipeline.pipeline import parameters_for
    from trikk.reports.collect import check, pages_wanted
    from trikk.reports.due_reports import declared

    specs = {spec.name: (spec, graphs[pipeline]) for pipeline, spec in declared(graphs).items()}
    if name not in specs:
        raise UnknownName("report", name, specs)
    spec, graph = specs[name]
    values: Any = parameters_for(graph, given, text=True)
    known_at = values["as_known_at"]
    wanted = pages_wanted(
        spec,
        period=values["period"],
        customer=values["customer"],
        as_known_at=datetime.fromisoformat(known_at) if known_at else None,
        now=datetime.now(UTC),
    )
    check(spec, project.journal, wanted)


def _output(project: Project, state: RunState, step: str) -> Any:
    from trikk.storage.artifact import Artifact

    outputs = state.steps[step].outputs or []
    return project.artifacts.load(Artifact.read(outputs[0]))


def _pages(project: Project, state: RunState, out: Path | None) -> list[dict[str, str]]:
    """Copies of the files: in `.trikk/reports`, or in `out`, with a folder for each page if there are several."""
    from trikk.reports.due_reports import copied

    pages = []
    for target, content in copied(project, state, out):
        files = {"html": "report.html", "pdf": "report.pdf", "mail": "mail.eml", "figures": "figures.json"}
        pages.append(
            {
                "customer": content["customer"],
                "period": content["period"],
                "as_of": content["as_of"],
                "said": " ".join(section["sentence"] for section in content["sections"]),
                **{kind: str(target / file) for kind, file in files.items()},
            }
        )
    return pages


def _tell(run: str, pages: list[dict[str, str]], sent: list[dict[str, Any]]) -> None:
    for page in pages:
        whose = "" if page["customer"] == "*" else f" for {page['customer']}"
        echo(f"{page['period']}{whose}: {page['said']}")
        echo(f"  {page['html']}\n  {page['pdf']}")
    echo(f"made by run {run}: trikk show {run}")
    _tell_sent(sent)


def _tell_sent(sent: list[dict[str, Any]]) -> None:
    for one in sent:
        whose = "the whole report" if one["customer"] == "*" else f"the page for {one['customer']}"
        if not one["recipients"]:
            echo(f"nobody subscribes to {whose}")
            continue
        echo(f"{whose}: {len(one['reached'])} of {len(one['recipients'])} have it")
        for who, why in one["refused"].items():
            echo(f"  {who} is refused: {why}", err=True)
        for who, why in one["failed"].items():
            echo(f"  {who} does not have it yet: {why}", err=True)
    if any(one["failed"] for one in sent):
        echo("  next: trikk report --retry", err=True)


def _retry(project: Project, name: str | None, *, as_json: bool) -> int:
    from trikk.reports.sending.send_pages import send_outstanding

    attempted: list[Delivery] = send_outstanding(
        project.journal,
        project.artifacts,
        project.settings,
        project.state_dir,
        _declared(project),
        at=time.time(),
        report=name,
    )
    return _print_retried([delivered(one) for one in attempted], as_json=as_json)


def _print_retried(deliveries: Sequence[Delivered], *, as_json: bool) -> int:
    sent = [one.to_json() for one in deliveries]
    if as_json:
        print_json({"deliveries": sent})
    elif not sent:
        echo("every mail has been sent")
    else:
        _tell_sent(sent)
    return 1 if any(one.failed or one.refused for one in deliveries) else 0
