"""What a ready-made step's arguments are checked with while a pipeline is defined."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
