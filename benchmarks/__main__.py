"""`python -m benchmarks`: measure trikk beside the same work by hand, or beside an earlier build (`--against`).

How to add a case stands at the top of `benchmarks/cases.py`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import builds, environments, machine, report
from benchmarks.builds import Build, NoBuild
from benchmarks.case import Case, chosen
from benchmarks.cases import ALL
from benchmarks.places import HOMES, LOGS, REPOSITORY, WORK
from benchmarks.rounds import Plan, Ways, measure
from benchmarks.samples import Table
from benchmarks.verdict import LEAST_ROUNDS, Change

LIBRARIES = ("polars", "pandas", "numpy", "pyarrow", "deltalake", "duckdb", "lightgbm", "scikit-learn")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write.

    Returns:
        0 whatever the figures are; 1 with `--fail` if something is slower; 2 for a wrong option.
    """
    parser = options_parser()
    options = parser.parse_args(arguments)
    try:
        cases = chosen(ALL, options.only) if options.only else list(ALL)
    except KeyError as error:
        parser.error(f"no case is called {error}; there are {', '.join(case.name for case in ALL)}")
    if options.page and options.only:
        parser.error("--page takes a whole run: leave out --only, or the page would lose the other cases")
    for old in (HOMES, LOGS, WORK / "ways"):  # a peer's home grows by every frame that it keeps
        shutil.rmtree(old, ignore_errors=True)
    try:
        return compare(options, cases) if options.against is not None else survey(options, cases)
    except NoBuild as error:
        parser.error(str(error))


def options_parser() -> argparse.ArgumentParser:
    """What the command line can say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", action="extend", metavar="CASE", help="names, or their beginning and *"
    )
    parser.add_argument(
        "--peers", action="store_true", help="only the cases with peers, and the peers beside them"
    )
    parser.add_argument("--rounds", type=int, default=9, help="at most, for each case")
    parser.add_argument(
        "--seconds", type=float, help="after which no further round of a case begins (10; quick: 8)"
    )
    parser.add_argument("--json", type=Path, help="where the samples go")
    parser.add_argument("--page", type=Path, help="a Markdown page whose part between two marks is written anew")
    parser.add_argument(
        "--against",
        nargs="?",
        const="",
        metavar="BUILD",
        help="compare with an earlier build: a commit, or a folder with src; the last landed one if not named",
    )
    parser.add_argument("--fail", action="store_true", help="with --against: exit with 1 if something is slower")
    return parser


def survey(options: argparse.Namespace, cases: Sequence[Case]) -> int:
    """trikk beside the floors, and beside the peers where they are wanted."""
    cases = [case for case in cases if case.peers or not options.peers]
    build = builds.working_tree()

    def ways_of(case: Case) -> Ways:
        ways = case.ways(case.peers if options.peers else ())
        return {label: (work, build) for label, work in ways.items()}

    about, table = observed(options, cases, ways_of, Plan(options.rounds, options.seconds or 10), build)
    text = report.page_text(cases, table, about)
    write(options.json or WORK / "results.json", report.to_json(cases, table, about))
    if options.page:
        block = "peers" if options.peers else "measured"
        options.page.write_text(report.splice(options.page.read_text(), block, text))
    print("\n" + text)
    return 0


def compare(options: argparse.Namespace, cases: Sequence[Case]) -> int:
    """The build of the working tree beside an earlier one, in the same minutes."""
    cases = [case for case in cases if case.quick]
    old, new = builds.earlier(options.against or None), builds.working_tree()

    def ways_of(case: Case) -> Ways:
        return {"old": (case.trikk, old), "new": (case.trikk, new)}

    plan = Plan(max(options.rounds, 25), options.seconds or 8, LEAST_ROUNDS, quick=True)
    about, table = observed(options, cases, ways_of, plan, new)
    verdicts = report.compared(cases, table)
    write(options.json or WORK / "comparison.json", {**report.to_json(cases, table, about), "against": old.name})
    print(f"\n{report.about_text(about)}\n\nnew is {new.name}, old is {old.name}")
    if old.requirements != new.requirements:
        print(f"{builds.REQUIREMENTS} differs between the two: both ran with the packages that are installed now.")
    print("\n" + report.comparison_text(cases, table, verdicts))
    slower = any(one.change == Change.SLOWER for each in verdicts.values() for one in each.values())
    return int(slower and options.fail)


def observed(
    options: argparse.Namespace, cases: Sequence[Case], ways_of: Callable[[Case], Ways], plan: Plan, build: Build
) -> tuple[dict[str, Any], Table]:
    """Measure, and say under which circumstances."""
    before, started = machine.state(), time.monotonic()
    table = measure(cases, ways_of, plan, cold=lambda case, label: label in case.peers or bool(case.patience))
    versions = {name: found for name in LIBRARIES if (found := installed(name))}
    if options.peers:
        used = {label.partition(",")[0] for case in cases for label in case.peers}
        for name in sorted(used & environments.PINS.keys()):
            if environments.python_of(name).exists():
                versions |= environments.installed(name)
    about: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%-d %B %Y}",
        "machine": {**before, "load_at_end": machine.load()},
        "minutes": round((time.monotonic() - started) / 60, 1),
        "build": build.name,
        "versions": versions,
    }
    return about, table


def installed(name: str) -> str | None:
    """The version of a library, if it is there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def write(path: Path, content: dict[str, Any]) -> None:
    """Keep every sample."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
    shown = path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path
    print(f"\nEvery sample is in {shown}.")


if __name__ == "__main__":
    sys.exit(main())
