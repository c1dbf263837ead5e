"""Commands on what is stored: tables, ingest, gc."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, table, user_name, value_text, when
from trikk.cli.server_option import or_by_server
from trikk.core.durations import seconds, show_bytes
from trikk.core.errors import UnknownName, UsageError
from trikk.core.text import counted
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.storage.ingest.files_to_table import IngestReport
    from trikk.storage.tables.admin import TableInfo


def _tables_by_server(client: Client, name: str | None, version: int | None, rows: int, as_json: bool) -> None:
    if name is None:
        _print_tables(list(client.tables()), as_json=as_json)
        return
    shown = client.table(name, version, rows)
    _print_table(shown, shown.head, as_json=as_json)


@click.command()
@click.argument("name", required=False)
@click.option("--version", type=click.IntRange(0), help="Show an earlier version of the table.")
@click.option("--where", metavar="SQL", help="Only rows that meet this condition, such as \"sensor = 'north'\".")
@click.option("-n", "--rows", type=click.IntRange(0), default=5, show_default=True, help="How many rows to show.")
@json_option
@or_by_server(_tables_by_server, without=("where",))
def tables(name: str | None, version: int | None, where: str | None, rows: int, as_json: bool) -> None:
    """List tables, or show the one called NAME: columns, first rows, who wrote it when."""
    project = Project.open()
    names = project.tables.names()
    if name is None:
        _print_tables([project.tables.describe(n, history=1) for n in names], as_json=as_json)
        return
    if name not in names:
        # Without any table, a list of those that there are helps nobody.
        load_first = None if names else "load one: trikk ingest TABLE FILE; or run a pipeline that writes one"
        raise UnknownName("table", name, names, next=load_first)
    info = project.tables.describe(name, version)
    if where is not None:
        _show_rows(project, name, info.version, where, rows, as_json=as_json)
        return
    # At the version that was described: another may be written meanwhile.
    head = project.tables.scan(name, info.version).head(rows).collect()
    _print_table(info, head.to_dicts(), as_json=as_json)


def _print_tables(infos: Sequence[TableInfo], *, as_json: bool) -> None:
    if as_json:
        print_json({"tables": [asdict(i) for i in infos]})
    elif not infos:
        echo("no tables yet: trikk ingest TABLE FILE, or run a pipeline that writes one")
    else:
        lines = [
            [i.name, str(i.version), f"{i.rows:,}", str(len(i.columns)), show_bytes(i.bytes), when(i.written)]
            for i in infos
        ]
        columns = ["TABLE", "VERSION", "ROWS", "COLUMNS", "SIZE", "WRITTEN"]
        table(columns, lines, right=columns[1:5])


def _print_table(info: TableInfo, head: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        shown = [{k: _plain(v) for k, v in row.items()} for row in head]
        print_json({**asdict(info), "head": shown})
        return
    echo(f"table {info.name}, version {info.version}: {counted(info.rows, 'row')}, {show_bytes(info.bytes)}")
    for column, kind in info.columns.items():
        echo(f"  {column}: {kind}")
    if head:
        table(list(info.columns), [[value_text(row[column]) for column in info.columns] for row in head])
    history = [
        [str(h.version), when(h.at), h.mode, "-" if h.rows is None else f"{h.rows:,}", h.run or "-", h.step or "-"]
        for h in info.history
    ]
    table(["VERSION", "WRITTEN", "HOW", "ROWS", "RUN", "STEP"], history, right=["VERSION", "ROWS"])


def _show_rows(project: Project, name: str, version: int, where: str, most: int, *, as_json: bool) -> None:
    """The first rows for which a condition holds, and how many there are."""
    import polars as pl

    from trikk.storage.tables.row_filter import rows_where

    selected = rows_where(project.tables.scan(name, version), where)
    # Together, so that the table is read once.
    count, head = pl.collect_all([selected.select(pl.len()), selected.head(most)])
    if as_json:
        shown = [{k: _plain(v) for k, v in row.items()} for row in head.to_dicts()]
        print_json({"name": name, "version": version, "where": where, "rows": int(count.item()), "head": shown})
        return
    if head.height:
        table(list(head.columns), [[value_text(v) for v in row] for row in head.rows()])
    of = f"{head.height:,} of " if head.height < count.item() else ""
    echo(f"{of}{counted(count.item(), 'row')} of {name} at version {version}")


def _ingest_by_server(
    client: Client,
    name: str,
    files: tuple[str, ...],
    key: tuple[str, ...],
    merges: bool,
    overwrite: bool,
    types: tuple[str, ...],
    nulls: tuple[str, ...],
    separator: str | None,
    again: bool,
    as_json: bool,
) -> None:
    _check_ingest(key, merges=merges, overwrite=overwrite)
    if len(files) != 1:
        raise UsageError("a server takes one file at a time", next="call it for each file")
    before = None if as_json else next((one.version for one in client.tables() if one.name == name), None)
    options = {
        "key": ",".join(key) or None,
        "mode": "merge" if merges else "overwrite" if overwrite else None,
        "types": ",".join(types) or None,
        "null": ",".join(nulls) or None,
        "separator": "\t" if separator == "\\t" else separator,
        "again": again or None,
    }
    document = client.ingest(name, files[0], **options)
    if as_json:
        print_json(document)
        return
    from trikk.storage.ingest.files_to_table import IngestReport

    for line in _told(name, IngestReport(**document), is_new=before is None):  # type: ignore[arg-type]
        echo(line)


def _check_ingest(key: tuple[str, ...], *, merges: bool, overwrite: bool) -> None:
    if merges and overwrite:
        raise UsageError("--merge and --overwrite can't be combined", next="leave one of them out")
    if merges and not key:
        raise UsageError("--merge needs a key", next="name the columns that tell rows apart: --key day,line")


@click.command()
@click.argument("name", metavar="TABLE")
@click.argument("files", nargs=-1, required=True)
@click.option(
    "--key", multiple=True, help="Leave out rows whose key is there already; repeat for several columns."
)
@click.option("--merge", "merges", is_flag=True, help="Corrections: rows replace those with the same --key.")
@click.option("--overwrite", is_flag=True, help="Replace all rows of the table.")
@click.option(
    "--types", metavar="COLUMN=TYPE,...", multiple=True, help="Types that the values don't show, such as x=Int64."
)
@click.option("--null", "nulls", multiple=True, help="A text in CSV that means no value, such as NA.")
@click.option("--separator", help="What separates the values of CSV; a comma by default.")
@click.option("--again", is_flag=True, help="Load files again that were loaded before.")
@json_option
@or_by_server(_ingest_by_server)
@audited("ingest_file", "name", "files")
def ingest(
    name: str,
    files: tuple[str, ...],
    key: tuple[str, ...],
    merges: bool,
    overwrite: bool,
    types: tuple[str, ...],
    nulls: tuple[str, ...],
    separator: str | None,
    again: bool,
    as_json: bool,
) -> None:
    """Load FILES (CSV, Parquet, JSON lines; globs; s3://) into TABLE, all or nothing, in one commit."""
    from trikk.storage.ingest.files_to_table import ingest as load
    from trikk.storage.ingest.reader import Reading, types_named

    _check_ingest(key, merges=merges, overwrite=overwrite)
    project = Project.open()
    _ = project.state_dir
    # Asked before, to tell whether this load has made the table.
    before = project.tables.version(name)
    report = load(
        project.tables,
        name,
        files,
        key=_listed(key),
        mode="merge" if merges else "overwrite" if overwrite else "append",
        again=again,
        reading=Reading(
            types=types_named(_listed(types)), nulls=nulls, separator="\t" if separator == "\\t" else separator
        ),
        origin={"by": user_name(), "step": "ingest"},
    )
    if as_json:
        print_json(asdict(report))
        return
    for line in _told(name, report, is_new=before is None):
        echo(line)


def _told(name: str, report: IngestReport, *, is_new: bool) -> Iterator[str]:
    """What an ingest came to, in lines."""
    count = counted(len(report.files), "file")
    if report.repeated:
        yield (
            f"0 new, 0 changed: the rows of {count} are in {name} since version {report.version}; "
            "if you mean them once more: --again"
        )
        return
    if not report.rows and report.version is None:
        yield f"0 rows from {count}: nothing to make table {name} of"
    elif not report.rows:
        yield f"0 new, 0 changed from {count}: {name} stays at version {report.version}"
    else:
        counts = f"{report.new:,} new" + (f", {report.changed:,} changed" if report.changed else "")
        rows = f"{report.rows:,} of {counted(report.rows + report.dropped, 'row')}"
        yield f"{counts}: {rows} from {count} into {name}, version {report.version}"
    if report.equal:
        yield f"  left out {report.equal:,} whose key was there with the same values"
    if report.different:
        yield f"  left out {report.different:,} whose key was there with other values"
    yield from (f"  {example}" for example in report.examples)
    # Only then a correction may have been meant.
    if any(example.startswith("in the table") for example in report.examples):
        yield "  corrections take the place of what is in the table: --merge"
    if is_new and report.rows:
        yield "  columns: " + ", ".join(f"{column} {dtype}" for column, dtype in report.columns.items())
    yield from (f"  {doubt}" for doubt in report.doubts)


def _listed(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for text in given for part in text.split(",") if part)


def _gc_by_server(client: Client, dry_run: bool, as_json: bool, **options: Any) -> None:
    ask = client.clean_up_report if dry_run else client.clean_up
    _print_collected(ask(**options), dry_run=dry_run, as_json=as_json)


@click.command()
@click.option("--keep-last", type=click.IntRange(1), help="Keep only this many runs of each pipeline.")
@click.option(
    "--older-than", metavar="TIME", help="Forget only runs that ended longer ago than this, such as 30d."
)
@click.option("--grace", default="1h", show_default=True, help="Keep what is younger than this.")
@click.option(
    "--compress-after", default="7d", show_default=True, help="Compress what nobody has read for so long."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed and compressed.")
@json_option
@or_by_server(_gc_by_server)
@audited("clean_up", unless="dry_run")
def gc(
    keep_last: int | None, older_than: str | None, grace: str, compress_after: str, dry_run: bool, as_json: bool
) -> None:
    """Remove artifacts, logs and table versions that no kept run needs; without options every run is kept."""
    from trikk.execution.upkeep.cleanup import collect

    project = Project.open()
    report = collect(
        project,
        keep_last=keep_last,
        older_than=None if older_than is None else seconds(older_than, what="time"),
        grace=seconds(grace, what="time"),
        compress_after=seconds(compress_after, what="time"),
        dry_run=dry_run,
    )
    _print_collected(report.to_json(), dry_run=dry_run, as_json=as_json)


def _print_collected(report: Mapping[str, Any], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    verb = "would remove" if dry_run else "removed"
    echo(
        f"kept {counted(report['kept'], 'run')}; {verb} {counted(report['forgotten'], 'run')}, "
        f"{counted(report['artifacts'], 'artifact')} ({show_bytes(report['bytes'])}) "
        f"and {counted(report['table_files'], 'file')} of old table versions"
    )
    for kind, (count, size) in sorted(report["kinds"].items(), key=lambda each: -each[1][1]):
        echo(f"  {kind}: {count}, {show_bytes(size)}")
    if report["compressed"]:
        verb = "would be compressed, for about" if dry_run else "compressed, for"
        saved = show_bytes(report["compressed_bytes"])
        echo(f"  {counted(report['compressed'], 'artifact')} {verb} {saved} less")
    for reason in report["reasons"]:
        echo(f"  {reason}")


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
