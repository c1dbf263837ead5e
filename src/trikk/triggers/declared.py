"""The triggers of a whole project, from its code and its trikk.toml, and what only both together can get wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec.structs import replace

from trikk.core.errors import ProjectError, TrikkError, UnknownName
from trikk.core.record import Record
from trikk.core.settings import FILE, Settings
from trikk.pipeline.graph import Graph
from trikk.triggers.clock_triggers import Cron, Interval
from trikk.triggers.event_triggers import AfterRun, FileArrived, Message, TableChanged, Webhook

if TYPE_CHECKING:
    from trikk.execution.run_options import ProjectExecutor

AnyTrigger: TypeAlias = Cron | Interval | AfterRun | TableChanged | FileArrived | Message | Webhook

_IN_TOML: Mapping[str, type[AnyTrigger]] = {
    "cron": Cron,
    "interval": Interval,
    "after_run": AfterRun,
    "table_changed": TableChanged,
    "file_arrived": FileArrived,
    "message": Message,
    "webhook": Webhook,
}
"""The key of a section [triggers.NAME] that says what kind it is; its value is the kind's first argument."""


class Declared(Record, frozen=True):
    """A trigger of a project.

    Attributes:
        pipeline: what it starts.
        trigger: when, and how; with its name and its time zone.
        where: `file:line` of the pipeline, or the section of trikk.toml.
    """

    pipeline: str
    trigger: AnyTrigger
    where: str

    @property
    def name(self) -> str:
        """The trigger's name, unique in a project."""
        return self.trigger.name


def project_triggers(executor: ProjectExecutor, settings: Settings) -> dict[str, Declared]:
    """The project's triggers by name, in the order in which they are declared.

    Args:
        executor: with the project's code; it is waited for.
        settings: what trikk.toml says.

    Raises:
        ProjectError: if two have one name, one names a pipeline that is not there, or some would start each
            other's pipelines for ever; or as `ProjectExecutor.graphs` does.
    """
    graphs = executor.graphs()
    in_code = (msgspec.convert(trigger, Declared) for trigger in executor.triggers())
    triggers: dict[str, Declared] = {}
    hooks: dict[str, Declared] = {}
    for declared in (*in_code, *_in_toml(settings, graphs)):
        whole = replace(declared.trigger, timezone=declared.trigger.timezone or settings.timezone)
        declared = replace(declared, trigger=whole)  # noqa: PLW2901
        _add(triggers, declared, declared.name, "triggers are named")
        if isinstance(whole, Webhook):
            _add(hooks, declared, whole.hook, "webhooks are called")
    _check_pipelines(triggers.values(), graphs)
    return triggers


def trigger_named(triggers: Mapping[str, Declared], name: str) -> Declared:
    """A trigger by its name; UnknownName if there is none."""
    if name not in triggers:
        raise UnknownName("trigger", name, triggers)
    return triggers[name]


def _add(known: dict[str, Declared], declared: Declared, name: str, what: str) -> None:
    first = known.setdefault(name, declared)
    if first is not declared:
        where = f"{first.where} and {declared.where}"
        raise ProjectError(f"two {what} {name!r}", where=where, next="give one of them another name")


def _in_toml(settings: Settings, graphs: Mapping[str, Graph]) -> Iterator[Declared]:
    for name, section in settings.triggers.items():
        where = f"[triggers.{name}] in {settings.root / FILE}"
        try:
            yield _of_section(name, section, graphs, where)
        except TrikkError as error:
            raise ProjectError(error.what, where=where, next=error.next) from error


def _of_section(name: str, section: object, graphs: Mapping[str, Graph], where: str) -> Declared:
    """The trigger that a section of trikk.toml declares; UsageError if it can't be one."""
    given: dict[str, Any] = dict(section) if isinstance(section, Mapping) else {}
    keys = [key for key in _IN_TOML if key in given]
    if len(keys) != 1:
        raise ProjectError(
            f"a trigger has one of {', '.join(_IN_TOML)}",
            next='write pipeline = "...", cron = "0 4 * * *"',
        )
    kind, first = _IN_TOML[keys[0]], given.pop(keys[0])
    pipeline = given.pop("pipeline", None)
    if pipeline not in graphs:
        raise UnknownName("pipeline", str(pipeline), graphs)
    options = [*kind.__struct_fields__[1:]]
    unknown = next((key for key in given if key not in options or key == "name"), None)
    if unknown is not None:
        raise UnknownName("setting of such a trigger", unknown, options)
    trigger: AnyTrigger = kind(first, **given, name=name)
    return Declared(pipeline, trigger.for_pipeline(graphs[pipeline], where), where)


def _check_pipelines(triggers: Iterable[Declared], graphs: Mapping[str, Graph]) -> None:
    """Refuse a trigger by a pipeline that is not there, and those by which a run would bring about itself."""
    followers: dict[str, list[Declared]] = {}
    for declared in triggers:
        for pipeline in _brought_by(declared, graphs):
            followers.setdefault(pipeline, []).append(declared)
    for start in followers:
        chain = _way_back(start, followers)
        if chain:
            raise ProjectError(
                f"runs would start each other for ever: {' -> '.join([start, *(d.pipeline for d in chain)])}",
                where=chain[-1].where,
                next=f"remove one of the triggers {', '.join(d.name for d in chain)}",
            )


def _brought_by(declared: Declared, graphs: Mapping[str, Graph]) -> list[str]:
    """The pipelines of which each run, if it goes well, brings a trigger about."""
    trigger = declared.trigger
    if isinstance(trigger, AfterRun):
        if trigger.after not in graphs:
            error = UnknownName("pipeline", trigger.after, graphs)
            raise ProjectError(f"trigger {declared.name}: {error.what}", where=declared.where, next=error.next)
        return [trigger.after]
    if isinstance(trigger, TableChanged):
        # a write under a condition may come to an end by itself
        nodes = ((name, node) for name, graph in graphs.items() for node in graph.nodes.values() if not node.when)
        return [name for name, node in nodes if node.write and node.write.table == trigger.table]
    return []


def _way_back(start: str, followers: Mapping[str, list[Declared]]) -> list[Declared]:
    """The triggers by which a run of a pipeline comes to be followed by another run of it; empty if none does."""
    ways: dict[str, list[Declared]] = {start: []}
    waiting = [start]
    while waiting:
        pipeline = waiting.pop(0)
        for declared in followers.get(pipeline, ()):
            way = [*ways[pipeline], declared]
            if declared.pipeline == start:
                return way
            if declared.pipeline not in ways:
                ways[declared.pipeline] = way
                waiting.append(declared.pipeline)
    return []
