"""A resource as a plain value, and the port by which each kind of it is read and changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from trikk.core.record import Record


class Kind(StrEnum):
    """The kinds of resources, each after those that it needs: made in this order, and deleted in the other."""

    LOG_GROUP = "log-group"
    BUCKET = "bucket"
    ROLE = "role"
    TOPIC = "topic"
    SUBSCRIPTION = "subscription"
    FUNCTION = "function"
    PIPELINE = "pipeline"
    SCHEDULE_GROUP = "schedule-group"
    SCHEDULE = "schedule"
    RULE = "rule"
    ALARM = "alarm"


Attributes = Mapping[str, Any]
"""Of a resource, as JSON: those that trikk decides on, with `tags` where the kind has any. None is a secret."""


class Resource(Record, frozen=True):
    """A resource that is wanted.

    Attributes:
        kind: what it is.
        name: by which it is known within its kind.
        attributes: how it is to be.
        why: what it is for, in half a sentence.
    """

    kind: Kind
    name: str
    attributes: dict[str, Any]
    why: str


class ResourceKind(Protocol):
    """What can be done with the resources of one kind. Every method raises botocore's errors.

    Attributes:
        kind: which it is.
        set_by_create: the attributes that are as they should be once `create` has returned.
    """

    kind: ClassVar[Kind]
    set_by_create: ClassVar[frozenset[str]]

    def names(self) -> Collection[str]:
        """The names of all that may be the environment's, be they wanted or not, be they there or not."""

    def read(self, name: str) -> dict[str, Any] | None:
        """The attributes of one as it is; None if there is none."""

    def create(self, name: str, attributes: Attributes) -> None:
        """Make one, with its tags by the same call: whatever dies next, it is known as the environment's."""

    def update(self, name: str, attributes: Attributes, changed: Collection[str]) -> None:
        """Bring some of its attributes to what they should be."""

    def delete(self, name: str) -> None:
        """Delete it, and what lies in it; well if it is gone already."""
