"""What commands print: one JSON document, or text for people; tables fit the terminal."""

from __future__ import annotations

import functools
import getpass
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from trikk.core.durations import show_bytes, show_seconds
from trikk.core.settings import LogFormat
from trikk.core.text import counted, printable, printable_lines, shorten
from trikk.core.values import finite, plain
from trikk.runs import shown_parameters

# Long enough to tell things apart, short enough for two columns on a usual terminal.
VALUE = 60  # characters of a value in a line that shows others beside it
CELL = 300  # of a cell of a table
LINE = 2_000  # of a line
F = TypeVar("F", bound=Callable[..., Any])
COLOURS = {
    "succeeded": "green",
    "failed": "red",
    "running": "cyan",
    "retrying": "yellow",
    "cancelled": "yellow",
    "skipped": "bright_black",
    "waiting": "bright_black",
    "queued": "bright_black",
}


class Styled(str):
    """A text that is safe to print as it is: made by `style`, with what users wrote in it escaped."""

    __slots__ = ()

    def __add__(self, text: str) -> Styled:
        return Styled(super().__add__(_safe(text)))

    def __radd__(self, text: str) -> Styled:
        return Styled(_safe(text) + str(self))


def style(text: str, fg: str | None = None, *, bold: bool = False) -> Styled:
    """A text with a colour; an f-string would make a common text of it, so join it by `+`, or in `echo`."""
    return Styled(click.style(printable(text), fg=fg, bold=bold or None))


def echo(*parts: str, err: bool = False, whole: bool = False) -> None:
    """Print parts of one text, and end the line; what users wrote can't steer the terminal.

    Args:
        parts: texts, and what `style` has made.
        err: print on stderr.
        whole: shorten no line, however long.
    """
    click.echo("".join(_safe(part, whole=whole) for part in parts), err=err)


def _safe(text: str, *, whole: bool = False) -> str:
    if isinstance(text, Styled):
        return text
    lines = printable_lines(text)
    return lines if whole else "\n".join(shorten(line, LINE) for line in lines.split("\n"))


def _log_as(_: click.Context, __: click.Parameter, log_format: str | None) -> None:
    if log_format is not None:
        os.environ["TRIKK_LOG_FORMAT"] = log_format  # of all processes that the command starts, too


log_format_option = click.option(
    "--log-format",
    type=click.Choice([form.value for form in LogFormat]),
    callback=_log_as,
    expose_value=False,
    is_eager=True,
    help="How what is logged is written; as trikk.toml says, else text.",
)


def json_option(command: F) -> F:
    """Give a command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")(
        command
    )


def print_json(value: Any) -> None:
    """Print a JSON document on stdout; numbers that JSON does not know (NaN, infinities) become null."""
    click.echo("\n".join(_json_lines(value)))


def print_json_list(name: str, items: Iterable[Any]) -> None:
    """Print the document `{name: [items]}` as `print_json` does, holding one item at a time."""
    click.echo(f'{{\n  "{name}": [', nl=False)
    comma = ""
    for item in items:
        lines = "\n".join(f"    {line}" for line in _json_lines(item))
        click.echo(f"{comma}\n{lines}", nl=False)
        comma = ","
    click.echo("\n  ]\n}" if comma else "]\n}")


def _json_lines(value: Any) -> list[str]:
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    # ASCII where the terminal writes nothing else: a name that it can't write would end the command half-way.
    text = json.dumps(finite(value), indent=2, ensure_ascii=plain, allow_nan=False)
    return [_without_controls(line) for line in text.split("\n")]


def _without_controls(line: str) -> str:
    """A line of JSON with the characters escaped that JSON leaves as they are and a terminal would obey."""
    if line.isprintable():
        return line
    # As JSON escapes them, so that the document says the same.
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def state_text(state: str) -> str:
    """A state, coloured where the terminal can."""
    return style(state, fg=COLOURS.get(state)) if sys.stdout.isatty() else state


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print rows under headings, aligned; the last column is cut where the terminal ends.

    Args:
        columns: the headings.
        rows: texts, one for each heading; colours in them do not count for the width.
        right: the headings of columns that are aligned to the right.
    """
    lines = [[_cell(cell) for cell in row] for row in (columns, *rows)]
    # Colours have characters, too, that take no room.
    widths = [max(len(click.unstyle(line[i])) for line in lines) for i in range(len(columns))]
    # A pipe gets whole lines: who cuts columns out of them needs all.
    limit = shutil.get_terminal_size((160, 24)).columns if sys.stdout.isatty() else None
    for number, row in enumerate(lines):
        cells = []
        for i, cell in enumerate(row):
            pad = " " * (widths[i] - len(click.unstyle(cell)))
            cells.append(pad + cell if columns[i] in right else cell + pad)
        line = "  ".join(cells).rstrip()
        if limit and len(click.unstyle(line)) > limit:
            line = click.unstyle(line)[: limit - 1] + "…"
        click.echo(click.style(line, bold=True) if number == 0 and limit else line)


