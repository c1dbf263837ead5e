"""The port for values: how one kind of value becomes a file and a value again.

A codec must give equal bytes for equal values wherever it can, since replay and reuse compare digests. A
project adds its own in trikk.toml: `codecs = ["module:Class"]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from trikk.core.values import JSON


class Codec(Protocol):
    """How one kind of value is stored.

    Attributes:
        name: recorded in each artifact; never reuse one for another format.
        suffix: of the half-written file, such as `.json`.
    """

    name: str
    suffix: str

    def accepts(self, value: object) -> bool:
        """Whether this codec stores that value. Must be quick and must not import a heavy library."""

    def dump(self, value: Any, path: Path) -> dict[str, JSON]:
        """Write the value to a new file at `path` and return its summary, which has at least `type`."""

    def load(self, path: Path, want: object, summary: dict[str, JSON]) -> Any:
        """Return the value of a verified, read-only file.

        Args:
            path: the file that `dump` wrote.
            want: the annotation of the parameter that will take the value, or None.
            summary: what `dump` returned.
        """

    def head(self, path: Path, rows: int) -> JSON | None:
        """The first `rows` rows, lines or items for people, or None if there is nothing to show."""


def type_name(value: object) -> str:
    """The name of a value's type for people: `float`, `pathlib.Path`, `polars.DataFrame`.

    The package's public name is used, not the module that the class happens to be defined in.
    """
    cls = type(value)
    package = cls.__module__.split(".")[0]
    return cls.__qualname__ if package == "builtins" else f"{package}.{cls.__qualname__}"
