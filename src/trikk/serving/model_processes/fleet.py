"""The workers that have one model version loaded, and the spare that makes the next one quick."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from trikk.core.errors import TrikkError
from trikk.core.values import JSON
from trikk.models.version import ModelVersion
from trikk.serving.model_processes.worker_link import Link
from trikk.serving.model_processes.worker_messages import LoadSpec


class Spares:
    """Keeps one worker that has imported what the last version's workers had, but holds no model."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._modules: list[str] = []
        self._spare: asyncio.Task[Link] | None = None

    async def take(self) -> Link:
        """The spare, or a new worker where there is none."""
        spare, self._spare = self._spare, None
        if spare is not None:
            with contextlib.suppress(TrikkError, OSError):
                return await spare
        return await Link.start(self._folder)

    def remember(self, modules: list[str]) -> None:
        """Have the next spare import these, and start it if there is none."""
        self._modules = modules
        if self._spare is None:
            self._spare = asyncio.create_task(self._start())

    async def _start(self) -> Link:
        link = await Link.start(self._folder)
        await link.preload(self._modules)
        return link

    async def close(self) -> None:
        """End the spare."""
        if self._spare is not None:
            with contextlib.suppress(TrikkError, OSError):
                link = await self._spare
                link.kill()  # it may be importing for a while yet
                await link.close()


class Fleet:
    """Some workers with the same version."""

    def __init__(self, version: ModelVersion, spec: LoadSpec, size: int, spares: Spares, limit: float) -> None:
        self.version = version
        self.note: str | None = None
        self._spec = spec
        self._size = size
        self._spares = spares
        self._limit = limit
        self.idle: list[Link] = []
        self.busy: set[Link] = set()
        self.retired = False

    @property
    def about(self) -> dict[str, JSON]:
        """What is said of its version: the number, and as far as they are known, the task and the classes."""
        about: dict[str, JSON] = {"model_version": self.version.version}
        signature = self.version.signature
        if signature is not None and signature.task is not None:
            about["task"] = str(signature.task)
        return about if signature is None or signature.classes is None else about | signature.classes.to_json()

    async def open(self) -> None:
        """Start the first worker; raises VersionFailed if the version can't be loaded."""
        # One is enough to answer; the others come while it does.
        self.idle.append(await self._new())

    @property
    def missing(self) -> int:
        """How many workers there should be besides the first."""
        return self._size - 1

    async def add(self) -> None:
        """Start one more worker; raises VersionFailed if it can't load the version."""
        link = await self._new()
        self.idle.append(link)
        if self.retired:  # meanwhile
            await self.retire()

    async def retire(self) -> None:
        """Close the workers that are idle; the others close themselves when they come back."""
        self.retired = True
        idle, self.idle = self.idle, []
        for link in idle:
            await link.close()

    async def _new(self) -> Link:
        link = await self._spares.take()
        try:
            self.note = await link.load(self._spec, self._limit)
        except BaseException:
            await link.close()
            raise
        # Only after it was loaded: then it is known what a model of this kind imports.
        self._spares.remember(link.modules)
        return link