def value_text(value: Any) -> str:
    """A value of a row; a moment by the project's clock."""
    if isinstance(value, datetime) and value.tzinfo:
        return str(value.astimezone(project_zone()))
    if isinstance(value, str) and shown_parameters.MOMENT.fullmatch(value):  # as JSON has it
        return datetime.fromisoformat(value).astimezone(project_zone()).isoformat(value[10])
    return str(value)


def _cell(text: str) -> str:
    # What `style` has made is escaped already, and its colours would be escaped again.
    return text if isinstance(text, Styled) else shorten(printable(text), CELL)


def when(moment: float | None) -> str:
    """Wall time (seconds since 1970) by the project's clock, such as "2020-03-26 04:00:07 NZDT"; "-" for None."""
    if moment is None:
        return "-"
    return datetime.fromtimestamp(moment, project_zone()).strftime("%Y-%m-%d %H:%M:%S %Z")


def project_zone() -> ZoneInfo:
    """The time zone of the project that the current folder is in; UTC in none."""
    return _zone_in(Path.cwd())


@functools.cache
def _zone_in(folder: Path) -> ZoneInfo:
    from trikk.core import settings

    return settings.project_zone(folder)


def took(started: float | None, finished: float | None) -> str:
    """How long from one moment to another; "-" if one is missing."""
    # Clocks of two machines may differ: a run never took less than nothing.
    return "-" if started is None or finished is None else show_seconds(max(0.0, finished - started))


def artifact_text(artifact: dict[str, Any]) -> str:
    """One line on an artifact: what kind of thing it is, and how large."""
    summary = artifact["summary"]
    kind = str(summary.get("type", artifact["codec"])).rpartition(".")[2]
    if "value" in summary:
        shown = json.dumps(plain(summary["value"], float), ensure_ascii=False)
        return shorten(shown, VALUE)
    size = show_bytes(artifact["size"])
    if "columns" in summary:
        return f"{kind}, {counted(summary['rows'], 'row')} x {len(summary['columns'])}, {size}"
    if "length" in summary:
        return f"{kind} of {summary['length']}, {size}"
    return f"{kind}, {size}"


def number_text(value: float | None, form: str = ".4g") -> str:
    """A number in a cell; "-" for None."""
    return "-" if value is None else f"{value:{form}}"


def parameters_text(parameters: dict[str, Any]) -> str:
    """Parameters as `name=value`, joined by blanks; a long value is shortened."""
    return shown_parameters.parameters_text(parameters, project_zone())


def tick_shown(tick: str | None, zone: ZoneInfo | None = None) -> str:
    """What a trigger's run is for, for people; "-" for None. The clock is the project's if not given."""
    return "-" if tick is None else shown_parameters.tick_text(tick, zone or project_zone())


def user_name() -> str:
    """Who is at the terminal, as the system knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have a number and no name
        return "somebody"


def show_page(page: Path | str) -> None:
    """Open a file or an address in the browser; say so if there is none."""
    import webbrowser

    address = page if isinstance(page, str) else page.resolve().as_uri()
    if not webbrowser.open(address):
        echo(f"no browser was found; open it yourself: {printable(address)}", err=True)
