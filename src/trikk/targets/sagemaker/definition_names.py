"""What pipelines and their steps are called at SageMaker: the same for who compiles, starts, and mirrors them."""

from __future__ import annotations

import re
from collections.abc import Collection

from trikk.core.settings import Settings
from trikk.targets.safe_names import safe_names

LONGEST_NAME = 64  # characters of a step's or parameter's name there


def pipeline_prefix(settings: Settings) -> str:
    """What the names of a project's pipelines begin with there, such as `city-main`; its own name follows."""
    return "-".join(re.findall("[a-z0-9]+", f"{settings.name} {settings.environment}".lower()))


def step_names(steps: Collection[str]) -> dict[str, str]:
    """By the author's name what a step is called there."""
    return safe_names(steps, LONGEST_NAME)
