"""Follows the model's alias, and has the version that it names take over while the old one goes on answering."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from trikk.core.errors import TrikkError, UnknownName
from trikk.models.registry import Registry
from trikk.models.version import ModelVersion
from trikk.runs.journals.ledger import Ledger
from trikk.serving.http.counters import Metrics
from trikk.serving.http.dispatch import Dispatcher
from trikk.serving.model_processes.fleet import Fleet
from trikk.serving.options import Options

_log = logging.getLogger("trikk.endpoint")
_AGAIN = 15.0  # seconds before a version that could not be loaded is tried again: its loading costs a core

Build = Callable[[ModelVersion], Awaitable[Fleet]]


class Watch:
    """Looks at the registry several times a second, and swaps versions."""

    def __init__(
        self, ledger: Ledger, options: Options, dispatcher: Dispatcher, metrics: Metrics, build: Build
    ) -> None:
        self._ledger = ledger
        self._options = options
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._build = build
        self._seen = 0
        self._wanted: ModelVersion | None = None
        self._failed: int | None = None
        self._failed_at = 0.0
        self._unreadable = False
        self._reader = ThreadPoolExecutor(1, "trikk-registry")  # a database connection belongs to a thread

    async def run(self) -> None:
        """Follow the alias, for ever."""
        while True:
            await asyncio.sleep(self._options.poll)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the version that is there goes on answering
                self._metrics.ledger_failures.inc()
                if not self._unreadable:
                    _log.error("the registry can't be read; the version that is there stays: %s", error)
                self._unreadable = True

    async def look(self) -> None:
        """Look once; swap if the reference names another version now."""
        await asyncio.get_running_loop().run_in_executor(self._reader, self._read)
        self._unreadable = False
        wanted, fleet = self._wanted, self._dispatcher.fleet
        if wanted is None or (fleet is not None and fleet.version.version == wanted.version):
            return
        if self._failed == wanted.version and time.monotonic() < self._failed_at + _AGAIN:
            return
        await self._swap(wanted)

    def _read(self) -> None:
        entries = self._ledger.entries(f"model/{self._options.model}", after=self._seen)
        if not entries:
            return
        with contextlib.suppress(UnknownName):  # with --wait, the alias may come yet
            self._wanted = Registry(self._ledger).resolve(self._options.reference, self._options.environment)
        self._seen, self._failed = entries[-1].seq, None  # somebody has acted: what failed may be mended

    async def _swap(self, version: ModelVersion) -> None:
        began = time.monotonic()
        try:
            fleet = await self._build(version)
        except (TrikkError, OSError) as error:
            self._metrics.swap_failures.inc()
            self._failed, self._failed_at = version.version, time.monotonic()
            _log.error("version %d does not take over: %s", version.version, error)
            return
        if fleet.note:
            _log.warning("version %d: %s", version.version, fleet.note)
        first = self._dispatcher.fleet is None
        # Loaded and tried before it takes over: until then the old version answers.
        self._dispatcher.activate(fleet)
        if not first:
            self._metrics.swaps.inc()
        _log.info("version %d answers, after %.0f ms", version.version, (time.monotonic() - began) * 1000)
