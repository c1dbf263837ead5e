"""Whether a process may be forked after it has imported the author's modules.

A fork copies one thread. If others were running, a lock that they held stays locked for ever in the copy.
Threads that are known to stand still before their library is first used are no danger; others are.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

_IDLE_UNTIL_USED = ("jemalloc_bg_thd", "polars-ooc-clea")


def why_not_fork() -> str | None:
    """Why this process must not be forked, in words; None if it may."""
    if sys.platform != "linux":
        return f"forking is not safe on {sys.platform}"
    python = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
    return judge(python, native_threads(), process_name(), sys.modules)


def judge(python: Iterable[str], native: Iterable[str], own: str, modules: Mapping[str, object]) -> str | None:
    """`why_not_fork` for given facts.

    Args:
        python: names of Python threads besides the main one.
        native: names of all other threads of the process.
        own: the process's name, which threads of BLAS libraries carry; they wait until they are used.
        modules: what is imported.
    """
    for name in python:
        return f"importing the project starts the thread {name!r}"
    for name in native:
        if name not in (*_IDLE_UNTIL_USED, own):
            return f"importing the project starts threads ({name}): something is computed at import"
    for package in ("tensorflow", "jax"):
        if package in modules:
            return f"{package} does not survive a fork"
    torch = modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():  # type: ignore[attr-defined]
        return "CUDA was initialised at import"
    return None


def native_threads() -> list[str]:
    """Names of this process's threads besides the calling one (Linux, /proc/self/task)."""
    main = str(os.getpid())
    names = []
    for task in Path("/proc/self/task").iterdir():
        if task.name != main:
            try:
                names.append((task / "comm").read_text().strip())
            except OSError:
                continue  # it has just ended
    return names


def process_name() -> str:
    """This process's name as its threads inherit it."""
    try:
        return Path("/proc/self/comm").read_text().strip()
    except OSError:
        return ""
