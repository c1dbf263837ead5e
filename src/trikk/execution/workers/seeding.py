"""The same random numbers in every attempt and every replay of a step."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import random
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any


def seed_everything(seed: int) -> None:
    """Seed `random` and numpy's global generator; numpy also when it is only imported later.

    Args:
        seed: 0 to 2**32 - 1.
    """
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)
        return
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, _SeedOnImport)]
    sys.meta_path.insert(0, _SeedOnImport(seed))


class _SeedOnImport(importlib.abc.MetaPathFinder):
    """Seeds numpy.random's global generator right after its module has been executed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Leave every import alone but that of `numpy.random.mtrand`, which holds the generator."""
        if fullname != "numpy.random.mtrand":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module
            seed = self.seed

            def exec_module(module: Any) -> None:
                execute(module)
                module.seed(seed)

            loader.exec_module = exec_module
        return spec
