"""What a server and its nursery tell each other. Not in its module, whose imports a server does not need."""

from __future__ import annotations

from trikk.core.record import Record


class Drive(Record, frozen=True, tag=True):
    """Fork a driver for a run."""

    run: str


class Look(Record, frozen=True, tag=True):
    """Fork a process that looks at the project, or makes reports; its stdin, stdout and stderr come with this."""

    reports: bool


class Call(Record, frozen=True, tag=True):
    """Say `Here`."""


class Here(Record, frozen=True, tag=True):
    """The nursery goes on, and does not hang."""


class Driving(Record, frozen=True, tag=True):
    """A process drives a run, or is about to; 0 if none could be forked."""

    run: str
    pid: int


class Driven(Record, frozen=True, tag=True):
    """The process that drove a run has ended, with a wait status as of os.waitpid."""

    run: str
    pid: int
    status: int


class Templated(Record, frozen=True, tag=True):
    """Whether drivers are given code that was imported before, whatever is on the disk by now."""

    is_so: bool


ToNursery = Drive | Look | Call
FromNursery = Driving | Driven | Templated | Here
