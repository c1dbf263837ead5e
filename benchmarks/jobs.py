"""The words that contenders and the measuring loop share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Command:
    """What to start: `env` is added to the bare environment that every process gets."""

    argv: list[str]
    cwd: Path
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """One measured thing, ready to start in a fresh folder.

    Attributes:
        command: the process that is timed; when `again` is given, the one that has to fail or be killed.
        expect: the text that the last step must have written to `result.txt`, or None when nothing is checked.
        stored: the folder whose growth is the bytes that the tool keeps.
        again: gives the command that resumes; then that one is timed.
        kill_at: the step during which the first process group gets SIGKILL.
        stop: called after the measurement, whatever became of it.
    """

    command: Command
    expect: str | None = None
    stored: Path | None = None
    again: Callable[[], Command] | None = None
    kill_at: int | None = None
    stop: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a case's table. `runs` caps the repetitions of what is very slow."""

    label: str
    prepare: Callable[[Path], Job]
    runs: int | None = None
    watch_memory: bool = False


class Contender(Protocol):
    """One tool, or one way of doing without a tool."""

    name: str

    def ready(self) -> str | None:
        """Make the tool usable; the reason when it can't be used."""
        ...

    def entries(self, case: str) -> list[Entry]:
        """The lines that this contender has in `case`; none when the case does not apply."""
        ...

    def versions(self) -> dict[str, str]:
        """Package versions that a reader needs in order to compare."""
        ...
