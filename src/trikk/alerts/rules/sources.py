"""What all rules of a project see at one time. Where several are about one thing, the one that names it holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from trikk.alerts.config import DEFAULTS
from trikk.alerts.rules.kinds import read_rule
from trikk.alerts.rules.rule import Reading, Rule, Scene
from trikk.core.errors import TrikkError, UnknownName, UsageError
from trikk.execution.project import Project
from trikk.monitoring.figures.records import Records, names


@dataclass(slots=True)
class Seen:
    """Everything that rules see at one time."""

    readings: list[Reading] = field(default_factory=list)  # one for each cause
    # pairs of a rule's name and a subject that some rule looks at, with the rules' slices
    watched: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)  # rules that can't work, in sentences


def rules_of(project: Project, written: Sequence[Rule], monitors: Collection[str] | None = None) -> list[Rule]:
    """The rules of trikk.toml and those that evaluated monitors bring, which hold where names are the same."""
    brought = [
        read_rule(alarm)
        for name in names(project.journal)
        if monitors is None or name in monitors
        for alarm in Records(project.journal, name).spec().alarms
    ]
    keys = {(rule.about, rule.name, rule.subject) for rule in brought}
    return [*brought, *(rule for rule in written if (rule.about, rule.name, rule.subject) not in keys)]


def see(rules: Sequence[Rule], scene: Scene) -> Seen:
    """Read what every rule sees.

    Args:
        rules: of monitors, pipelines, tables and the project; one that names its subject holds there instead of a
            general one of the same name, and instead of a default one of the same kind.
        scene: what there is to look at.
    """
    seen = Seen()
    for rule in rules:
        try:
            subjects = rule.subjects(scene)
        except UnknownName as error:
            subjects = []
            if scene.broken is None:
                lost = f"rule {rule.name} is about {rule.about} {rule.subject!r}, which is not there"
                seen.errors.append(f"{lost}; {error.next}")
        if not rule.subject:
            elsewhere = set(_named_instead(rule, rules))
            # Before what is watched is noted: the other rule watches these.
            subjects = [subject for subject in subjects if subject not in elsewhere]
        for subject in subjects:
            seen.watched.setdefault((rule.name, subject), set()).add(rule.sliced_by)
        # after what is watched is noted: its open incidents are not resolved because prices are missing for a day
        if lack := rule.lack(scene.project.settings):
            seen.errors.append(f"rule {rule.name} ({rule.kind}) can't work: {lack}")
            continue
        for subject in subjects:
            try:
                seen.readings += rule.readings(scene, subject)
            # In the settings or code: said with what to do. Below, what may be over by the next look.
            except UsageError as error:
                mend = f"; {error.next}" if error.next else ""
                seen.errors.append(f"rule {rule.name} of {subject}: {error.what}{mend}")
            except TrikkError as error:
                seen.errors.append(f"rule {rule.name} of {subject} could not be judged: {error.what}")
    return seen


def _named_instead(rule: Rule, rules: Sequence[Rule]) -> Iterator[str]:
    """The subjects at which another rule holds in the place of a general one."""
    for named in rules:
        is_alike = named.name == rule.name or (rule in DEFAULTS and type(named) is type(rule))
        if named.subject and is_alike:
            yield named.subject
