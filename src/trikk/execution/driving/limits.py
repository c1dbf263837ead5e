"""What the machine has for steps, and what those that run now take of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from trikk.core.errors import UsageError
from trikk.pipeline.graph import Graph


@dataclass(slots=True)
class Capacity:
    """Cores, memory in bytes, accelerators and slots that are free."""

    cpus: float
    memory: float
    gpus: int
    slots: float

    @classmethod
    def of_machine(cls, max_parallel: int | None = None) -> Capacity:
        """What this machine has; `max_parallel` bounds how many steps run at once whatever they take.

        Without it they are bounded to 16 a core, at least 64, since steps may say that they take no core at all.
        """
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(float(cores), float(memory), _gpus(), float(max_parallel or max(64, 16 * cores)))

    def need(self, resources: Mapping[str, Any], whole: Capacity) -> tuple[float, float, int]:
        """What a step takes, but never more than the whole machine: a larger one runs alone."""
        return (
            min(float(resources["cpus"]), whole.cpus),
            min(float(resources["memory"]), whole.memory),
            int(resources["gpus"]),
        )

    def fits(self, need: tuple[float, float, int]) -> bool:
        """Whether that much is free."""
        cpus, memory, gpus = need
        return cpus <= self.cpus + 1e-9 and memory <= self.memory and gpus <= self.gpus and self.slots >= 1

    def take(self, need: tuple[float, float, int], sign: int = 1) -> None:
        """Take that much, or give it back with `sign=-1`."""
        self.cpus -= sign * need[0]
        self.memory -= sign * need[1]
        self.gpus -= sign * need[2]
        self.slots -= sign


@cache
def _gpus() -> int:
    # No glob: each driver is a fresh process, which would compile the pattern's regular expression first.
    names = (path.name for path in Path("/dev").iterdir())
    return sum(name.startswith("nvidia") and name[6:7].isdigit() for name in names)


def check_gpus(graph: Graph, whole: Capacity, place: str = "this machine") -> None:
    """Raise UsageError if a step needs more accelerators than there are at a place, so called."""
    for node in graph.nodes.values():
        wanted = int(str(node.resources["gpus"]))
        if wanted > whole.gpus:
            raise UsageError(
                f"step {node.name} needs {wanted} gpus and {place} has {whole.gpus}",
                where=node.where,
                next="run it on a machine that has them, or lower Resources(gpus=...)",
            )


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory since boot (/proc/vmstat); 0 if unknown."""
    try:
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
