"""LightGBM boosters as LightGBM's own text format, readable by every later version and by other languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trikk.core.errors import MissingExtra
from trikk.core.values import JSON


class BoosterCodec:
    """`lightgbm.Booster` only: the text has no place for the parameters of the scikit-learn wrappers."""

    name = "lightgbm"
    suffix = ".txt"

    def accepts(self, value: object) -> bool:
        """Whether it is exactly a Booster."""
        cls = type(value)
        return cls.__name__ == "Booster" and cls.__module__.partition(".")[0] == "lightgbm"

    def dump(self, value: Any, path: Path) -> dict[str, JSON]:
        """Write the model's text; after early stopping only the best iterations, as `save_model` does."""
        path.write_text(value.model_to_string(), encoding="utf-8")
        return {
            "type": "lightgbm.Booster",
            "trees": value.num_trees(),
            "features": value.num_feature(),
            "best_iteration": value.best_iteration,
        }

    def load(self, path: Path, want: object, summary: dict[str, JSON]) -> Any:  # noqa: ARG002
        """The booster; its `best_iteration` is as it was."""
        try:
            import lightgbm
        except ImportError:
            raise MissingExtra("reading a LightGBM model", "lightgbm") from None
        booster = lightgbm.Booster(model_str=path.read_text(encoding="utf-8"))
        best: Any = summary.get("best_iteration", -1)
        booster.best_iteration = best
        return booster

    def head(self, path: Path, rows: int) -> JSON | None:
        """The first lines of the model's text."""
        with path.open(encoding="utf-8") as file:
            return [line.rstrip("\n")[:200] for line, _ in zip(file, range(rows), strict=False)]
