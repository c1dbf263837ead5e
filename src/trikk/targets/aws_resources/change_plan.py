"""What has to be done so that resources are as they are wanted. Pure: what is there is passed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from trikk.core.record import Record
from trikk.targets.aws_resources.kinds.resource_port import Attributes, Kind, Resource

Key = tuple[Kind, str]
_ORDER = list(Kind)
_LIES_IN = {Kind.SUBSCRIPTION: Kind.TOPIC, Kind.SCHEDULE: Kind.SCHEDULE_GROUP}
"""The kinds that have no tags, and that of which there is one, which has."""


class Action(StrEnum):
    """What is done with a resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class AttributeChange(Record, frozen=True):
    """One value that is to be another.

    Attributes:
        attribute: its place, such as `policy.Statement.0.Action`.
        before: what it is; None if there is none.
        after: what it is to be; None if there is to be none.
    """

    attribute: str
    before: Any
    after: Any


class Change(Record, frozen=True):
    """What is done with one resource, and why."""

    action: Action
    kind: Kind
    name: str
    why: str
    attributes: tuple[AttributeChange, ...] = ()

    @property
    def key(self) -> Key:
        """By which the resource is known."""
        return self.kind, self.name


class Plan(Record, frozen=True):
    """All that is to be done, in order.

    Attributes:
        changes: first what is made and changed, then what is deleted.
        unchanged: how many resources are as they are wanted.
        foreign: resources that have a wanted name and are not the environment's: nothing may be done.
    """

    changes: tuple[Change, ...]
    unchanged: int
    foreign: tuple[Key, ...] = ()


def change_plan(wanted: Sequence[Resource], existing: Mapping[Key, Attributes], owner: Mapping[str, str]) -> Plan:
    """The difference between what is wanted and what is there.

    Args:
        wanted: the resources of the environment; none if it is to go.
        existing: what is there by the names of the environment, be it the environment's or not.
        owner: the tags by which its resources are known.
    """
    by_key = {(resource.kind, resource.name): resource for resource in wanted}
    owned = set(_owned(existing, owner))
    changes: list[Change] = []
    foreign = []
    for key in sorted(by_key, key=_place):
        resource, attributes = by_key[key], existing.get(key)
        if attributes is None:
            changes.append(Change(Action.CREATE, *key, resource.why))
        elif key not in owned:
            foreign.append(key)
        elif differing := tuple(differences(attributes, resource.attributes)):
            changes.append(Change(Action.UPDATE, *key, "it is not as it is declared", differing))
    unchanged = len(by_key) - len(changes) - len(foreign)
    gone = owned - by_key.keys()
    why = "it is no longer declared" if wanted else "the environment is to go"
    changes += (Change(Action.DELETE, *key, why) for key in sorted(gone, key=_place, reverse=True))
    return Plan(tuple(changes), unchanged, tuple(foreign))


def _owned(existing: Mapping[Key, Attributes], owner: Mapping[str, str]) -> Iterator[Key]:
    """What is the environment's: by its tags, or by those of what it lies in."""
    tagged = {key for key, attributes in existing.items() if owner.items() <= attributes.get("tags", {}).items()}
    for key in existing:
        if key in tagged or (key[0] in _LIES_IN and any(kind is _LIES_IN[key[0]] for kind, _ in tagged)):
            yield key


def differences(before: Any, after: Any, place: str = "") -> Iterator[AttributeChange]:
    """Where two JSON values differ, by their smallest parts."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*after, *before]):
            yield from differences(before.get(key), after.get(key), f"{place}.{key}" if place else str(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (earlier, later) in enumerate(zip(before, after, strict=True)):
            yield from differences(earlier, later, f"{place}.{number}")
    elif before != after:
        yield AttributeChange(place, before, after)


def _place(key: Key) -> tuple[int, str]:
    return _ORDER.index(key[0]), key[1]
