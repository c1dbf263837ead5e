"""The package itself: its version, and names that are imported when they are first asked for (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping

__version__ = "0.1.0"


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The `__getattr__` and the `__dir__` of a package; what type checkers see stands under TYPE_CHECKING there.

    Args:
        package: its `__name__`.
        homes: by module, relative to the package, the names that it brings, with blanks between.
    """
    by_name = {name: f"{package}.{module}" for module, names in homes.items() for name in names.split()}

    def getter(name: str) -> object:
        if name in by_name:
            value: object = getattr(importlib.import_module(by_name[name]), name)
        elif name in homes:  # `import trikk; trikk.quality.has_columns`
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        vars(sys.modules[package])[name] = value  # asked once: from now on it is an attribute like any other
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *by_name})

    return getter, names
