"""Which machine a job gets: the smallest that has what its step asks for.

Sizes are those of the EC2 machines of the same name (https://aws.amazon.com/ec2/instance-types/); which of them
jobs may have is said by the API's enumerations ProcessingInstanceType and TrainingInstanceType. Only families
that both know are here; any other is had by `instance =`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_GIB = 1024**3


class Machine(NamedTuple):
    """What an instance type has."""

    gpus: int
    cores: int
    gib: int
    name: str


_SIZES: Mapping[str, tuple[tuple[str, int, int, int], ...]] = {
    # family: size, cores, GiB, GPUs
    "t3": (("medium", 2, 4, 0),),
    "m5": (
        *(("large", 2, 8, 0), ("xlarge", 4, 16, 0), ("2xlarge", 8, 32, 0), ("4xlarge", 16, 64, 0)),
        *(("12xlarge", 48, 192, 0), ("24xlarge", 96, 384, 0)),
    ),
    "c5": (
        *(("xlarge", 4, 8, 0), ("2xlarge", 8, 16, 0), ("4xlarge", 16, 32, 0), ("9xlarge", 36, 72, 0)),
        ("18xlarge", 72, 144, 0),
    ),
    "r5": (
        *(("large", 2, 16, 0), ("xlarge", 4, 32, 0), ("2xlarge", 8, 64, 0), ("4xlarge", 16, 128, 0)),
        *(("8xlarge", 32, 256, 0), ("12xlarge", 48, 384, 0), ("16xlarge", 64, 512, 0), ("24xlarge", 96, 768, 0)),
    ),
    "m7i": (("48xlarge", 192, 768, 0),),
    "r7i": (("48xlarge", 192, 1536, 0),),
    "g4dn": (
        *(("xlarge", 4, 16, 1), ("2xlarge", 8, 32, 1), ("4xlarge", 16, 64, 1), ("8xlarge", 32, 128, 1)),
        *(("16xlarge", 64, 256, 1), ("12xlarge", 48, 192, 4)),
    ),
    "g5": (("48xlarge", 192, 768, 8),),
}
MACHINES = tuple(
    sorted(
        Machine(gpus, cores, gib, f"ml.{family}.{size}")
        for family, sizes in _SIZES.items()
        for size, cores, gib, gpus in sizes
    )
)
"""From the smallest: first by accelerators, then by cores, then by memory."""


def smallest_machine(resources: Mapping[str, Any]) -> Machine | None:
    """The smallest instance type that has what a step asks for; None if none has.

    Args:
        resources: a `Resources` as JSON: cores, bytes, accelerators.
    """
    cpus, memory, gpus = (float(resources.get(key, 0)) for key in ("cpus", "memory", "gpus"))
    fitting = (m for m in MACHINES if m.gpus >= gpus and m.cores >= cpus and m.gib * _GIB >= memory)
    return next(fitting, None)
