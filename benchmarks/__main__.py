"""`python -m benchmarks`: measure trikk beside the floor and its peers."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, measure, report, targets
from benchmarks.cases import ALL, Case, chosen
from benchmarks.contenders.dagster import Dagster, DagsterInProcess
from benchmarks.contenders.floor import Floor
from benchmarks.contenders.kedro import Kedro
from benchmarks.contenders.luigi import Luigi
from benchmarks.contenders.metaflow import Metaflow
from benchmarks.contenders.prefect import Prefect
from benchmarks.contenders.trikk import Trikk
from benchmarks.jobs import Contender
from benchmarks.places import HOMES, LOGS, WORK

PEERS: tuple[type[Contender], ...] = (Luigi, Kedro, Metaflow, Prefect, Dagster, DagsterInProcess)
QUICK = ("chain2000", "runs100k", "memory")
LEAST_STEPS = {Metaflow.label: 2}
"""Contenders whose smallest pipeline, which stands in for one step, has more."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 0 whatever the figures are, 2 for a wrong option."""
    options = parse(arguments)
    cases = cases_of(options)
    for old in (HOMES, LOGS):  # a peer's home grows by every frame that it keeps
        shutil.rmtree(old, ignore_errors=True)
    contenders, skipped = get_ready([Floor(), Trikk(), *peers_of(options.peers)])
    before = machine.state()
    measure.warm_up(contenders)
    table = measure.interleaved(cases, contenders, 1 if options.quick else options.repeat)
    verdicts = targets.judge(table)
    about: dict[str, object] = {
        "machine": {**before, "load_at_end": machine.load()},
        "versions": {one.name: one.versions() for one in contenders if one.versions()},
        "skipped": skipped,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report.to_json(table, verdicts, about), indent=1) + "\n")
    print()
    print(report.about_text(about))
    for case in cases:
        if table[case.name]:
            print("\n" + report.case_text(case, table, LEAST_STEPS))
    print("\n" + report.summary_text(table))
    print("\n" + report.targets_text(verdicts))
    print(f"\nEvery sample is in {options.json}.")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [case.name for case in ALL]
    parser.add_argument("--only", nargs="+", action="extend", choices=names, metavar="CASE", help=", ".join(names))
    parser.add_argument("--peers", default="all", help="comma-separated names, or none")
    parser.add_argument("--repeat", type=int, default=3, help="processes for each median")
    parser.add_argument("--json", type=Path, default=WORK / "results.json", help="where the samples go")
    parser.add_argument("--quick", action="store_true", help="once each, without the long cases and slow peers")
    options = parser.parse_args(arguments)
    known = {"all", "none", *(peer.name for peer in PEERS)}
    unknown = set(options.peers.split(",")) - known
    if unknown or options.repeat < 1:
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}" if unknown else "--repeat must be 1 or more")
    return options


def cases_of(options: argparse.Namespace) -> list[Case]:
    """What the options ask for; `--quick` leaves out the long cases unless they are named."""
    cases = chosen(options.only or [])
    return [case for case in cases if options.only or not options.quick or case.name not in QUICK]


def peers_of(names: str) -> list[Contender]:
    """The peers that were asked for."""
    wanted = names.split(",")
    return [peer() for peer in PEERS if "all" in wanted or peer.name in wanted]


def get_ready(contenders: Sequence[Contender]) -> tuple[list[Contender], dict[str, str]]:
    """Those that can run, and for the others why they can't."""
    usable: list[Contender] = []
    skipped: dict[str, str] = {}
    for one in contenders:
        print(f"  making ready: {one.name}", flush=True)
        reason = skipped.get(one.name) or one.ready()
        if reason is None:
            usable.append(one)
        else:
            skipped[one.name] = reason
            print(f"  skipped: {one.name}: {reason}", flush=True)
    return usable, skipped


if __name__ == "__main__":
    sys.exit(main())
