"""As many threads in numerical libraries as the step has cores: more only fight each other, and cost minutes."""

from __future__ import annotations

import math
import sys
from typing import Any


def limit_threads(cpus: float) -> None:
    """Bound the pools of OpenMP and BLAS in this process, where threadpoolctl (scikit-learn brings it) is loaded.

    Args:
        cpus: what the step's `Resources` say; parts of a core count as one.
    """
    control: Any = sys.modules.get("threadpoolctl")
    if control is not None:
        control.threadpool_limits(limits=max(1, math.ceil(cpus)))
