"""Airflow as a visitor of graphs: what it can't do, and the DAG file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from trikk.core.durations import seconds
from trikk.core.settings import FILE, Settings
from trikk.pipeline.graph import ParameterSpec
from trikk.targets.airflow.airflow_engine import open_engine
from trikk.targets.airflow.airflow_schedule import cron_triggers, schedule_problems
from trikk.targets.airflow.airflow_settings import NAME, RETRIES, RETRY_DELAY, airflow_settings
from trikk.targets.airflow.dag_file import DagPlan, dag_file
from trikk.targets.jobs.exchange_place import exchange_of
from trikk.targets.mirroring.engine_status import Engine
from trikk.targets.target_port import Problem, Source, folder_problems, refuse
from trikk.targets.target_settings import TargetSettings
from trikk.triggers.declaration import Overlap

_VARIABLE = re.compile(r"\$\{\w+\}")


class Airflow:
    """Compiles DAG files."""

    name: ClassVar[str] = NAME

    def problems(self, source: Source) -> list[Problem]:
        """All that Airflow can't do with this pipeline, and notes of what it does in another way."""
        section = airflow_settings(source.settings)
        return [*_of_places(source, section), *_of_steps(source), *schedule_problems(source), *_notes(source)]

    def document(self, source: Source) -> str:
        """The DAG file."""
        refuse(self.problems(source), source, self.name)
        return dag_file(source.graph, _plan(source, airflow_settings(source.settings)))

    def engine(self, settings: Settings) -> Engine | None:
        """Airflow's API, if trikk.toml says where it is."""
        return open_engine(settings)


def _plan(source: Source, section: TargetSettings) -> DagPlan:
    graph, settings, values = source.graph, source.settings, section.values
    crons = [declared.trigger for declared in cron_triggers(source)]
    first: Any = crons[0] if crons else None
    settled = dict(first.parameters) if first else {}
    kinds = {spec.name: spec.kind for spec in graph.parameters}
    options = {
        "pipeline": graph.pipeline,
        "engine": NAME,
        "exchange": exchange_of(settings, NAME),
        "store": settings.location("artifacts"),
        "tables": _place(settings, "tables"),
        "journal": _place(settings, "journal"),
        "environment": settings.environment,
        "code": source.code,
        **({} if "://" in settings.artifacts else {"state": str(settings.state)}),
    }
    return DagPlan(
        dag=graph.pipeline,
        project=settings.name,
        options=options,
        python=str(values.get("python", "")),
        lines=tuple(cron.line for cron in crons),  # type: ignore[union-attr]
        zone=first.timezone or "UTC" if first else "UTC",
        trigger=cron_triggers(source)[0].name if len(crons) == 1 else "",
        settled={name: kinds[name].to_text(value) for name, value in settled.items()},
        filled={
            spec.name: spec.kind.name if spec.kind.name in ("date", "datetime") else "event"
            for spec in graph.parameters
            if first and spec.name not in settled and _is_filled(spec)
        },
        day_offset=first.day_offset if first else 0,
        at_once=1 if first and first.overlap == Overlap.QUEUE else None,
        retries=values.get("retries", RETRIES),
        retry_delay=seconds(values.get("retry_delay", RETRY_DELAY)),
        tags=tuple(values.get("tags", ())),
    )


def _place(settings: Settings, kind: str) -> str:
    """A place of storage as a job reads it: a job fills variables in, the file holds no secret."""
    given = str(getattr(settings, kind))
    return given if _VARIABLE.search(given) else settings.location(kind)


def _is_filled(spec: ParameterSpec) -> bool:
    """Whether a scheduled run gets this parameter from its moment, if nothing else gives it."""
    return spec.kind.is_event or (spec.required and spec.kind.name in ("date", "datetime"))


def _of_places(source: Source, section: TargetSettings) -> Iterator[Problem]:
    where = str(source.settings.root / FILE)
    places = {"storage.artifacts": source.settings.artifacts, "exchange": str(section.values.get("exchange", ""))}
    for key, given in places.items():
        if _VARIABLE.search(given):
            yield Problem(
                f"{key} names a variable, and a DAG file can't hold what it stands for",
                next="write the address, and give the credentials by the environment of the workers",
                where=where,
            )


def _of_steps(source: Source) -> Iterator[Problem]:
    if "://" in source.settings.artifacts:  # else workers see the project's folder
        yield from folder_problems(source)
    for node in source.graph.nodes.values():
        if node.question is not None:
            yield Problem(
                "it asks people, and a task can't wait for them",
                next="run the pipeline on trikk serve, or split it at the question",
                step=node.name,
                where=node.where,
            )


def _notes(source: Source) -> Iterator[Problem]:
    settings, graph = source.settings, source.graph
    folders = [kind for kind in ("artifacts", "tables") if "://" not in _place(settings, kind)]
    if folders:
        yield Problem(
            f"{' and '.join(folders)} lie in a folder, which all workers have to see under the same path",
            next="with workers on several machines: [storage] on S3, and the journal in PostgreSQL",
            where=str(settings.root / FILE),
            is_note=True,
        )
    if graph.pools:
        yield Problem(
            f"places in pools ({', '.join(graph.pools)}) are not taken",
            next="use Airflow's own pools",
            is_note=True,
        )
    if any(declared.trigger.overlap == Overlap.QUEUE for declared in cron_triggers(source)):
        yield Problem(
            "one run at a time: a run by hand waits for a scheduled one, too",
            next='use overlap="allow" if it need not',
            is_note=True,
        )
