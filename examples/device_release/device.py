"""What runs on a device: a forest from a JSON file, with nothing but Python's standard library.

The file is what `exported` in `device_release.py` writes. scikit-learn rounds each reading to 32 bits before it
compares; so does this.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Forest:
    """A classifier of readings."""

    def __init__(self, file: Path) -> None:
        document: dict[str, Any] = json.loads(file.read_text())
        self.channels: list[str] = document["channels"]
        self.classes: list[str] = document["classes"]
        self._trees = document["trees"]

    def probabilities(self, reading: Sequence[float]) -> list[float]:
        """How probable each class is; the mean of what the trees say."""
        values = struct.unpack(f"{len(reading)}f", struct.pack(f"{len(reading)}f", *reading))
        said = [self._leaf(tree, values) for tree in self._trees]
        return [sum(each) / len(said) for each in zip(*said, strict=True)]

    @staticmethod
    def _leaf(tree: Any, values: Sequence[float]) -> list[float]:
        while isinstance(tree, dict):
            tree = tree["below"] if values[tree["channel"]] <= tree["limit"] else tree["above"]
        return tree  # type: ignore[no-any-return]
