"""What a project says of the Ray cluster that its runs may use.

    [targets.ray]
    address = "ray://head.example.org:10001"   # on a node of the cluster also "auto", or its head's "host:6379"
    max_parallel = 200                         # steps at once; what the cluster's cores take if not given

`${NAME}` in the address is read from the environment, or from the places of `[secrets]`.
"""

from __future__ import annotations

import re

from trikk.core.errors import ProjectError
from trikk.core.record import Record
from trikk.core.settings import FILE, Settings

_KEYS = ("address", "max_parallel")
_ADDRESS = re.compile(r"auto|(ray://)?(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):\d{1,5}")


class RaySettings(Record, frozen=True):
    """The section, checked.

    Attributes:
        address: as `ray.init` takes it, variables filled in.
        max_parallel: how many steps at once; None for what the cluster takes.
    """

    address: str
    max_parallel: int | None = None


def ray_settings(settings: Settings) -> RaySettings:
    """What trikk.toml says in `[targets.ray]`.

    Raises:
        ProjectError: if there is no such section, or it is wrong.
    """
    where = str(settings.root / FILE)
    section = settings.targets.get("ray")
    example = 'write below [targets.ray]: address = "ray://HOST:10001", or "auto" on a node of the cluster'
    if not isinstance(section, dict) or "address" not in section:
        raise ProjectError("trikk.toml does not say where the Ray cluster is", where=where, next=example)
    if unknown := sorted({*section} - {*_KEYS}):
        known = ", ".join(_KEYS)
        raise ProjectError(f"unknown setting 'targets.ray.{unknown[0]}'", where=where, next=f"there are: {known}")
    given, most = section["address"], section.get("max_parallel")
    if not isinstance(given, str):
        raise ProjectError(f"targets.ray.address = {given!r}", where=where, next=example)
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        mend = "use a whole number of at least 1"
        raise ProjectError(f"targets.ray.max_parallel = {most!r}", where=where, next=mend)
    address = settings.filled("targets.ray.address", given)
    if not _ADDRESS.fullmatch(address):
        raise ProjectError(f"targets.ray.address = {given!r} is no cluster's", where=where, next=example)
    return RaySettings(address, most)
