"""The command that serves a model over HTTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.doorkeeping_options import doorkeeping_options, warn_of_open_doors
from trikk.cli.printing import echo, log_format_option
from trikk.core.durations import bytes_of, seconds
from trikk.core.errors import TrikkError, UnknownName
from trikk.core.logs import log_to_stderr
from trikk.core.names import check_name
from trikk.execution.project import Project
from trikk.pipeline.model_reference import split_reference
from trikk.server.declaration_check import declared_graphs

if TYPE_CHECKING:
    from trikk.serving.server import Started

_LEAST = 0.1  # seconds: less would keep the machine busy with nothing


class _Read(click.ParamType):  # type: ignore[type-arg]
    """A type of option that a function of trikk reads; it is told the option's name for its errors."""

    def __init__(self, name: str, read: Callable[..., Any]) -> None:
        self.name = name
        self.read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        return self.read(value, what=param.opts[0]) if isinstance(value, str) and param else value


_TIME = _Read("time", lambda text, what: max(_LEAST, seconds(text, what=what)))
_WAIT, _SIZE = _Read("time", seconds), _Read("size", bytes_of)
_FIELDS = _Read("a,b", lambda text, what: tuple(n.strip() for n in text.split(",") if n.strip()))  # noqa: ARG005


# An option has the name that `Options` has for it, so that it is spelled here alone.
@click.command()
@click.argument("reference", metavar="MODEL@ALIAS")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 for a free one.")
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that predict."
)
@click.option("--wait", is_flag=True, help="Start even if no version holds the alias yet.")
@click.option("--table", metavar="NAME", help="Where predictions are logged; MODEL_predictions by default.")
@click.option("--no-log", is_flag=True, help="Log no predictions.")
@click.option(
    "--key", type=_FIELDS, default="", help="Fields that say what a prediction is about; they are logged."
)
@click.option("--slot", metavar="FIELD", help="The field with the time a prediction is about; it is logged.")
@click.option(
    "--truth", metavar="TABLE", help="The truth table whose types the key is logged in; a monitor's by default."
)
@click.option(
    "--no-inputs", "log_inputs", flag_value=False, default=True, help="Leave the model's inputs out of the log."
)
@click.option("--durable", is_flag=True, help="Sync the log to the disk before each answer.")
@click.option(
    "--flush", type=_TIME, default="10s", show_default=True, help="How often the log goes into the table."
)
@click.option("--max-body", type=_SIZE, default="6MB", show_default=True, help="Larger ones get 413.")
@click.option(
    "--max-rows", type=click.IntRange(1), default=100_000, show_default=True, help="The most rows of a request."
)
@click.option(
    "--batch-wait", type=_WAIT, default="2ms", show_default=True, help="How long a request waits for company."
)
@click.option("--queue", type=click.IntRange(1), default=1000, show_default=True, help="Requests that may wait.")
@click.option(
    "--timeout",
    type=_TIME,
    default="60s",
    show_default=True,
    help="How long a request may wait, and how long it may then take.",
)
@doorkeeping_options(rate=0)
@click.option(
    "--connections", type=click.IntRange(1), default=1000, show_default=True, help="The most open at once."
)
@click.option("--load-timeout", type=_TIME, default="5m", show_default=True, help="For loading a version.")
@click.option("--json", "as_json", is_flag=True, help="Print where it listens as one line of JSON.")
@log_format_option
def endpoint(
    reference: str,
    table: str | None,
    truth: str | None,
    batch_wait: float,
    *,
    no_log: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    """Serve a model over HTTP: /ping, /invocations and /metrics.

    MODEL@ALIAS is followed as it moves; MODEL is the newest version, MODEL:3 that one. SIGTERM or Ctrl-C finishes
    what was accepted, puts the log into the table, and exits 0.
    """
    from trikk.serving.http.batching import Limits
    from trikk.serving.options import Options
    from trikk.serving.server import serve

    # First, so that a wrong reference is told before the project's code is imported.
    model, _, _ = split_reference(reference)
    if no_log and (table or truth or settings["key"] or settings["slot"]):
        raise click.UsageError("--no-log can't be combined with --table, --key, --slot or --truth")
    project = Project.open()
    # Libraries' warnings, and everything that the endpoint itself says.
    log_to_stderr(project.settings, logging.WARNING)
    logging.getLogger("trikk.endpoint").setLevel(logging.INFO)
    log = None if no_log else check_name("table", table or f"{model}_predictions")
    options = Options(
        reference=reference,
        environment=project.settings.environment,
        table=log,
        truth=_truth(project, truth, log) if log and settings["key"] else "",
        batch=Limits(wait=batch_wait),
        **settings,
    )
    warn_of_open_doors(options, "trikk.endpoint")
    if not serve(project, options, _announce(reference, as_json=as_json)):
        raise TrikkError(
            "some logged predictions are not in the table yet",
            where=str(project.state_dir / "endpoints"),
            next="nothing is lost: the next start puts them there; the log above says what was wrong",
        )
    return 0


def _truth(project: Project, given: str | None, log: str) -> str:
    """The table with the truth that a log is joined with: given, else a monitor's; "" if none is needed."""
    from trikk.alerts.evaluations import declared

    if given is not None:
        if given not in project.tables.names():
            raise UnknownName("table", given, project.tables.names())
        return given
    if project.tables.version(log) is not None:
        return ""  # the log has its types
    try:
        monitors = declared(declared_graphs(project)).values()
    except TrikkError as error:  # the model's own code may be whole all the same
        warning = "no monitor is known, so that the key is logged as text: %s; --truth TABLE names its types"
        logging.getLogger("trikk.endpoint").warning(warning, error.what)
        return ""
    return next((spec.truth for spec in monitors if spec.predictions == log), "")


def _announce(reference: str, *, as_json: bool) -> Callable[[Started], None]:
    def started(endpoint: Started) -> None:
        if as_json:
            echo(
                json.dumps(
                    {"url": endpoint.url, "model": endpoint.model, **endpoint.about, "table": endpoint.table}
                )
            )
            return
        log = "not logged" if endpoint.table is None else f"logged to {endpoint.table}"
        echo(f"{reference}, {_version_text(endpoint.about)}, on {endpoint.url}; predictions are {log}")

    return started


def _version_text(about: dict[str, Any]) -> str:
    """The version that answers, with its task and classes: version 3 (binary: leak (positive), ok)."""
    from trikk.models.task import Classes

    if about["model_version"] is None:
        return "waits for a version"
    classes = f": {Classes.read(about).named}" if "classes" in about else ""
    task = f" ({about['task']}{classes})" if "task" in about else ""
    return f"version {about['model_version']}{task}"
