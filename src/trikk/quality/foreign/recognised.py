"""What an author may put into a gate's list: recognised without importing the library that it is from."""

from __future__ import annotations

from collections.abc import Mapping

from trikk.core.errors import DefinitionError
from trikk.pipeline.location import caller
from trikk.quality.check import Check
from trikk.quality.foreign.with_expectations import expectations
from trikk.quality.foreign.with_pandera import pandera_schema


def check_of(value: object) -> Check:
    """A check from what an author may put into a gate's list.

    Raises:
        DefinitionError: if it is not one.
    """
    if isinstance(value, Check):
        return value
    module = (value.__module__ if isinstance(value, type) else type(value).__module__).partition(".")[0]
    bases = value.__mro__ if isinstance(value, type) else ()
    if module == "pandera" or any(base.__module__.startswith("pandera.") for base in bases):
        return pandera_schema(value)
    if hasattr(value, "to_json_dict") and hasattr(value, "expectations"):
        return expectations(value)
    if isinstance(value, Mapping) and "expectations" in value:
        return expectations(value)
    raise DefinitionError(
        f"{value!r} is not a check",
        where=caller(),
        next='give checks such as not_null("id"), a Pandera schema or a Great Expectations suite',
    )
