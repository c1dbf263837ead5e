"""From rules to readings: which monitors and pipelines a rule is about, and what is seen of each.

To add a kind of rule, add its name to `rule.OF_MONITORS`, `OF_PIPELINES` or `OF_TABLES` and its function here.
Where several rules are about one thing, the one that names it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trikk.alerts.config import DEFAULTS
from trikk.alerts.rules import costs, figures, runs
from trikk.alerts.rules import drift as drifts
from trikk.alerts.rules import silence_times as silence_read
from trikk.alerts.rules.code import SUBJECT, of_code
from trikk.alerts.rules.reading import Reading
from trikk.alerts.rules.rule import (
    ALL_PIPELINES,
    COST,
    DRIFT,
    FAILED,
    FIGURES,
    GATE,
    LABELS,
    LONG,
    MISSING,
    OF_MONITORS,
    OF_PROJECT,
    OF_TABLES,
    SILENT,
    Rule,
    check_against,
)
from trikk.core.errors import TrikkError, UnknownName, UsageError
from trikk.execution.project import Project
from trikk.monitoring.figures.records import Records, names
from trikk.monitoring.monitor_definition import MonitorSpec

MonitorReader = Callable[[Records, MonitorSpec, Rule, datetime], list[Reading]]
PipelineReader = Callable[[Project, Rule, str, datetime], Reading]
TableReader = Callable[[Project, Rule, datetime], list[Reading]]
MONITOR_KINDS: dict[str, MonitorReader] = {
    FIGURES: figures.of_figures,
    LABELS: figures.of_labels,
    DRIFT: drifts.of_drift,
}
PIPELINE_KINDS: dict[str, PipelineReader] = {
    FAILED: runs.of_failures,
    MISSING: runs.of_missing,
    GATE: runs.of_gates,
    LONG: runs.of_lengths,
    COST: costs.of_costs,
}
TABLE_KINDS: dict[str, TableReader] = {SILENT: silence_read.of_silence}


@dataclass(slots=True)
class Seen:
    """Everything that rules see at one time.

    Attributes:
        readings: one for each cause.
        watched: pairs of a rule's name and a subject that some rule looks at, with the rules' slices.
        errors: rules that can't work, in sentences.
    """

    readings: list[Reading] = field(default_factory=list)
    watched: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def rules_of(project: Project, written: Sequence[Rule], monitors: Collection[str] | None = None) -> list[Rule]:
    """The rules of trikk.toml and those that evaluated monitors bring, which hold where they have the same name.

    Args:
        project: the project.
        written: the rules of trikk.toml.
        monitors: those that bring rules; all if not given.
    """
    own: list[Rule] = []
    for name in names(project.journal):
        if monitors is not None and name not in monitors:
            continue
        data: Any = Records(project.journal, name).spec().alarms
        own += [Rule.read(one) for one in data]
    mine = {(rule.name, rule.monitor) for rule in own}
    return [*own, *(rule for rule in written if (rule.name, rule.monitor) not in mine)]


def see(
    project: Project,
    rules: Sequence[Rule],
    monitors: Sequence[str],
    pipelines: Sequence[str],
    now: datetime,
    broken: TrikkError | None = None,
) -> Seen:
    """Read what every rule sees as of a time.

    Args:
        project: the project.
        rules: of monitors, pipelines and tables; one that names its subject holds there instead of a general one
            of the same name, and instead of a default one of the same kind.
        monitors: names of the monitors that the project declares.
        pipelines: names of the project's pipelines.
        now: the time, with its zone.
        broken: why the project's code can't be loaded, if it can't: names are those that are known from before.
    """
    seen, evaluated = Seen(), set(names(project.journal))
    for rule in rules:
        if rule.kind in OF_PROJECT:
            seen.watched[(rule.name, SUBJECT)] = {""}
            seen.readings.append(of_code(rule, broken, now))
            continue
        special = {
            r.subject
            for r in rules
            if r.subject and (r.name == rule.name or (rule in DEFAULTS and r.kind == rule.kind))
        }
        errors = [] if broken else seen.errors
        subjects = [s for s in _subjects(rule, monitors, pipelines, errors) if rule.subject or s not in special]
        for subject in subjects:
            seen.watched.setdefault((rule.name, subject), set()).add(rule.slice)
        if rule.kind == COST and (lack := costs.lack(project.settings)):
            seen.errors.append(f"rule {rule.name} ({rule.kind}) can't work: {lack}")
            continue
        for subject in subjects:
            if rule.kind in OF_MONITORS and subject not in evaluated:
                continue
            try:
                seen.readings += _read(project, rule, subject, now)
            except UsageError as error:
                mend = f"; {error.next}" if error.next else ""
                seen.errors.append(f"rule {rule.name} of {subject}: {error.what}{mend}")
            except TrikkError as error:
                seen.errors.append(f"rule {rule.name} of {subject} could not be judged: {error.what}")
    return seen


def _subjects(rule: Rule, monitors: Sequence[str], pipelines: Sequence[str], errors: list[str]) -> Sequence[str]:
    """What a rule looks at: what it names, or each monitor or pipeline if it names none."""
    own = rule.subject
    if rule.kind in OF_TABLES or own == ALL_PIPELINES:
        return [own]
    there = monitors if rule.kind in OF_MONITORS else pipelines
    if own and own not in there:
        what = "monitor" if rule.kind in OF_MONITORS else "pipeline"
        hint = UnknownName(what, own, there).next
        errors.append(f"rule {rule.name} is about {what} {own!r}, which is not there; {hint}")
    return [name for name in there if own in ("", name)]


def _read(project: Project, rule: Rule, subject: str, now: datetime) -> list[Reading]:
    if rule.kind in TABLE_KINDS:
        return TABLE_KINDS[rule.kind](project, rule, now)
    if rule.kind in PIPELINE_KINDS:
        return [PIPELINE_KINDS[rule.kind](project, rule, subject, now)]
    if rule.kind not in MONITOR_KINDS:
        raise UsageError(f"{rule.kind!r} is not known here", next="use a newer trikk")
    records = Records(project.journal, subject)
    spec = records.spec()
    check_against(rule, spec)
    return MONITOR_KINDS[rule.kind](records, spec, rule, now)
