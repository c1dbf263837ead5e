"""The sections `[targets.NAME]` and `[targets.NAME.steps.STEP]` of trikk.toml, checked by what an engine takes.

[targets.sagemaker]
role = "arn:aws:iam::111122223333:role/city-jobs"
bucket = "city-main"

[targets.sagemaker.steps.fit]
kind = "training"
instance = "ml.m5.4xlarge"
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from trikk.core.errors import ProjectError
from trikk.core.settings import FILE, Settings

_EXAMPLES: Mapping[type, str] = {str: '"..."', int: "30", bool: "true", float: "0.5", list: '["..."]', dict: "{}"}
_STEPS = "steps"

Kinds = Mapping[str, type]
"""By key the type of its value: str, int, float (whole numbers, too), bool, list or dict (both of texts)."""


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """What trikk.toml says of an engine.

    Attributes:
        values: by key, of the engine as a whole.
        steps: by step, then by key.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of_step(self, step: str, key: str, default: Any = None) -> Any:
        """What holds for a step: its own value, else the engine's, else `default`."""
        return self.steps.get(step, {}).get(key, self.values.get(key, default))


def target_settings(
    settings: Settings, name: str, kinds: Kinds, step_kinds: Kinds | None = None
) -> TargetSettings:
    """The section of an engine.

    Args:
        settings: what trikk.toml says.
        name: the engine's.
        kinds: what the section takes.
        step_kinds: what the section of one step takes; there are none of these if not given.

    Raises:
        ProjectError: if a key is unknown or a value of another type.
    """
    section = settings.targets.get(name, {})
    where = f"{settings.root / FILE}, [targets.{name}]"
    if not isinstance(section, dict):
        raise ProjectError(f"targets.{name} must be a section", where=where, next=f"write [targets.{name}]")
    values = {key: value for key, value in section.items() if key != _STEPS or step_kinds is None}
    _check(values, kinds, where, [_STEPS] if step_kinds else [])
    steps = section.get(_STEPS, {}) if step_kinds is not None else {}
    if not isinstance(steps, dict) or not all(isinstance(step, dict) for step in steps.values()):
        mend = f"write [targets.{name}.steps.STEP], and its settings below it"
        raise ProjectError(f"targets.{name}.steps takes a section for each step", where=where, next=mend)
    for step, given in steps.items():
        _check(given, step_kinds or {}, f"{settings.root / FILE}, [targets.{name}.steps.{step}]")
    return TargetSettings(values, steps)


def _check(given: Mapping[str, Any], kinds: Kinds, where: str, others: Collection[str] = ()) -> None:
    for key, value in given.items():
        if key not in kinds:
            known = ", ".join(sorted([*kinds, *others])) or "none"
            raise ProjectError(f"unknown setting {key!r}", where=where, next=f"there are: {known}")
        if not _fits(value, kinds[key]):
            raise ProjectError(f"{key} = {value!r}", where=where, next=f"write {key} = {_EXAMPLES[kinds[key]]}")


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is str:
        return isinstance(value, str) and "\0" not in value
    parts = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    return isinstance(value, kind) and all(isinstance(part, str) for part in parts)
