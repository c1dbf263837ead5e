"""What a Ray worker does: once, restore and import a run's code; then one call after the other.

A worker is a process of the cluster's that lives longer than a call, so what a call leaves behind (its folder, its
children, its output's end) is put back after each. `sys.exit` in a step is a crash to Ray, which `run_call` never
lets through.
"""

from __future__ import annotations

import functools
import os
import stat
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from trikk.core.errors import ProjectError, StorageError, TrikkError
from trikk.core.logs import log_to_stderr
from trikk.core.network.masking import hide
from trikk.core.package import __version__
from trikk.core.settings import Settings, load_settings
from trikk.execution.code.loading import load
from trikk.execution.ray.log_shipper import LogShipper
from trikk.execution.ray.ray_messages import NodeView, RunSetup
from trikk.execution.step_messages import StepCall, failure
from trikk.execution.workers.attempt import Workplace
from trikk.execution.workers.child import carry_out, workplace
from trikk.execution.workers.descendants import children, take_in_orphans
from trikk.runs.bundle import restore
from trikk.runs.journals.lease import Holder
from trikk.storage.stores.locations import open_store

Answer = tuple[bytes, bytes, int]
"""A `StepResult`, the end of the attempt's log that the sink has not got, and the byte at which that begins."""


def attempt(setup: bytes, call: bytes) -> Answer:
    """Do one attempt of a step: what a task of the cluster runs.

    Args:
        setup: a `RunSetup`.
        call: a `StepCall`; its `log` is the attempt's id.
    """
    try:
        worker = _worker(setup)
    except StorageError as error:
        return failure("lost", f"a node can't have the run's code: {error}", retryable=True).to_bytes(), b"", 0
    except TrikkError as error:
        return failure("loaded", hide(str(error)), retryable=False, type=type(error).__name__).to_bytes(), b"", 0
    return worker.do(StepCall.from_bytes(call))


def look(setup: bytes, name: str) -> bytes:
    """What this node sees of a project, as a `NodeView`; its worker is ready for calls afterwards.

    Args:
        setup: a `RunSetup`.
        name: the node's.
    """
    about = RunSetup.from_bytes(setup)
    missing = [kind for kind, mark in about.marks.items() if not Path(mark).exists()]
    error = None
    if "artifacts" not in missing:
        try:
            _worker(setup)
        except Exception as trouble:  # noqa: BLE001 - a library's, too: the driver says what a node lacks
            error = hide(str(trouble))
    return NodeView(name, Holder.current().boot, __version__, missing, error).to_bytes()


class _Worker:
    """The process, ready for calls of one run."""

    def __init__(self, setup: RunSetup) -> None:
        self._place, self._root = _place(setup)
        self._shipper = LogShipper(setup.sink, setup.log_limit)
        self._own = children(os.getpid())  # those of Ray's, if it has started any
        take_in_orphans()

    def do(self, call: StepCall) -> Answer:
        result = carry_out(call, self._root, self._place, self._shipper.begin, keep=self._own)
        return result.to_bytes(), *self._shipper.end()


@functools.lru_cache(maxsize=1)
def _worker(setup: bytes) -> _Worker:
    return _Worker(RunSetup.from_bytes(setup))


def _place(setup: RunSetup) -> tuple[Workplace, Path]:
    """Where this process's calls find what they need, and the folder that is theirs."""
    places: dict[str, Any] = {**setup.places}
    bare = Settings(root=Path(setup.root), name="", **places)
    code = restore(open_store(bare.location("artifacts")), setup.code, _own_folder())
    settings = _settings(setup, code)
    loaded = load(settings, code)
    log_to_stderr(settings)
    return workplace(settings, loaded), settings.root


def _settings(setup: RunSetup, code: Path) -> Settings:
    """The project's: in its own folder where this node sees it, else in that of the restored code."""
    root = Path(setup.root)
    settings = load_settings(code, stored=True)
    is_seen = "project" in setup.marks and Path(setup.marks["project"]).exists()
    places: dict[str, Any] = {**setup.places}
    return replace(settings, root=root if is_seen else code, environment=setup.environment, **places)


def _own_folder() -> Path:
    """A folder of this user's for restored code, which nobody else can write.

    Raises:
        ProjectError: if somebody else has made it.
    """
    folder = Path(tempfile.gettempdir()) / f"trikk-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise ProjectError(
            f"{folder} on node {os.uname().nodename} is not this user's alone",
            next="remove it, or set TMPDIR for the cluster's nodes",
        )
    return folder
