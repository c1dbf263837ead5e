"""Replay the nights into Auckland's lockdown of March 2020: `python examples/demo.py [DIR]`.

Makes the city example in a folder and then does with the `trikk` command what a user would do: takes the counts
in, trains and predicts night by night, and compares each prediction with what came. Each command is shown before
it runs. May be run again: nights that are done are left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl

FIRST_COUNTS = date(2019, 1, 1)
LAST_DAY = date(2020, 3, 28)
NIGHTS = 26
PERIODS = [  # New Zealand's alert levels
    ("until 20 March", date(2020, 3, 20)),
    ("21 to 25 March, alert levels 2 and 3", date(2020, 3, 25)),
    ("from 26 March, lockdown", LAST_DAY),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code: 0, 1 if a command failed, 2 if the folder is somebody else's."""
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", default="demo", type=Path, metavar="DIR", help="demo if not given")
    parser.add_argument("--nights", default=NIGHTS, type=int, choices=range(1, 61), metavar="N", help="up to 60")
    given = parser.parse_args(arguments)
    folder: Path = given.folder
    if not is_free(folder) and not is_demo(folder):
        say(f"{folder} holds something else than this demo; nothing was touched. Name another folder.", error=True)
        return 2
    begun = time.monotonic()
    first = LAST_DAY - timedelta(days=given.nights)
    for command in commands(folder, first):
        if trikk(command) != 0:
            say(f"`trikk {' '.join(command)}` failed; the demo stops here.", error=True)
            return 1
    scores = read_scores(folder, first)
    show(scores)
    for line in summary(scores):
        say(line)
    farewell(folder, time.monotonic() - begun)
    return 0


def commands(folder: Path, first: date) -> list[list[str]]:
    """The demo's commands: a project if there is none, the counts, the nights from `first` on, their scores."""
    here = ["-C", str(folder)]
    arrived = ["-p", f"day={LAST_DAY}", "-p", f"days={(LAST_DAY - FIRST_COUNTS).days + 1}"]
    nights = ["--from", str(first), "--to", str(LAST_DAY - timedelta(days=1)), "--missing"]
    predicted = ["--from", str(next_day(first)), "--to", str(LAST_DAY), "--missing"]
    return [
        *([["init", "--example", "city", str(folder)]] if is_free(folder) else []),
        [*here, "run", "ingest", *arrived],
        [*here, "backfill", "nightly", *nights],
        [*here, "backfill", "score", *predicted],
    ]


def is_free(folder: Path) -> bool:
    """Whether a project can be made there: no folder yet, or an empty one."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def is_demo(folder: Path) -> bool:
    """Whether an earlier demo made the folder."""
    try:
        settings = tomllib.loads((folder / "trikk.toml").read_text())
    except (OSError, ValueError):
        return False
    return settings.get("name") == "city" and (folder / "city" / "pipelines.py").is_file()


def next_day(day: date) -> date:
    """The day after."""
    return day + timedelta(days=1)


def trikk(command: Sequence[str]) -> int:
    """Show a command of trikk's, run it, and return its exit code."""
    say(f"\n$ trikk {' '.join(command)}")
    return subprocess.run([sys.executable, "-m", "trikk.cli.main", *command], check=False).returncode


def say(text: str, *, error: bool = False) -> None:
    """Print a line at once, so that it keeps its place among the commands' lines."""
    print(text, file=sys.stderr if error else sys.stdout, flush=True)


def read_scores(folder: Path, first: date) -> pl.DataFrame:
    """The scores of the days after the nights from `first` on; polars reads a table of trikk's as it is."""
    scores = pl.scan_delta(str(folder / ".trikk" / "tables" / "scores"))
    return scores.filter(pl.col("day").is_between(next_day(first), LAST_DAY)).sort("day").collect()


def show(scores: pl.DataFrame) -> None:
    """Print a line for each night: a coloured table on a terminal, plain columns elsewhere."""
    heads = ["predicted day", "people/hour", "error: model", "last week", "model/last week"]
    rows = [
        (f"{r['day']:%a %d %b}", *(f"{r[c]:.0f}" for c in ("people", "mae_model", "mae_naive")), f"{ratio(r):.2f}")
        for r in scores.drop_nulls("mae_model").to_dicts()
    ]
    if not sys.stdout.isatty():
        say("\n" + "  ".join(heads))
        for row in rows:
            say("  ".join(cell.rjust(len(head)) for cell, head in zip(row, heads, strict=True)))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="People off per counter and hour (mean absolute error)")
    for head in heads:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*row, style="green" if float(row[-1]) < 1 else "red")
    Console().print(table)


def ratio(row: dict[str, float]) -> float:
    """The model's error over the naive rule's; infinite if that rule was right everywhere."""
    return row["mae_model"] / row["mae_naive"] if row["mae_naive"] else float("inf")


def summary(scores: pl.DataFrame) -> list[str]:
    """What the nights show, in a sentence for each period that has any."""
    lines, begin = [""], date.min
    for name, end in PERIODS:
        days = scores.filter(pl.col("day").is_between(begin, end)).drop_nulls("mae_model")
        begin = next_day(end)
        if days.is_empty():
            continue
        people, model, naive = (days[c].to_numpy().mean() for c in ("people", "mae_model", "mae_naive"))
        better = days.filter(pl.col("mae_model") < pl.col("mae_naive")).height
        lines.append(
            f"{name[0].upper()}{name[1:]}: {people:.0f} people pass a counter in an hour; "
            f"the model is off by {model:.0f} ({model / people:.0%}), "
            f"the same hour last week by {naive:.0f} ({naive / people:.0%}); "
            f"the model is nearer on {better} of {days.height} days."
        )
    return lines


def farewell(folder: Path, seconds: float) -> None:
    """Say what was made, and what to try next."""
    say(f"\nDone in {seconds:.0f} s. Everything is in {folder}:")
    say(f"  {folder / 'city'}    the pipelines: read them, change them")
    say(f"  {folder / '.trikk' / 'tables'}    counts, predictions and scores, as Delta Lake tables")
    say(f"  {folder / '.trikk'}    the journal, logs and artifacts of all runs")
    say(f"\nTry next, in {folder} (cd {folder}):")
    for command, why in [
        ("trikk runs", "every run, with its parameters"),
        ("trikk show last", "what a run did, made and is locked to"),
        ("trikk replay last", "execute it again and prove the results identical"),
        ("trikk tables predictions", "a table's rows and versions"),
        ("trikk run nightly -p day=2020-03-28 -p learning_rate=0.05", "one more night, otherwise"),
    ]:
        say(f"  {command:58}  {why}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(1)  # the command that was running has said so
