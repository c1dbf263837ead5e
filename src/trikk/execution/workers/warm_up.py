"""What a host does once, so that none of the workers that it forks has to.

Everything here only imports and looks up. A library that is used may start threads, and a fork has none of them.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import math
import sys
from pathlib import Path
from typing import Any

from trikk.execution.code.loading import Loaded
from trikk.pipeline.graph import Role

_MADV_COLLAPSE = 25  # madvise(2), since Linux 6.1
_LARGE_PAGE = 2 << 20  # bytes; of x86-64, and of AArch64 with small pages of 4 kB


def warm_up(loaded: Loaded, journal: str) -> None:
    """Import, without using, what workers of these pipelines will import anyway.

    Args:
        loaded: the project's pipelines.
        journal: where its journal is, as for `open_journal`.
    """
    steps = [step for pipeline in loaded.pipelines.values() for step in pipeline.steps.values() if step]
    functions = [(step.function, step.role) for step in steps]
    is_recorded = any(function.__module__.startswith("trikk.") for function, _ in functions)
    if is_recorded and not journal.startswith("postgres"):  # by ready-made steps: what they have done
        import trikk.runs.journals.open_journal
        import trikk.runs.journals.sqlite_journal
    for function, role in functions:
        if role is Role.MONITOR:  # evaluated every night, by modules that nothing else needs
            for name in function.__code__.co_names:  # a module that its body imports stands there in full
                if name.startswith("trikk."):
                    importlib.import_module(name)
    if any(p.graph.tables_read() or p.graph.tables_written() for p in loaded.pipelines.values()):
        import deltalake  # noqa: F401
        import polars as pl

        import trikk.storage.frames
        import trikk.storage.tables.opening
        import trikk.storage.tables.versioned_tables  # noqa: F401

        # polars asks once how large the stack is, for which glibc reads all of /proc/self/maps: with the 1,600
        # mappings of scikit-learn's libraries that takes longer than to fork. Nothing is computed by this.
        pl.LazyFrame().select()
    if "narwhals" in sys.modules:  # with scikit-learn, which asks it of every array: it then looks for plug-ins in
        from narwhals.dependencies import is_into_dataframe  # the metadata of all installed packages

        is_into_dataframe(object())
    limit_threads(1)  # what a step has that says nothing, so that its worker needs not


def limit_threads(cpus: float) -> None:
    """Bound the pools of OpenMP and BLAS in this process, where threadpoolctl (scikit-learn brings it) is loaded.

    As many threads as the step has cores: more only fight each other, and cost minutes. A limit that is in force
    is not set again: in a fork OpenBLAS would start all its threads anew, which spin for 30 ms before they rest.

    Args:
        cpus: what the step's `Resources` say; parts of a core count as one.
    """
    pools, limit = _pools(), max(1, math.ceil(cpus))
    if pools is not None and any(pool.num_threads != limit for pool in pools.lib_controllers):
        pools.limit(limits=limit)


@functools.cache
def _pools() -> Any:
    """The pools of the libraries that are loaded, for which threadpoolctl goes through all of them."""
    control: Any = sys.modules.get("threadpoolctl")
    return None if control is None else control.ThreadpoolController()


def use_large_pages() -> None:
    """Have the kernel put this process's own memory into large pages, where it can (Linux 6.1 or later).

    A fork copies an entry for each page that the process has written to, and the end of the child frees it. With
    pandas and scikit-learn in it, both take half as long with large ones. What a child writes to is copied to it
    in small pages as ever.
    """
    if sys.platform != "linux":
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for line in Path("/proc/self/maps").read_text().splitlines():  # read to its end before anything moves
        span, access, *_, name = [*line.split(maxsplit=5), ""][:6]
        if access != "rw-p" or name not in ("", "[heap]"):
            continue
        begin, end = (int(address, 16) for address in span.split("-"))
        for large in range(-(-begin // _LARGE_PAGE) * _LARGE_PAGE, end - _LARGE_PAGE + 1, _LARGE_PAGE):
            madvise(large, _LARGE_PAGE, _MADV_COLLAPSE)  # refused where it has no pages, or by an older kernel
