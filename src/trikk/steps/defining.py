"""What a ready-made step's arguments are checked and kept with while a pipeline is defined."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from trikk.core.errors import DefinitionError, UsageError
from trikk.pipeline.location import caller


@contextmanager
def defining() -> Iterator[None]:
    """Give a wrong argument the file and line of the author's call.

    Raises:
        DefinitionError: in the place of any UsageError.
    """
    try:
        yield
    except UsageError as error:
        raise DefinitionError(error.what, where=caller(), next=error.next) from error


def plain_options(**options: object) -> dict[str, Any]:
    """Options as a step's constants hold them: a dict for any mapping, a list for any other collection."""
    return {name: _plain(value) for name, value in options.items()}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Collection) and not isinstance(value, str) else value
