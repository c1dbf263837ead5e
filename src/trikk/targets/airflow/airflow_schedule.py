"""A pipeline's cron triggers as an Airflow timetable, where both mean the same moments.

Airflow reads cron lines by `croniter`, trikk by `cronsim`, which keeps to Debian's cron. Both agree on numbers,
ranges, steps, lists and names; what only one of them knows, or they read in two ways, is refused.
https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/timetable.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from trikk.targets.target_port import Problem, Source
from trikk.triggers.clock_triggers import Cron
from trikk.triggers.declaration import Missed, Overlap
from trikk.triggers.declared import Declared

_ONLY_CRONSIM = re.compile(r"[LW#]")


def cron_triggers(source: Source) -> tuple[Declared, ...]:
    """The pipeline's triggers that a timetable stands for."""
    return tuple(declared for declared in source.triggers if isinstance(declared.trigger, Cron))


def schedule_problems(source: Source) -> Iterator[Problem]:
    """What a timetable can't do with the pipeline's triggers, and notes of what nobody does."""
    crons = cron_triggers(source)
    for declared in source.triggers:
        if declared not in crons:
            yield Problem(
                f"trigger {declared.name} ({declared.trigger.kind}) is not in the DAG",
                next="start the DAG's runs by an asset or by Airflow's API where that is wanted",
                where=declared.where,
                is_note=True,
            )
    for declared in crons:
        yield from _of_cron(declared)
    yield from _of_several(crons)


def _of_cron(declared: Declared) -> Iterator[Problem]:
    trigger = declared.trigger
    assert isinstance(trigger, Cron)
    if reason := _reads_differently(trigger.line):
        yield Problem(
            f"trigger {declared.name}: Airflow reads {trigger.line!r} in another way: {reason}",
            next="write the days as numbers, or as two triggers",
            where=declared.where,
        )
    if trigger.overlap in (Overlap.SKIP, Overlap.CANCEL):
        yield Problem(
            f"trigger {declared.name}: Airflow has no overlap={trigger.overlap.value!r}: runs wait",
            next='use overlap="queue", or "allow"',
            where=declared.where,
        )
    if trigger.missed != Missed.LATEST:
        yield Problem(
            f"trigger {declared.name}: Airflow makes up for the latest missed moment only",
            next="run the others by hand, or by Airflow's backfill",
            where=declared.where,
            is_note=True,
        )


def _reads_differently(line: str) -> str:
    """Why the two readers of cron lines come to other moments; "" if they do not."""
    *_, day, _, weekday = line.split()
    if _ONLY_CRONSIM.search(day) or _ONLY_CRONSIM.search(re.sub(r"[A-Z]{3}", "", weekday.upper())):
        return "it has its own meaning of L, W and #"
    restricted = [field for field in (day, weekday) if field != "*"]
    if len(restricted) == 2 and any(field.startswith("*") for field in restricted):
        return "of a step and a restricted day either is enough there, and both have to be here"
    return ""


def _of_several(crons: Sequence[Declared]) -> Iterator[Problem]:
    """A DAG does not know which of its lines has come due, so they may differ in nothing else."""
    for declared in crons[1:]:
        first, later = crons[0].trigger, declared.trigger
        for field in ("timezone", "day_offset", "parameters", "overlap"):
            if getattr(first, field) != getattr(later, field):
                yield Problem(
                    f"triggers {crons[0].name} and {declared.name} differ in {field}, and a DAG has one schedule",
                    next="keep one of them in the pipeline, and give the other a pipeline of its own",
                    where=declared.where,
                )
