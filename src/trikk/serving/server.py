"""An endpoint from start to end: its parts put together, its signals, and the order in which it stops."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.access.guard import Guard
from trikk.core.clock import SystemClock
from trikk.core.errors import MissingExtra, PredictionError, UnknownName
from trikk.execution.project import Project
from trikk.models.calling.dtypes import dtype_of, is_number
from trikk.models.registry import Registry
from trikk.models.task import class_text
from trikk.models.version import ModelVersion
from trikk.runs.bundle import restore
from trikk.serving.http.app import App
from trikk.serving.http.counters import Metrics
from trikk.serving.http.dispatch import Dispatcher
from trikk.serving.http.refusal import body_of
from trikk.serving.model_processes.alias_watch import Watch
from trikk.serving.model_processes.fleet import Fleet, Spares
from trikk.serving.model_processes.worker_messages import LoadSpec, LogSpec
from trikk.serving.options import Options
from trikk.serving.prediction_log.flusher import Flusher
from trikk.serving.prediction_log.log_table import (
    check_fits,
    check_positive,
    logged_fields,
    put,
    schema_of,
    versions_in,
)
from trikk.serving.prediction_log.spool import Segment, Spool
from trikk.telemetry.metrics import metric_table as table
from trikk.web.listening import end, listen, room_for, server_of, url_of
from trikk.web.refused import JSON_TYPE

if TYPE_CHECKING:
    import polars as pl

    from trikk.web.connections import Connections

_GRACE = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Started:
    """What is known when an endpoint begins to answer."""

    url: str  # where it is
    model: str  # the model's name
    # of the version that answers its number, task and classes (`Fleet.about`); no number while the alias has no
    # holder
    about: dict[str, Any]
    table: str | None  # where predictions are logged


class Endpoint:
    """One endpoint."""

    def __init__(self, project: Project, options: Options) -> None:
        self._project = project
        self._options = options
        # First: who can't be asked anything need not load anything.
        self._certificate = options.certificate()
        self._guard = Guard(project.journal, options.environment, options, SystemClock())
        self._guard.begin()
        self._metrics = Metrics()
        self._spares = Spares(project.root)
        self._flusher: Flusher | None = None
        self._spool: Spool | None = None
        self._logged: dict[str, pl.DataType] = {}
        self._dispatcher = Dispatcher(options, self._metrics, self._keep if options.table else None)
        self._watch = Watch(project.journal, options, self._dispatcher, self._metrics, self._build)
        self._gauges()

    async def run(self, started: Callable[[Started], None]) -> bool:
        """Serve until SIGTERM or SIGINT, then finish what was accepted and put the log into the table.

        Args:
            started: is called when requests are answered.

        Returns:
            Whether everything that was logged is in the table.

        Raises:
            UsageError: if the address can't be had, or there is no such model.
            VersionFailed: if the model can't be loaded.
        """
        options, certificate, guard = self._options, self._certificate, self._guard
        listening, connections = listen(options.host, options.port, "the endpoint"), _connections(options)
        app = App(options, self._dispatcher, self._metrics, connections, guard, certificate)
        # A request may wait for as long as it may take, and be tried once more after a crash.
        grace, loop = 2 * options.timeout + _GRACE, asyncio.get_running_loop()
        server = server_of(app, connections, grace, certificate)
        tasks: list[asyncio.Task[None]] = []
        emptied = True
        try:
            # Before anything is answered or logged: an endpoint that can't load its model does not start.
            await self._first()
            self._open_log()
            loop.set_exception_handler(connections.trouble)
            tasks = [
                loop.create_task(work)
                for work in (
                    self._watch.run(),
                    self._dispatcher.sweep(),
                    connections.sweep(),
                    guard.keep_looking(certificate),
                )
            ]
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, end, server)
            started(self._started(listening))
            await server.serve(sockets=[listening])
        finally:
            # Take nothing new, finish what was accepted, and only then close the log that its answers go through.
            listening.close()
            await self._dispatcher.drain()
            for task in tasks:
                task.cancel()
            guard.close()
            await self._spares.close()
            if self._flusher is not None:
                emptied = await asyncio.to_thread(self._flusher.close)
        return emptied

    async def _first(self) -> None:
        """Load the version that the reference names; with `wait`, it may name none yet."""
        registry = Registry(self._project.journal)
        try:
            version = await asyncio.to_thread(registry.resolve, self._options.reference, self._options.environment)
        except UnknownName:
            if not self._options.wait:
                raise
            return
        fleet = await self._build(version)
        self._dispatcher.activate(fleet)

    async def _build(self, version: ModelVersion) -> Fleet:
        """An open fleet of a version; raises TrikkError if it can't be had."""
        (spec, logged), options = await asyncio.to_thread(self._spec, version), self._options
        fleet = Fleet(version, spec, options.workers, self._spares, options.load_timeout)
        await fleet.open()
        self._logged = logged
        return fleet

    def _spec(self, version: ModelVersion) -> tuple[LoadSpec, dict[str, pl.DataType]]:
        """What a worker needs to load a version, and the columns that the log has then."""
        project, options = self._project, self._options
        code = restore(project.store, version.code, project.state_dir / "code") if version.code else project.root
        log, logged = None, self._logged
        if options.table is not None:
            stored = {**self._logged, **schema_of(project.tables, options.table)}
            truth = schema_of(project.tables, options.truth) if options.truth else {}
            fields = logged_fields(version, options.key, options.slot, stored, truth)
            logged = check_fits(version, fields, options.log_inputs, stored)
            if version.signature is not None and version.signature.positive is not None:
                check_positive(version, self._logged_versions(options.table))
            log = LogSpec(fields, options.log_inputs, str(logged.get("value", "")))
        where = project.settings.location("artifacts")
        spec = LoadSpec(version.to_json(), str(code), where, log, options.max_body, options.max_rows)
        return spec, logged

    def _logged_versions(self, table: str) -> list[ModelVersion]:
        """Those of two classes whose probabilities are in the table, or on their way there."""
        registry, fleet = Registry(self._project.journal), self._dispatcher.fleet
        versions = [] if fleet is None else [fleet.version]
        for name, number in versions_in(self._project.tables, table):
            with contextlib.suppress(UnknownName):
                versions.append(registry.get(name, number))
        return versions

    def _open_log(self) -> None:
        table = self._options.table
        if table is None:
            return
        tables, origin = self._project.tables, {"endpoint": self._options.reference}

        def put_segment(segment: Segment) -> int:
            return put(tables, table, segment, origin, self._logged)

        self._spool = Spool(self._project.state_dir / "endpoints" / table, durable=self._options.durable)
        self._flusher = Flusher(
            self._spool, put_segment, self._options.flush, self._counting(asyncio.get_running_loop())
        )
        self._flusher.start()

    async def _keep(self, record: bytes, rows: int, value: str) -> None:
        assert self._spool is not None
        assert self._flusher is not None
        if value:
            self._check_value(dtype_of(value))
        if self._options.durable:
            await asyncio.to_thread(self._spool.append, record, rows)
        else:
            self._spool.append(record, rows)  # into the page cache: microseconds
        self._flusher.notice()

    def _check_value(self, dtype: pl.DataType) -> None:
        """Hold what a model without a signature gives against what is logged: its worker may not know."""
        # The first answer decides, since the table gets its type from it.
        logged = self._logged.setdefault("value", dtype)
        if is_number(logged) and not is_number(dtype):
            raise PredictionError(f"the model gives {dtype}, and the log of predictions holds {logged}")

    def _counting(self, loop: asyncio.AbstractEventLoop) -> Callable[[int | None], None]:
        def count(rows: int | None) -> None:
            if rows is None:
                self._metrics.log_failures.inc()
            else:
                self._metrics.logged.inc(rows)

        def report(rows: int | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(count, rows)

        return report

    def _started(self, listening: socket.socket) -> Started:
        fleet = self._dispatcher.fleet
        about = {"model_version": None} if fleet is None else fleet.about
        return Started(
            url_of(listening, self._certificate),
            self._options.model,
            about,
            self._options.table,
        )

    def _gauges(self) -> None:
        def model() -> dict[str, str] | None:
            fleet = self._dispatcher.fleet
            return None if fleet is None else {"model": fleet.version.name, **_labels(fleet.about)}

        self._metrics.info(table.ENDPOINT_MODEL, model)
        add = self._metrics.gauge
        add(table.ENDPOINT_QUEUE, lambda: self._dispatcher.waiting)
        add(table.ENDPOINT_LOG_PENDING, lambda: self._spool.rows if self._spool else 0)
        add(table.ENDPOINT_LOG_BACKLOG, lambda: self._flusher.backlog if self._flusher else 0)


def _labels(about: dict[str, Any]) -> dict[str, str]:
    """What is said of a version, as Prometheus has it: texts."""
    labels = {"version": str(about["model_version"])}
    if "task" in about:
        labels["task"] = about["task"]
    if "classes" in about:
        labels["classes"] = ",".join(map(class_text, about["classes"]))
    return labels if about.get("positive") is None else {**labels, "positive": class_text(about["positive"])}


def serve(project: Project, options: Options, started: Callable[[Started], None]) -> bool:
    """Run an endpoint in this process until it is told to stop; as `Endpoint.run`."""
    return asyncio.run(Endpoint(project, options).run(started))


def _connections(options: Options) -> Connections:
    try:
        from trikk.web.connections import Connections
    except ImportError:
        raise MissingExtra("an endpoint", "serve") from None
    return Connections(
        room_for(options.connections), options.max_body, lambda why: (JSON_TYPE, body_of(why)), "trikk.endpoint"
    )
