"""What a template and whoever wants hosts of it tell each other."""

from __future__ import annotations

from typing import Any

from trikk.core.record import Record

LARGEST = 1 << 16
"""Bytes of a message on a template's socket, at most."""


class Loaded(Record, frozen=True, tag=True):
    """The project is imported.

    Attributes:
        code: the digest of its code.
        fresh: why no host can be forked, if none can; the template has ended then.
        modules: names of imported libraries that drivers of its runs need as well.
    """

    code: str
    fresh: str | None = None
    modules: tuple[str, ...] = ()


class NotLoaded(Record, frozen=True, tag=True):
    """The project can't be imported: a `TrikkError` as JSON. The template has ended."""

    code: str
    error: dict[str, Any]


class HostWanted(Record, frozen=True):
    """Fork a host; with a driver's socket and a log. It and what it starts are known by the token."""

    token: str


class Asked(Record, frozen=True, tag=True):
    """A `HostWanted` was read, and a host forked if that could be done: the template does not hang."""


ToLauncher = Loaded | NotLoaded | Asked
