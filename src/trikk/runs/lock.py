"""What a run is locked to, so that the same can be executed again: parameters, data, code, packages, seed."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import field

from trikk.core.digests import digest_json
from trikk.core.record import Record

_DIST = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)\.(dist|egg)-info\Z")


class Lock(Record, frozen=True):
    """The inputs of a run that are not its steps' own doing.

    Attributes:
        tables: version of each table that the pipeline reads; None for one that did not exist.
        code: digest of the code bundle.
        packages: digest of the installed packages and their versions, as stored.
        python: such as "3.11.7".
        platform: such as "linux-x86_64".
        models: by reference (`people@champion`) the model version as JSON; None for an optional one not there.
        run: the run that was locked; a replay has the run that it repeats here.
        moment: seconds since 1970 at which that run was created, or would have been: see `as_of`.
        as_of: whether the run was told another time than the clock's, as in a backfill with --at.
        seed: from which each step's random seeds are made, 0 to 2**63 - 1.
        git: commit, branch and whether it was dirty; for people.
    """

    tables: dict[str, int | None] = field(default_factory=dict)
    models: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    run: str = ""
    moment: float = 0.0
    as_of: bool = False
    code: str = ""
    packages: str = ""
    python: str = ""
    platform: str = ""
    seed: int = 0
    git: dict[str, Any] = field(default_factory=dict)


def new_seed() -> int:
    """A random seed for a run."""
    return int.from_bytes(os.urandom(8)) >> 1


def step_seed(seed: int, step: str, item: int | None) -> int:
    """The seed of one step (or item) of a run, 0 to 2**32 - 1: the same in every attempt and every replay."""
    return int(digest_json([seed, step, item])[:8], 16)


def python_version() -> str:
    """The interpreter's version, such as "3.11.7"."""
    return platform.python_version()


def platform_name() -> str:
    """System and processor, such as "linux-x86_64"."""
    return f"{sys.platform}-{platform.machine()}"


def installed_packages(paths: Iterable[str] | None = None) -> dict[str, str]:
    """Names and versions of the distributions on the import path, read quickly from the names of folders."""
    versions: dict[str, str] = {}
    for path in sys.path if paths is None else paths:
        try:
            names = os.listdir(path or ".")  # noqa: PTH208 - ten times as quick as Path.iterdir here
        except OSError:
            continue
        for name in names:
            if name.endswith("-info") and (match := _DIST.match(name)):
                versions.setdefault(match["name"].lower().replace("_", "-"), match["version"])
    return dict(sorted(versions.items()))


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """How two sets of packages differ, as texts such as "polars 1.9 -> 2.1"."""
    return [
        f"{name} {old.get(name, 'not installed')} -> {new.get(name, 'not installed')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
