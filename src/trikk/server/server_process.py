"""A server from start to end: its parts put together, its signals, and the order in which it stops.

It takes requests as long as it can. On SIGTERM it begins nothing new, ends the streams of events itself, finishes
the requests that it has, lets its parts come to the end of their turns, and exits within `GRACE` seconds, whatever
hangs. Runs have processes of their own, and go on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from trikk.access.doorkeeping import Doorkeeping
from trikk.access.guard import Guard
from trikk.access.sign_in_settings import sign_in_settings
from trikk.core.errors import MissingExtra
from trikk.core.settings import upload_limit
from trikk.server.own_parts import parts_of, tell_of
from trikk.server.parts import Parts
from trikk.server.site import Site
from trikk.server.sources_part import SourcesPart
from trikk.server.streams.stream_metrics import StreamMetrics
from trikk.server.streams.streams_part import StreamsPart
from trikk.telemetry.metrics import metric_table as table
from trikk.telemetry.metrics.metric_sink import metric_sinks

if TYPE_CHECKING:
    from trikk.server.http.doors import Doors
    from trikk.server.http.routes import Pages, Route

GRACE = 15.0
"""Seconds from the signal to the end of the process, at most."""
_FOR_REQUESTS, _FOR_PARTS = 6, 6.0  # seconds of these
_FOR_SOURCES = 5.0  # seconds that the start waits for folders and brokers, which may be away
_MAX_BODY = 1_000_000  # bytes: parameters, reasons, webhooks
_log = logging.getLogger("trikk.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions(Doorkeeping):
    """What a server is told."""

    port: int = 8750  # 0 for a free one
    triggers: bool = True  # whether it looks for what is due and starts it; else it only answers and drives runs
    rate: float = 200.0
    connections: int = 2000  # the most that may be open at once; fewer where the process may open fewer files


def serve(
    site: Site,
    options: ServeOptions,
    started: Callable[[str], None],
    pages: Callable[[Doors], Pages] | None = None,
) -> None:
    """Run a server in this process until SIGTERM or SIGINT.

    Args:
        site: the project's.
        options: what it is told.
        started: is called with the address when requests are answered.
        pages: makes the pages that it has beside its API.

    Raises:
        MissingExtra: if a package is missing.
        UsageError: if the address can't be had, or nobody could ask, as a token is needed and there is none.
    """
    asyncio.run(_Server(site, options).run(started, pages))


class _Server:
    def __init__(self, site: Site, options: ServeOptions) -> None:
        try:
            from trikk.server.http.doors import Doors
            from trikk.server.http.event_streams import EventStreams
            from trikk.server.http.server_metrics import ServerMetrics
            from trikk.server.metrics.metrics_part import MetricsPart
            from trikk.web.connections import Connections
            from trikk.web.listening import room_for
        except ImportError:
            raise MissingExtra("a server", "server") from None
        from trikk.server.http.problems import explain

        self._site = site
        self._options = options
        project = site.project
        settings = project.settings
        how = sign_in_settings(settings)
        sign_in = None
        if how is not None:
            from trikk.access.signing_in import SignIn

            sign_in = SignIn(how, project.journal, settings.environment, site.clock)
        self._guard = Guard(
            project.journal, settings.environment, options, site.clock, sign_in=sign_in is not None
        )
        self._certificate = options.certificate()
        self._guard.begin()  # before any process is started
        sinks = metric_sinks(project.settings)
        parts = parts_of(site, triggers=options.triggers)
        metrics = ServerMetrics(site)
        parts.append(MetricsPart(site, metrics, sinks))
        if group := project.settings.telemetry.get("cloudwatch_logs"):
            from trikk.server.logs_part import LogsPart
            from trikk.telemetry.cloudwatch_logs import CloudWatchLogs

            parts.append(
                LogsPart(site, CloudWatchLogs(project.settings.filled("telemetry.cloudwatch_logs", group)))
            )
        self._begun = [part.begun for part in parts if isinstance(part, SourcesPart)]
        self._parts = Parts(site, parts, partial(tell_of, site))
        streams = EventStreams(site.project)
        self._doors = Doors(site, self._parts, streams, metrics, self._guard, sign_in=sign_in)
        self._add_gauges()
        for part in parts:
            if isinstance(part, StreamsPart):
                self._doors.metrics.collect_from(StreamMetrics(part.statuses, site.clock))
        # Whoever sends a file on a slow line gets time for it.
        largest = max(_MAX_BODY, upload_limit(site.project.settings))
        self._connections = Connections(room_for(options.connections), largest, explain, "trikk.server")

    def _add_gauges(self) -> None:
        site, add = self._site, self._doors.metrics.gauge
        add(table.EVENT_STREAMS, lambda: self._doors.streams.readers)
        add(table.TRIGGER_LAG, self._lag)
        add(table.PARTS_FAILING, self._failing)
        add(table.SERVER_FIRES, lambda: self._options.triggers and site.presence.standing.may_fire)

    def _lag(self) -> float:
        return self._site.engine.lag(self._site.clock.now())

    def _failing(self) -> float:
        return sum(status.failures > 0 for status in self._parts.status())

    async def run(self, started: Callable[[str], None], pages: Callable[[Doors], Pages] | None) -> None:
        from trikk.server.http.probes import PROBES
        from trikk.server.http.web_app import WebApp
        from trikk.web.listening import listen, server_of, url_of
        from trikk.web.proxies import Proxies
        from trikk.web.request_body import RequestBodies

        certificate, proxies = self._certificate, Proxies(self._options.trust_proxies)
        options, doors, connections = self._options, self._doors, self._connections
        bodies = RequestBodies(_MAX_BODY, connections)
        callers = options.callers(certificate)
        listening = listen(options.host, options.port, "the server")
        others = partial(_others, doors, pages)
        app = WebApp(doors, PROBES, others, proxies, callers, self._guard, bodies, connections)
        server = server_of(app, connections, _FOR_REQUESTS, certificate)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(connections.trouble)
        tasks = [loop.create_task(work) for work in (connections.sweep(), self._guard.keep_looking(certificate))]
        try:
            await asyncio.to_thread(self._begin)
            self._parts.start()
            for begun in self._begun:  # what arrives after the line that says it serves has to be seen as new
                await asyncio.to_thread(begun.wait, _FOR_SOURCES)
            serving = loop.create_task(server.serve(sockets=[listening]))
            stop = asyncio.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._asked_to_end, stop)
            while not server.started and not serving.done():
                await asyncio.sleep(0.005)
            started(url_of(listening, certificate))
            await asyncio.wait([serving, loop.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
            doors.streams.end()
            server.should_exit = True
            await serving
        finally:
            listening.close()
            for task in tasks:
                task.cancel()
            left = await asyncio.to_thread(self._parts.stop, _FOR_PARTS)
            doors.workers.close()
            self._guard.close()
            if left:
                _log.warning("not ended in time, and left as they are: %s", ", ".join(left))

    def _begin(self) -> None:
        """Load the code, and be there for the others; without code it answers what it can."""
        self._site.begin()
        if (trouble := self._site.code.trouble) is not None:
            _log.error("the project's code does not load: %s", trouble)

    def _asked_to_end(self, stop: asyncio.Event) -> None:
        if self._site.draining.is_set():
            _log.warning("ended at once, as it was asked twice")
            os._exit(1)
        _log.info("it ends: nothing new is begun, runs go on")
        self._site.draining.set()
        # Whatever hangs (a disk, a database): a process that does not end in time is killed, and may lose more.
        timer = threading.Timer(GRACE, os._exit, (0,))
        timer.daemon = True
        timer.start()
        stop.set()


def _others(doors: Doors, pages: Callable[[Doors], Pages] | None) -> tuple[Iterable[Route], Pages | None]:
    """What a server answers beside probes; imported here, as it brings most of the project."""
    from trikk.server.http.route_table import ROUTES

    return ROUTES, pages(doors) if pages is not None else None
