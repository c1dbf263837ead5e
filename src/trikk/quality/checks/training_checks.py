"""The check against a model: whether texts are among those that it was fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from trikk.core.errors import UsageError
from trikk.quality.check import Check, CountedCheck, SeverityName, refused
from trikk.quality.plan import Plan, Scene, plan_of_rows


@dataclass(frozen=True, slots=True)
class SeenInTraining(CountedCheck):
    """See `seen_in_training`."""

    model: Any = None  # the model; in a run, what `known_categories` says of it
    kind: ClassVar[str] = "seen_in_training"

    def _asks(self) -> str:
        return f"{', '.join(self.columns) or 'inputs'} known from training"

    def _plan(self, scene: Scene) -> Plan:
        import polars as pl

        from trikk.models.calling.trained_categories import known_categories, unseen
        from trikk.models.version import as_version

        version = as_version(self.model)
        trained = self.model if version is None else known_categories(version)
        known: Mapping[str, Any] = trained["categories"]
        names = self.columns or tuple(name for name in known if name in scene.schema)
        unknown = next((name for name in names if name not in known), "" if not names else None)
        if unknown is not None:
            of_input = f"of {unknown} " if unknown else ""
            raise UsageError(
                f"model {trained['model']} has no categories {of_input}to compare with: {trained['why']}"
            )
        bad = {name: unseen(name, scene.schema[name], known[name]) for name in names}
        return plan_of_rows(pl.any_horizontal(bad.values()), bad if len(bad) > 1 else None)


def seen_in_training(
    model: object, *columns: str, allow: float = 0.0, severity: SeverityName = "block", name: str = ""
) -> Check:
    """Texts are among those that a registered model was fitted on; nulls do not count.

    They are known of inputs of texts or categories with at most 1,000 different ones, of models that were
    registered with `inputs=` since trikk keeps them; of others the check can't run, and says so.

    Args:
        model: `Model("people@champion")`, what `register_model` returned, or outside of a pipeline a ModelVersion.
        columns: inputs of the model; all of which categories are known, if none is given.
        allow: the share of rows that may fail.
        severity: what a failure means.
        name: instead of the check's own.

    Raises:
        DefinitionError: if no model is given.
    """
    if model is None or isinstance(model, str | int | float):
        raise refused(f"seen_in_training is given {model!r}", 'name the model first: Model("people@champion")')
    label = name or f"seen_in_training({', '.join(columns)})"
    return SeenInTraining(columns, severity, allow, label, model)
