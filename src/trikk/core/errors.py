"""Every error that trikk raises, in one tree, each saying what happened, where, and what to do next.

    TrikkError
    ├── UsageError                 the request is wrong; nothing was started (exit code 2)
    │   ├── DefinitionError        a pipeline or step is written wrongly
    │   ├── ParameterError         a parameter's value does not fit its type
    │   ├── ProjectError           the project's folder or trikk.toml is wrong
    │   ├── UnknownName            no such pipeline, run, step, table ...
    │   ├── MissingExtra           an optional package is not installed
    │   ├── SignatureError         rows are not what a model takes
    │   └── WebhookRefused         a call from outside is not signed as it must be
    ├── StorageError               artifacts and tables
    │   ├── ArtifactMissing
    │   ├── ArtifactCorrupt
    │   ├── CodecError             a value can't be stored or read back
    │   └── TableError
    ├── JournalError
    │   ├── RunExists
    │   ├── LeaseHeld              another driver has the run
    │   ├── LeaseLost              this driver no longer has it
    │   └── Conflict               somebody else has changed the same thing meanwhile
    ├── BrokerError                messages could not be handed over, for now
    ├── ServerError                a server can't be reached, or does not say what it should
    ├── AwsRefused                 AWS does not do what it was asked for, or can't be reached
    ├── RunError                   a run could not be driven, resumed or replayed
    ├── ProgramFailed              a script, command or notebook that a step ran has failed
    ├── PredictionError            a model gave no usable value for some rows
    └── PermanentError             raised by a step's author: do not retry

The command line shows the text and never a stack trace. Tests assert `code` and `next`, not prose.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class TrikkError(Exception):
    """Base of all errors of trikk.

    Attributes:
        what: one sentence on what happened.
        where: a file and line, a run and step, a table; or None.
        next: what to do about it; or None where the sentence already says it.
        code: a stable name for the kind of error, for programs.
        exit_code: what the command line exits with (1 failed, 2 usage).
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str | None = None, next: str | None = None) -> None:  # noqa: A002
        super().__init__(what)
        self.what = what
        self.where = where
        self.next = next

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  at:   {self.where}")
        if self.next:
            lines.append(f"  next: {self.next}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, str | None]:
        """The error as a JSON-able dict with keys code, what, where and next."""
        return {"code": self.code, "what": self.what, "where": self.where, "next": self.next}


class UsageError(TrikkError):
    """The request itself is wrong; nothing was started."""

    code = "usage"
    exit_code = 2


class DefinitionError(UsageError):
    """A pipeline or a step is written in a way that can't work; `where` is the author's file and line."""

    code = "definition"


class ParameterError(UsageError):
    """A parameter is missing, unknown, or has a value that does not fit its annotation."""

    code = "parameter"


class ProjectError(UsageError):
    """There is no project here, or its trikk.toml or modules can't be loaded."""

    code = "project"


_FIRST = {
    "pipeline": "write one: a function with @pipeline in a module of the project",
    "run": "start one: trikk run PIPELINE",
    "backfill": "begin one: trikk backfill PIPELINE --from DAY --to DAY",
    "trigger": 'declare one: @pipeline(triggers=[Cron("0 4 * * *")])',
    "table": "make one: trikk ingest TABLE FILES, or a step that writes it",
    "incident": "none has opened yet; what is watched: trikk monitor",
    "report": "declare one: see docs/reports.md",
    "stream": 'declare one to read in trikk.toml, [streams.NAME]; publish to one, to="stream:NAME"',
}
"""How the first of a kind comes to be: what to do where there is none of that kind."""


class UnknownName(UsageError):
    """No such pipeline, run, step, table ...; close matches are offered."""

    code = "unknown-name"

    def __init__(self, kind: str, name: str, known: Iterable[str], *, next: str | None = None) -> None:  # noqa: A002
        import difflib

        known = sorted(known)
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        if close:
            hint = f"did you mean {' or '.join(close)}?"
        elif known:
            listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
            hint = f"there are: {listed}"
        else:
            hint = _FIRST.get(kind, f"there is no {kind} yet")
        super().__init__(f"there is no {kind} {name!r}", next=next or hint)
        self.close = close


class WrongState(UsageError):
    """It can't be done to something as it is: an incident that is over, an alias that was never moved."""

    code = "wrong-state"


class MissingExtra(UsageError):
    """An optional package is needed and not installed; `next` is the install line."""

    code = "missing-extra"

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs a package that is not installed", next=f"pip install 'trikk[{extra}]'")
        self.extra = extra


class SignatureError(UsageError):
    """Rows do not fit a model's signature.

    Attributes:
        field: the input or output that does not fit; None where it is about the rows as a whole.
    """

    code = "signature"

    def __init__(
        self,
        what: str,
        *,
        field: str | None = None,
        where: str | None = None,
        next: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(what, where=where, next=next)
        self.field = field


class WebhookRefused(UsageError):
    """A call to a webhook has no right signature, is too old, or holds what no run can be told of."""

    code = "webhook-refused"


class StorageError(TrikkError):
    """An artifact or a table can't be written or read."""

    code = "storage"


class RecordError(StorageError):
    """What was written down does not read as what it should be: it is damaged, or something else wrote it."""

    code = "record-unreadable"


class ArtifactMissing(StorageError):
    """An artifact is not in the store any more."""

    code = "artifact-missing"


class ArtifactCorrupt(StorageError):
    """An artifact's bytes are not those that its name was computed from."""

    code = "artifact-corrupt"


class CodecError(StorageError):
    """A value can't be stored, or can't be read back as asked."""

    code = "codec"


class TableError(StorageError):
    """A table is missing, damaged, or does not take the rows it was given."""

    code = "table"


class VersionMissing(TableError):
    """A table has no such version."""

    code = "version-missing"


class JournalError(TrikkError):
    """The journal can't be read or written."""

    code = "journal"


class RunExists(JournalError):
    """A run with this id was created before."""

    code = "run-exists"


class LeaseHeld(JournalError):
    """Another driver, still alive, has the run."""

    code = "lease-held"


class LeaseLost(JournalError):
    """This driver's lease was taken over; it must stop and write nothing more."""

    code = "lease-lost"


class Conflict(JournalError):
    """Somebody else has changed the same thing meanwhile; look again, and decide again."""

    code = "conflict"


class BrokerError(TrikkError):
    """A broker is away or did not take what it was given; nothing is lost, and another attempt may go well."""

    code = "broker"


class ServerError(TrikkError):
    """A trikk server can't be reached, breaks off, or answers what nobody can read."""

    code = "server"


class AwsRefused(TrikkError):
    """AWS does not do what it was asked for, such as what the credentials may not, or can't be reached."""

    code = "aws-refused"


class RunError(TrikkError):
    """A run can't be driven, resumed or replayed as asked."""

    code = "run"


class ApprovalExpired(RunError):
    """A decision that came too late: the question had expired, and was decided as its author declares."""

    code = "approval-expired"


class PredictionError(TrikkError):
    """A model gave NaN, an infinity, nothing, or another number of values than there are rows."""

    code = "prediction"


class ProgramFailed(TrikkError):
    """A script, a command or a notebook that a step ran has failed."""

    code = "program-failed"


class PermanentError(TrikkError):
    """Raise it in a step whose failure no retry can mend: the step fails at once."""

    code = "permanent"
