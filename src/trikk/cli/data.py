"""Commands on what is stored: tables, ingest, gc."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import Any

import click

from trikk.cli.output import echo, json_option, print_json, table, value_text, when
from trikk.core.durations import seconds, show_bytes
from trikk.core.errors import UnknownName
from trikk.core.names import new_run_id
from trikk.execution.project import Project


@click.command()
@click.argument("name", required=False)
@click.option("--version", type=click.IntRange(0), help="An earlier version of the table.")
@click.option("--where", metavar="SQL", help="Only rows for which this holds, such as \"sensor = 'north'\".")
@click.option("-n", "--rows", type=click.IntRange(0), default=5, show_default=True, help="How many rows to show.")
@json_option
def tables(name: str | None, version: int | None, where: str | None, rows: int, as_json: bool) -> None:
    """List tables, or show the one called NAME: columns, first rows, who wrote it when."""
    project = Project.open()
    names = project.tables.names()
    if name is None:
        infos = [project.tables.describe(n, history=1) for n in names]
        if as_json:
            print_json({"tables": [asdict(i) for i in infos]})
        elif not infos:
            echo("no tables yet: trikk ingest TABLE FILE, or run a pipeline that writes one")
        else:
            found = [
                [i.name, str(i.version), f"{i.rows:,}", str(len(i.columns)), show_bytes(i.bytes), when(i.written)]
                for i in infos
            ]
            columns = ["TABLE", "VERSION", "ROWS", "COLUMNS", "SIZE", "WRITTEN"]
            table(columns, found, right=columns[1:5])
        return
    if name not in names:
        raise UnknownName("table", name, names)
    info = project.tables.describe(name, version)
    if where is not None:
        _show_rows(project, name, info.version, where, rows, as_json=as_json)
        return
    head = project.tables.scan(name, info.version).head(rows).collect()
    if as_json:
        shown = [{k: _plain(v) for k, v in row.items()} for row in head.to_dicts()]
        print_json({**asdict(info), "head": shown})
        return
    echo(f"table {name}, version {info.version}: {info.rows:,} rows, {show_bytes(info.bytes)}")
    for column, kind in info.columns.items():
        echo(f"  {column}: {kind}")
    if head.height:
        table(list(head.columns), [[value_text(v) for v in row] for row in head.rows()])
    history = [
        [str(h.version), when(h.at), h.mode, "-" if h.rows is None else f"{h.rows:,}", h.run or "-", h.step or "-"]
        for h in info.history
    ]
    table(["VERSION", "WRITTEN", "HOW", "ROWS", "RUN", "STEP"], history, right=["VERSION", "ROWS"])


def _show_rows(project: Project, name: str, version: int, where: str, most: int, *, as_json: bool) -> None:
    """The first rows for which a condition holds, and how many there are."""
    import polars as pl

    from trikk.storage.row_filter import rows_where

    selected = rows_where(project.tables.scan(name, version), where)
    count, head = pl.collect_all([selected.select(pl.len()), selected.head(most)])
    if as_json:
        shown = [{k: _plain(v) for k, v in row.items()} for row in head.to_dicts()]
        print_json({"name": name, "version": version, "where": where, "rows": int(count.item()), "head": shown})
        return
    if head.height:
        table(list(head.columns), [[value_text(v) for v in row] for row in head.rows()])
    of = f"{head.height:,} of {count.item():,}" if head.height < count.item() else f"{head.height:,}"
    echo(f"{of} rows of {name} at version {version}")


@click.command()
@click.argument("name", metavar="TABLE")
@click.argument("files", nargs=-1, required=True)
@click.option("--key", multiple=True, help="Drop rows whose key is there already; repeat for several columns.")
@click.option("--overwrite", is_flag=True, help="Put the rows in the place of all that are there.")
@json_option
def ingest(name: str, files: tuple[str, ...], key: tuple[str, ...], overwrite: bool, as_json: bool) -> None:
    """Load FILES (CSV, Parquet, JSON lines; globs; s3://) into TABLE, all or nothing, in one commit."""
    from trikk.storage.ingest import ingest as load

    project = Project.open()
    _ = project.state_dir
    columns = tuple(c for k in key for c in k.split(",") if c)
    report = load(
        project.tables,
        name,
        files,
        key=columns,
        mode="overwrite" if overwrite else "append",
        identity=f"ingest/{new_run_id()}",
        origin={"by": _user(), "step": "ingest"},
    )
    if as_json:
        print_json(asdict(report))
        return
    dropped = f", {report.dropped:,} dropped whose key was there" if columns else ""
    echo(f"{report.rows:,} rows from {len(report.files)} files into {name}, version {report.version}{dropped}")


@click.command()
@click.option("--keep-last", type=click.IntRange(1), help="Keep only this many runs of each pipeline.")
@click.option("--older-than", metavar="TIME", help="Forget only runs that ended longer ago, such as 30d.")
@click.option("--grace", default="1h", show_default=True, help="Spare what is younger than this.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
def gc(keep_last: int | None, older_than: str | None, grace: str, dry_run: bool, as_json: bool) -> None:
    """Remove artifacts, logs and table versions that no kept run needs; without options every run is kept."""
    from trikk.execution.cleanup import collect

    project = Project.open()
    report = collect(
        project,
        keep_last=keep_last,
        older_than=None if older_than is None else seconds(older_than, what="time"),
        grace=seconds(grace, what="time"),
        dry_run=dry_run,
    )
    if as_json:
        print_json(report.to_json())
        return
    verb = "would remove" if dry_run else "removed"
    echo(
        f"kept {report.kept} runs; {verb} {report.forgotten} runs, {report.artifacts} artifacts "
        f"({show_bytes(report.bytes)}) and {report.table_files} files of old table versions"
    )
    for reason in report.reasons:
        echo(f"  {reason}")


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "someone"
