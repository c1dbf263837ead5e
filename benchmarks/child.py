"""The process of one way of one case: `python -m benchmarks.child MODULE:FUNCTION [SIZE, ARGUMENT, ...]`.

It calls the function, does the work once uncounted, says that it is ready, and then does the work again for each
line on its standard input. It answers each time with one line of JSON; whatever the work prints goes to the log.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import process
from benchmarks.samples import Sample
from benchmarks.ways import Ready, Unavailable

LEAST_SECONDS = 0.2
MOST_TIMES = 20


def main(function: str, given: str, warm_up: bool = True) -> None:
    """Make the work ready and do it as often as it is asked for."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**reply: Any) -> None:
        channel.write(json.dumps(reply) + "\n")
        channel.flush()

    with contextlib.ExitStack() as stack:
        try:
            module, _, name = function.partition(":")
            ready = getattr(importlib.import_module(f"benchmarks.ways.{module}"), name)(*json.loads(given))
            if hasattr(ready, "__enter__"):
                ready = stack.enter_context(ready)
            way = ready if isinstance(ready, Ready) else Ready(ready)
            if warm_up:
                once(way)
        except Unavailable as trouble:
            say(skipped=str(trouble))
            return
        except ModuleNotFoundError as trouble:  # a library is a peer; a part of this repository is an error
            own = (trouble.name or "").partition(".")[0] in ("trikk", "benchmarks", "tests")
            say(**{"trouble" if own else "skipped": str(trouble)})
            return
        except Exception as trouble:  # noqa: BLE001 - the way's trouble is its result
            say(trouble=f"{type(trouble).__name__}: {trouble}")
            return
        say(ready=True)
        for _ in sys.stdin:
            try:
                say(samples=[asdict(one) for one in several(way)])
            except Exception as trouble:  # noqa: BLE001 - the same
                say(trouble=f"{type(trouble).__name__}: {trouble}")


def several(way: Ready) -> list[Sample]:
    """Samples of one round: one, or as many as fit into a fifth of a second."""
    samples = [once(way)]
    while sum(one.seconds for one in samples) < LEAST_SECONDS and len(samples) < MOST_TIMES:
        samples.append(once(way))
    return samples


def once(way: Ready) -> Sample:
    """Do the work once: what it cost. A run that gives a `Sample` has measured itself."""
    way.before()
    gc.collect()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back to what is resident now
    cpu, started = cpu_seconds(), time.perf_counter()
    result = way.run()
    seconds, cpu = time.perf_counter() - started, cpu_seconds() - cpu
    if isinstance(result, Sample):
        return result
    peak = process.peak_of() or 0
    return Sample(seconds, cpu, peak, answer=way.answer(result))


def cpu_seconds() -> float:
    """User and system seconds of this process and of the children that it has waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], "cold" not in sys.argv[3:])
