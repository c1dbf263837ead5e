"""What one page shows, in HTML, as JSON and as CSV alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of a page, as CSV has it: all its rows, also those that the page does not show at once."""

    columns: Sequence[str]
    rows: Iterable[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class View:
    """What one page shows.

    Attributes:
        title: of the page.
        template: its file, below `pages/`.
        document: the REST API's documents that it is made from: what `.json` gives, and `document` in templates.
        context: what else the template needs, such as pictures.
        sheets: its tables, by the name that is in their address; made only when one is asked for.
        trail: (text, address) of the pages above it, the topmost first.
        live: what it follows: "project", the id of a run, or "" if it stays as it is.
        commands: (what it does, the command that does the same) of what can be done here beside its forms.
    """

    title: str
    template: str
    document: Any
    context: Mapping[str, Any] = field(default_factory=dict)
    sheets: Mapping[str, Callable[[], Sheet]] = field(default_factory=dict)
    trail: Sequence[tuple[str, str]] = ()
    live: str = ""
    commands: Sequence[tuple[str, str]] = ()
