"""What a driver asks of a worker and what it answers: `StepCall` and `StepResult`, JSON both ways.

The same two messages travel to a local process, another machine or a container. They are written where they come
from and read where they are used; whoever carries them has bytes. An argument in a call is one of

    {"value": encoded}                                plain, by trikk.core.values; also an item of a plain list
    {"parameter": name, "value": json}                as the pipeline's parameter kind has it
    {"artifact": artifact, "path": [...]}             what an earlier step made, or what lies inside
    {"artifacts": [artifact, ...]}                    all outputs of a step that declares several
    {"table": name, "version": n, "writes": [...]}    rows at a version, with the run's own writes on top
    {"model": version}                                a registered model version as JSON; null if there is none
    {"items": [argument, ...], "keys": [...]}         a list, or a dict where there are keys; with "tuple" a tuple
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from trikk.core.record import Record
from trikk.storage.artifact import Artifact


class StepCall(Record, frozen=True, omit_defaults=True):
    """One attempt of one step, complete: whoever has the project's code and storage can do it.

    Attributes:
        run: the run's id.
        pipeline: the pipeline's name.
        step: the node's name.
        item: the position in a mapped step, else None.
        attempt: 1 for the first.
        arguments: as the module says, by name.
        outputs: how many outputs are declared; None for a single one.
        write: what a write step does to its table, `WriteTo` as JSON; None for other steps.
        dry: a write is stored but not made to the table, and nothing outside is changed, as in a replay.
        acts_as: the run that results refer to: in a replay the one that is repeated, else the run itself.
        moment: seconds since 1970 at which that run was created.
        as_of: whether that is another time than the clock's then.
        seed: for `random` and numpy, 0 to 2**32 - 1.
        cpus: the cores that the step takes; bounds the threads of numerical libraries.
        memory: bytes that it takes, 0 if that is not known; gpus: accelerators. For who chooses a machine.
        log: where stdout, stderr and logging go: a path, or "" to leave them.
        on: the exception classes that are tried again, by name; None for no retry.
        ready_made: a `Step` of trikk's own as "module:name", which a command has done beside all runs; else "".
    """

    run: str
    pipeline: str
    step: str
    item: int | None
    attempt: int
    arguments: dict[str, Any]
    outputs: int | None = None
    write: dict[str, Any] | None = None
    dry: bool = False
    acts_as: str = ""
    moment: float = 0.0
    as_of: bool = False
    seed: int = 0
    cpus: float = 1.0
    memory: float = 0.0
    gpus: int = 0
    log: str = ""
    on: list[str] | None = None
    ready_made: str = ""

    @property
    def identity(self) -> str:
        """The same for every attempt of this step in this run: what makes a table write happen once."""
        return f"{self.run}/{self.step}" if self.item is None else f"{self.run}/{self.step}/{self.item}"


class StepResult(Record, frozen=True, omit_defaults=True):
    """How an attempt ended.

    Attributes:
        outputs: what it has made, if it succeeded.
        error: None if it succeeded, else a dict with `kind` (raised, returned, stored, loaded, timeout, killed,
            exited, lost), `type`, `message`, `traceback` (without trikk's frames, as text), `where` (the
            author's line) and `retryable`.
        seconds: how long it took.
        write: what was committed: table, version, rows.
        note: what a ready-made step says of itself in one line; empty if nothing.
        loading: seconds until its arguments were there; storing: after its work, until all of it was stored.
    """

    outputs: list[Artifact] = field(default_factory=list)
    error: dict[str, Any] | None = None
    seconds: float = 0.0
    write: dict[str, Any] | None = None
    note: str = ""
    loading: float = 0.0
    storing: float = 0.0


def failure(
    kind: str,
    message: str,
    *,
    retryable: bool,
    type: str = "",  # noqa: A002
    traceback: str = "",
    where: str = "",
) -> StepResult:
    """A result for an attempt that failed; the fields as in `StepResult.error`."""
    error: dict[str, Any] = {"kind": kind, "type": type, "message": message, "where": where}
    return StepResult(error={**error, "traceback": traceback, "retryable": retryable})
