"""What a cached step's result depends on besides its code, parameters and inputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.pipeline.location import caller


@dataclass(frozen=True, slots=True)
class Cache:
    """Reuse a step's result from an earlier run when nothing that it depends on has changed.

    Code that the step reaches in the project, its arguments, the digests of its inputs and Python's minor
    version always count. Declare here what else does.

    Args:
        variables: names of environment variables that the step reads.
        packages: names of installed distributions whose version matters, such as "scikit-learn".
    """

    variables: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    def __init__(self, variables: Iterable[str] = (), packages: Iterable[str] = ()) -> None:
        for name, value in (("variables", variables), ("packages", packages)):
            found = (value,) if isinstance(value, str) else tuple(value)
            if not all(isinstance(v, str) for v in found):
                raise UsageError(
                    f"{name} of a cache must be names", where=caller(), next='write Cache(variables=["REGION"])'
                )
            object.__setattr__(self, name, found)

    def to_json(self) -> dict[str, JSON]:
        """The declaration as JSON."""
        return {"variables": list(self.variables), "packages": list(self.packages)}
