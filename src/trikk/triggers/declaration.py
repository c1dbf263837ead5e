"""What every trigger declares, and how it becomes that of a pipeline: named, and sure to fill in its parameters.

A declaration is checked where it is written, so that an error names the author's line; whether its pipeline can be
run by it is checked when the pipeline is defined, and what only the whole project shows by `project_triggers`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self, TypeVar

import msgspec
from msgspec.structs import force_setattr, replace

from trikk.core.errors import ParameterError, UsageError
from trikk.core.names import check_name
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.core.zones import zone_of
from trikk.pipeline.graph import Graph
from trikk.pipeline.location import defining
from trikk.pipeline.parameters.tick_parameters import as_texts
from trikk.pipeline.parameters.trigger_event import Event
from trikk.pipeline.pipeline import parameters_for

E = TypeVar("E", bound=StrEnum)

_SOME_EVENT = Event(id="1", kind="hand", at=datetime(2020, 3, 26, 4, tzinfo=UTC))


class Overlap(StrEnum):
    """What happens when a trigger comes due while an earlier run of its own is not over."""

    QUEUE = "queue"
    """The new run waits until it is."""
    SKIP = "skip"
    """There is no new run; it is recorded that it was skipped."""
    CANCEL = "cancel"
    """The earlier run is cancelled, and the new one starts when it has ended."""
    ALLOW = "allow"
    """Both run."""


class Missed(StrEnum):
    """What happens with the moments that came while no server was there."""

    LATEST = "latest"
    """The newest one has its run; the others are recorded as missed."""
    ALL = "all"
    """Each has its run, but for the oldest where there are more than `at_most`."""
    SKIP = "skip"
    """None has a run; they are recorded as missed."""


class Trigger(Record, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What all kinds of triggers declare.

    Attributes:
        name: PIPELINE-KIND if it is not given.
        timezone: whose days and hours count; that of the project if it is not given.
        day_offset: how many days after the local date of its moment the pipeline's date is; -1 for the day before.
        overlap: what happens while an earlier run is not over.
        parameters: of the pipeline, by name; what they do not give is filled in from the moment and the event.

    Raises:
        DefinitionError: when one is made that can't work, naming the author's line.
    """

    name: str = ""
    timezone: str = ""
    day_offset: int = 0
    overlap: Overlap = Overlap.QUEUE
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        with defining():
            self._check()

    def _check(self) -> None:
        """Raise UsageError if it can't work; set what is derived."""
        if self.name != "":
            check_name("trigger", self.name)
        if self.timezone != "":
            zone_of(self.timezone)
        whole = isinstance(self.day_offset, int) and not isinstance(self.day_offset, bool)
        if not whole or abs(self.day_offset) > 10_000:
            raise UsageError(f"day_offset={self.day_offset!r} is not a number of days", next="day_offset=-1")
        force_setattr(self, "overlap", one_of(Overlap, "overlap", self.overlap))
        if not isinstance(self.parameters, Mapping) or not all(isinstance(name, str) for name in self.parameters):
            raise UsageError("parameters= must be a dict", next='parameters={"city": "oslo"}')
        force_setattr(self, "parameters", dict(self.parameters))

    @property
    def kind(self) -> str:
        """What kind it is, such as `cron`: the ending of its name if it has none of its own."""
        return str(self.__struct_config__.tag)

    @abstractmethod
    def in_words(self) -> str:
        """When it comes due, for people."""

    def for_pipeline(self, graph: Graph, where: str) -> Self:
        """The trigger as that of a pipeline: with its name, its parameters as JSON.

        Args:
            graph: the pipeline.
            where: `file:line` of its definition, or the section of trikk.toml.

        Raises:
            DefinitionError: if a parameter that it gives is unknown or does not fit, or one is left open.
        """
        name = self.name or f"{graph.pipeline}-{self.kind}"
        with defining(where):
            check_name("trigger", name)
            try:
                named = replace(self, name=name, parameters=_as_json(graph, self.parameters))
                named.parameters_at(graph, _SOME_EVENT)
            except ParameterError as error:
                wrong = error.what.partition(" with these parameters: ")[2] or error.what
                raise UsageError(
                    f"trigger {name} can't fill in the parameters of pipeline {graph.pipeline}: {wrong}",
                    next='give them: parameters={"city": "oslo"}; a required date, datetime or Event is filled in',
                ) from error
        return named

    def parameters_at(self, graph: Graph, event: Event) -> dict[str, JSON]:
        """The parameters of the run that an event calls for, checked, as their kinds' JSON.

        Raises:
            ParameterError: if they do not fit the pipeline, as it is now.
        """
        zone = self.timezone or "UTC"
        texts = as_texts(graph, self.parameters, event.at, zone, day_offset=self.day_offset, event=event)
        return parameters_for(graph, texts, text=True)


def _as_json(graph: Graph, parameters: Mapping[str, Any]) -> dict[str, JSON]:
    """The parameters as their kinds' JSON; one that the pipeline lacks stays, to be refused with the others."""
    kinds = {spec.name: spec.kind for spec in graph.parameters}
    as_json: dict[str, JSON] = {}
    for name, value in parameters.items():
        try:
            as_json[name] = kinds[name].check(value) if name in kinds else ""
        except ParameterError as error:
            raise ParameterError(f"{name}: {error.what}; {error.next}") from error
    return as_json


def one_of(kinds: type[E], argument: str, value: object) -> E:
    """The member of an enum that an author names; UsageError if there is none."""
    for member in kinds:
        if value == member:
            return member
    raise UsageError(f"{argument}={value!r} is not understood", next=f"use one of {', '.join(kinds)}")
