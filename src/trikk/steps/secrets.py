"""Secrets for the authors of steps."""

from __future__ import annotations

import re

from trikk.core.errors import DefinitionError, UsageError
from trikk.core.network import masking
from trikk.core.network.secret_places import KnownValues, missing
from trikk.pipeline import tracing

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


def secret(name: str) -> str:
    """A password, token or key, for a step's function.

    It is looked for in the environment, then in the places of trikk.toml's `[secrets]`. From then on it is masked
    in what the step prints and logs, in its errors, and in what it writes down of itself; a result that holds it
    is refused.

    Args:
        name: such as "SLACK_URL": letters, digits and _.

    Returns:
        The value, which is not empty.

    Raises:
        UsageError: if it is nowhere, with the places that were looked at, or a place can't be read.
        DefinitionError: in the body of a pipeline, where it would become part of the stored graph.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError("that is not a name of a secret", next="write letters, digits and _: secret('SLACK_URL')")
    if tracing.current() is not None:
        problem = f"secret({name!r}) stands in the body of a pipeline, which is stored"
        raise DefinitionError(problem, next="ask for it in the function of the step that needs it")
    value = KnownValues().get(name)
    if not value:
        raise missing(name, None)
    masking.remember(name, value)
    masking.mask_streams()
    return value
