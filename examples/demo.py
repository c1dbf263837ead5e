"""Live the nights of January to April 2020 in Auckland again, lockdown and all: `python examples/demo.py [DIR]`.

Makes the city example in a folder and then does with the `trikk` command what a user would do: takes the counts
in through a quality gate, trains and registers a model, and then, night by night, predicts, publishes, and
watches the predictions against what came. Nothing of what follows is written here: whether an alarm goes off,
and when, whether a new model is trained and is better, is what the data and `city/pipelines.py` make of it.
The demo ends with all of that as a timeline, as a picture, and, where there is a screen, in the console.
Each command is shown before it runs. May be run again: what is done is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

FIRST_COUNTS = date(2019, 1, 1)
LAST_DAY = date(2020, 4, 30)
NIGHTS = 121
PICTURE = "story.png"
PERIODS = [  # New Zealand's alert levels
    ("until 20 March", date(2020, 3, 20)),
    ("21 to 25 March, alert levels 2 and 3", date(2020, 3, 25)),
    ("26 March to 27 April, lockdown", date(2020, 4, 27)),
    ("from 28 April, alert level 3", LAST_DAY),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code: 0, 1 if a command failed, 2 if the folder is somebody else's."""
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", default="demo", type=Path, metavar="DIR", help="demo if not given")
    parser.add_argument(
        "--nights", default=NIGHTS, type=int, choices=range(1, NIGHTS + 1), metavar="N", help=f"up to {NIGHTS}"
    )
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
    for line in summary(read_windows(folder)):
        say(line)
    farewell(folder, time.monotonic() - begun)
    if has_screen():
        say("\nThe console opens in your browser. Ctrl-C ends its server; `trikk serve --open` starts it again.")
        trikk(["-C", str(folder), "serve", "--open", "--port", "0"])
    return 0


def has_screen() -> bool:
    """Whether somebody watches, and has a screen that a browser can open on; never under CI."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    return "CI" not in os.environ and sys.stdout.isatty() and any(os.environ.get(name) for name in screens)


def commands(folder: Path, first: date) -> Iterator[list[str]]:
    """The demo's commands: a project if there is none, the past, the nights after `first`, what came of them."""
    here = ["-C", str(folder)]
    if is_free(folder):
        yield ["init", "--example", "city", str(folder)]
    past = ["-p", f"days={(first - FIRST_COUNTS).days + 1}"]
    yield [*here, "backfill", "ingest", "train", "nightly", *period(first, first), *past]
    nights = period(first + timedelta(days=1), LAST_DAY)
    sundays = ["-p", "weekday=7"]  # a parameter of train; an incident trains on any day
    yield [*here, "backfill", "ingest", "nightly", "train", *nights, *sundays, "--quiet", "--watch"]
    yield [*here, "report", "monthly", "--for", f"{LAST_DAY:%Y-%m}"]
    yield [*here, "monitor", "people", "--kind", "week", "--last", "18"]
    yield [*here, "timeline", "--from", str(first), "--metric", "wape", "--picture", PICTURE]


def period(first: date, last: date) -> list[str]:
    """Options for the nights of some days, each as if it were just before midnight; what is done is left out."""
    return ["--from", str(first), "--to", str(last), "--at", "23:59", "--missing"]


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


def trikk(command: Sequence[str]) -> int:
    """Show a command of trikk's, run it, and return its exit code."""
    say(f"\n$ trikk {' '.join(command)}")
    return subprocess.run([sys.executable, "-m", "trikk.cli.main", *command], check=False).returncode


def say(text: str, *, error: bool = False) -> None:
    """Print a line at once, so that it keeps its place among the commands' lines."""
    print(text, file=sys.stderr if error else sys.stdout, flush=True)


def read_windows(folder: Path) -> list[dict[str, Any]]:
    """The monitor's days, as the command gives them to programs."""
    command = [sys.executable, "-m", "trikk.cli.main", "-C", str(folder)]
    command += ["monitor", "people", "--last", "1000", "--json"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    windows: list[dict[str, Any]] = json.loads(found)["windows"]
    return windows


def summary(windows: Sequence[dict[str, Any]]) -> list[str]:
    """What the nights show, in a sentence for each period that has any."""
    lines, begin = [""], date.min
    for name, end in PERIODS:
        days = [w["figures"][0] for w in windows if begin <= date.fromisoformat(w["label"]) <= end]
        days = [whole for whole in days if whole["cases"]]
        begin = end + timedelta(days=1)
        if not days:
            continue
        model, naive = ([day[kind]["mae"] for day in days] for kind in ("own", "baseline"))
        nearer = sum(m < n for m, n in zip(model, naive, strict=True))
        shares = [day["own"]["wape"] for day in days]
        lines.append(
            f"{name[0].upper()}{name[1:]}: in an hour at a counter the champion is off by {mean(model):.0f} "
            f"people ({mean(shares):.0%} of those who came), the same hour last week by {mean(naive):.0f}; "
            f"the champion is nearer on {nearer} of {len(days)} days."
        )
    return lines


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)


def farewell(folder: Path, seconds: float) -> None:
    """Say what was made, and what to try next."""
    say(f"\nDone in {seconds:.0f} s. Everything is in {folder}:")
    say(f"  {folder / 'city'}    the pipelines: read them, change them")
    say(f"  {folder / '.trikk' / 'tables'}    counts and predictions, as Delta Lake tables")
    say(f"  {folder / PICTURE}    the story as a picture: errors, champions, incidents")
    say(f"  {folder / '.trikk' / 'reports'}    the monthly report, with its pictures")
    say(f"  {folder / '.trikk' / 'alerts'}    the mails about incidents")
    say(f"  {folder / '.trikk'}    the journal, the registry, streams, logs and artifacts of all runs")
    say(f"\nTry next, in {folder} (cd {folder}):")
    for command, why in [
        ("trikk runs", "every run, with its parameters"),
        (
            "trikk monitor people --window 2020-03-26 --worst 5",
            "the worst predictions of the first day of lockdown",
        ),
        ("trikk explain PREDICTION_ID", "what is behind one: inputs, model, run, code, data"),
        ("trikk incidents ID", "an incident from its opening to its end"),
        ("trikk replay last", "execute a run again and prove the results identical"),
        ("trikk ab people column:last_week people@champion", "a naive rule and the champions, case by case"),
        ("trikk sweep train -p day=2020-03-22 -p learning_rate=0.05,0.1 --metric mae", "search for parameters"),
        ("trikk models rollback people", "make the former champion champion again"),
        ("trikk endpoint people@champion", "serve the champion over HTTP"),
        ("trikk serve", "serve the project itself: the console, REST and metrics on http://127.0.0.1:8750"),
    ]:
        say(f"  {command:80}  {why}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(1)  # the command that was running has said so
