"""Registered models as an author names them: what steps read, locked at a run's start as tables are."""

from __future__ import annotations

import re

from trikk.core.errors import UsageError
from trikk.core.names import check_name
from trikk.pipeline.location import caller

# No leading zeros: 3 and 03 would be two names of one version.
_REFERENCE = re.compile(r"(?P<name>[^@:]+)(@(?P<alias>[^@:]+)|:(?P<version>[1-9][0-9]{0,8}))?\Z")


class Model:
    """A registered model by a reference: `people@champion` an alias, `people:3` a version, `people` the newest.

    Given to a step, it arrives as a `ModelVersion` where the step's annotation asks for one, else as the model
    itself. Which version that is, is decided when the run is created; a replay gets the same.

    Args:
        reference: as above.
        optional: where there is no such model or alias yet, the step gets None; without it the run is refused
            before anything starts.

    Raises:
        UsageError: if the reference can't be one.
    """

    def __init__(self, reference: str, *, optional: bool = False) -> None:
        split_reference(reference, where=caller())
        self.model_reference = reference
        self.optional = optional

    def __repr__(self) -> str:
        return f"Model({self.model_reference!r})"


def split_reference(reference: str, *, where: str | None = None) -> tuple[str, str | None, int | None]:
    """The name, and the alias or the version, of a reference.

    Raises:
        UsageError: if it is not one.
    """
    match = _REFERENCE.match(reference) if isinstance(reference, str) else None
    if match is None:
        raise UsageError(
            f"{reference!r} names no model",
            where=where,
            next='write "name@alias", "name:3", or "name" for the newest',
        )
    name = check_name("model", match["name"], where=where)
    alias = None if match["alias"] is None else check_name("alias", match["alias"], where=where)
    return name, alias, None if match["version"] is None else int(match["version"])
