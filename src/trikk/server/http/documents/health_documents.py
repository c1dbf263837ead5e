"""Whether a server is well, as answers have it."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class HealthDocument(TypedDict):
    """That the process answers."""

    status: str
    version: str
    server: str


class ReadinessDocument(TypedDict):
    """Whether a server does its work; to who may know, what is wrong, and how each of its parts is."""

    status: str
    server: NotRequired[str]
    problems: NotRequired[list[dict[str, Any]]]
    code: NotRequired[dict[str, Any]]
    parts: NotRequired[list[dict[str, Any]]]
