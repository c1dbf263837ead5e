"""A project: a folder with a `trikk.toml`, and what that file may say.

    name = "city"
    pipelines = ["pipelines"]          # modules or packages beside trikk.toml, or dotted names
    code = ["**/*.py", "**/*.sql"]     # what else than the default belongs to a run's code
    codecs = ["mycodecs:GeoCodec"]     # how to store more types
    isolation = "auto"                 # or "fork", "fresh"
    log_limit = "64MB"                 # of one attempt
    max_parallel = 8                   # steps at once; the number of cores if not given
    timezone = "Europe/Oslo"           # of the days and hours that commands name and show; UTC if not given
    environment = "main"               # whose aliases of models it sees; TRIKK_ENVIRONMENT says otherwise

    [storage]
    artifacts = "s3://bucket/prefix"   # .trikk/artifacts if not given
    tables = "s3://bucket/tables"      # .trikk/tables
    journal = "postgresql://..."       # .trikk/journal.db
    keep = "90d"                       # frames that can be made again, after their run; for ever if not given

    [server]                           # what `trikk serve` starts at once on one machine
    slots = 16                         # runs; eight a core, 16 at least, if not given
    upload = "1GB"                     # the largest file that it takes
    memory = "24GB"                    # of the runs together; what the machine has if not given
    look = "1m"                        # how often it looks at the project, as `trikk watch` does
    heartbeat = "https://hc-ping.com/${PING}"  # is called every minute while all is well

    [pools]                            # how many runs of the pipelines that name it go on at once, wherever
    warehouse = 2

    [tracking]
    mlflow = "http://localhost:5000"   # runs are mirrored there after they are over

    [alerts]                           # rules, channels and routes: see trikk.alerts.config

    [reports]                          # mail server, sender, subscribers: see trikk.reports.report_config

    [costs]                            # what an hour costs: runs are priced by what their steps ask for
    currency = "EUR"
    core_hour = 0.045                  # one core
    gb_hour = 0.005                    # 10**9 bytes of memory
    gpu_hour = 1.2                     # one accelerator

    [access.oidc]                      # how people sign in: see trikk.access.sign_in_settings
    issuer = "https://login.example.com"

    [secrets]                          # where they are beside the environment: see trikk.core.network
    folder = "/run/secrets"

    [telemetry]                        # traces of runs; OTEL_EXPORTER_OTLP_ENDPOINT and its like come first
    endpoint = "http://localhost:4318" # of an OpenTelemetry collector, OTLP over HTTP
    service = "city"                   # what the project is called there; its name if not given
    cloudwatch = "trikk"               # servers put metrics there, under this namespace
    cloudwatch_logs = "trikk"          # servers bring logs there, to this log group
    dogstatsd = "localhost:8125"       # servers tell Datadog's agent of metrics

    [logs]
    format = "json"                    # of servers, drivers and steps; TRIKK_LOG_FORMAT says otherwise

    [triggers.NAME]                    # what starts a pipeline's runs: see trikk.triggers
    pipeline = "nightly"
    cron = "0 4 * * *"

    [streams.NAME]                     # what a server keeps reading into a table: see trikk.streams
    from = "mqtt://broker/plant/+/readings"
    table = "readings"

    [targets.NAME]                     # an engine that runs pipelines elsewhere: see trikk.targets
    role = "arn:aws:iam::111122223333:role/city-jobs"

TRIKK_ARTIFACTS, TRIKK_TABLES and TRIKK_JOURNAL of the environment come before what `[storage]` says: a job on
another machine has the same code, and its storage elsewhere. TRIKK_EVENTS keeps the events of its runs in a
journal of their own; TRIKK_STATE is the project's `.trikk`, where a job sees that.

Secrets never stand in it, and one that does is refused: `${NAME}` in an address is read from the environment, or
from the places of `[secrets]`.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from trikk.core.durations import bytes_of, seconds
from trikk.core.errors import ProjectError, UsageError
from trikk.core.names import check_name
from trikk.core.network.addresses import fill, refuse_secrets, texts_in, web_address
from trikk.core.network.secret_places import SecretPlaces, use_places
from trikk.core.zones import zone_of

FILE = "trikk.toml"
STATE = ".trikk"
_CODE = (
    "**/*.py",
    "**/*.sql",
    "**/*.toml",
    "**/*.ipynb",
    "**/*.j2",
    "**/*.sh",
    "requirements*.txt",
    "uv.lock",
    "poetry.lock",
)
_KEYS = {
    "name",
    "pipelines",
    "code",
    "codecs",
    "isolation",
    "log_limit",
    "max_parallel",
    "environment",
    "timezone",
    "storage",
    "tracking",
    "alerts",
    "reports",
    "costs",
    "triggers",
    "server",
    "pools",
    "telemetry",
    "logs",
    "streams",
    "secrets",
    "access",
    "targets",
}
_SECTIONS = (
    *("alerts", "reports", "costs", "triggers", "server", "pools", "telemetry", "logs", "streams"),
    *("secrets", "access", "targets"),
)
_STORAGE = {"artifacts", "tables", "journal", "keep"}
_PLACES = ("artifacts", "tables", "journal")
_TRACKING = {"mlflow"}
_LEAST_LOOK = 1.0  # seconds
_SERVER = {"slots", "memory", "look", "heartbeat", "upload"}
_UPLOAD = 1_000_000_000  # bytes
_TELEMETRY = {"endpoint", "service", "cloudwatch", "cloudwatch_logs", "dogstatsd"}
_SECRETS = {"folder", "file", "aws"}
_PRICES = ("core_hour", "gb_hour", "gpu_hour")


class LogFormat(StrEnum):
    """How what is logged is written: for people, or for programs."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a trikk.toml says, checked, with its defaults."""

    root: Path
    name: str
    pipelines: tuple[str, ...] = ("pipelines",)
    code: tuple[str, ...] = _CODE
    codecs: tuple[str, ...] = ()
    isolation: str = "auto"
    log_limit: int = 64_000_000
    max_parallel: int | None = None
    timezone: str = "UTC"
    environment: str = "main"
    artifacts: str = ""
    tables: str = ""
    journal: str = ""
    shared_state: str = ""  # what holds for `lasting_state`; from the environment only
    events: str = ""  # the journal for events of runs, where that is another; from the environment only
    keep: float | None = None
    mlflow: str = ""
    alerts: dict[str, Any] = field(default_factory=dict, hash=False)
    reports: dict[str, Any] = field(default_factory=dict, hash=False)
    costs: dict[str, Any] = field(default_factory=dict, hash=False)
    triggers: dict[str, Any] = field(default_factory=dict, hash=False)
    server: dict[str, Any] = field(default_factory=dict, hash=False)
    pools: dict[str, int] = field(default_factory=dict, hash=False)
    telemetry: dict[str, str] = field(default_factory=dict, hash=False)
    log_format: LogFormat = LogFormat.TEXT
    streams: dict[str, Any] = field(default_factory=dict, hash=False)
    access: dict[str, Any] = field(default_factory=dict, hash=False)
    targets: dict[str, Any] = field(default_factory=dict, hash=False)
    secrets: SecretPlaces = field(default_factory=SecretPlaces)

    @property
    def tracking_server(self) -> str:
        """The address of the MLflow server to which runs are mirrored, variables filled in; "" if there is none.

        Raises:
            ProjectError: if a variable that it names is not set.
        """
        return self.filled("tracking.mlflow", self.mlflow)

    def filled(self, key: str, given: str) -> str:
        """A setting's text with each `${NAME}` replaced by the environment's variable, encoded within a URL.

        Args:
            key: what the setting is called in an error.
            given: the text.

        Raises:
            ProjectError: if a variable is not set, or can't stand where it does.
        """
        try:
            return fill(given, where=str(self.root / FILE), plain=("sqlite",), empty=True).text
        except UsageError as error:
            raise ProjectError(f"{key}: {error.what}", where=error.where, next=error.next) from error

    @property
    def state(self) -> Path:
        """The folder that holds everything the project's runs made."""
        return self.root / STATE

    @property
    def lasting_state(self) -> Path:
        """The folder for what steps leave beside artifacts and tables, such as streams: jobs have none."""
        return Path(self.shared_state) if self.shared_state else self.state

    def location(self, kind: str) -> str:
        """Where artifacts, tables or the journal are: an absolute path or a URL, variables filled in.

        Raises:
            ProjectError: if a variable that it names is not set.
        """
        given = str(getattr(self, kind))
        if not given:
            return str(self.state / {"journal": "journal.db"}.get(kind, kind))
        filled = self.filled(f"storage.{kind}", given)
        return filled if "://" in filled or filled.endswith(":") else str(self.root / filled)


def find_project(start: Path) -> Path:
    """The nearest folder with a trikk.toml, from `start` upwards.

    Raises:
        ProjectError: if there is none.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise ProjectError(f"{start} is not in a trikk project", next="change into one, or make one: trikk init DIR")


def project_zone(folder: Path) -> ZoneInfo:
    """The time zone of the project that a folder is in; UTC in none, or where its trikk.toml can't be read."""
    try:
        return ZoneInfo(load_settings(find_project(folder), stored=True).timezone)
    except ProjectError:
        return ZoneInfo("UTC")


def settings_of_run(root: Path) -> Settings:
    """The settings that a step's code goes by: those of trikk.toml, or what holds where there is none.

    Raises:
        ProjectError: as `load_settings`.
    """
    return load_settings(root, stored=True) if (root / FILE).is_file() else Settings(root=root, name=root.name)


def load_settings(root: Path, *, stored: bool = False) -> Settings:
    """Read and check a project's trikk.toml.

    Args:
        root: the project's folder.
        stored: whether it is a run's code as it was, or what a command has read already: what was accepted once is
            not refused for a password in it.

    Raises:
        ProjectError: if it is missing or no TOML, has an unknown key or a value of the wrong type, or holds a
            password.
    """
    file = root / FILE
    try:
        data = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise ProjectError(f"there is no {FILE} in {root}", next="make a project: trikk init DIR") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        mend = "mend it; its format is described at https://toml.io"
        raise ProjectError(f"{FILE} can't be read: {error}", where=str(file), next=mend) from error
    if not stored:
        _refuse_secrets(file, data)
    storage = data.get("storage", {})
    _check(file, data, storage)
    storage |= {place: os.environ[name] for place in _PLACES if os.environ.get(name := f"TRIKK_{place.upper()}")}
    if "keep" in storage:
        with _of(file):
            storage["keep"] = seconds(storage["keep"], what="storage.keep")
    tracking = data.get("tracking", {})
    _check_tracking(file, tracking)
    for section in _SECTIONS:
        if not isinstance(data.get(section, {}), dict):
            mend = f"write [{section}], and its settings below it"
            raise ProjectError(f"{section} must be a section", where=str(file), next=mend)
    _check_costs(file, data.get("costs", {}))
    _check_telemetry(file, data.get("telemetry", {}))
    _check_places(file, data.get("server", {}), data.get("pools", {}))
    lists: dict[str, Any] = {k: tuple(data[k]) for k in ("pipelines", "codecs") if k in data}
    if "code" in data:
        lists["code"] = tuple(dict.fromkeys([*_CODE, *data["code"]]))
    if "log_limit" in data:
        with _of(file):
            lists["log_limit"] = bytes_of(data["log_limit"], what="log_limit")
    kept = (
        *("isolation", "max_parallel", "alerts", "reports", "costs", "triggers", "pools", "telemetry"),
        *("streams", "access", "targets"),
    )
    rest: dict[str, Any] = {k: data[k] for k in kept if k in data}
    rest["server"] = _server(file, data.get("server", {}))
    rest["events"] = os.environ.get("TRIKK_EVENTS", "")
    rest["shared_state"] = os.environ.get("TRIKK_STATE", "")
    rest["secrets"] = _secret_places(file, data.get("secrets", {}))
    rest["log_format"] = _log_format(file, data.get("logs", {}))
    environment = os.environ.get("TRIKK_ENVIRONMENT") or data.get("environment", "main")
    rest["timezone"] = _zone(data.get("timezone", "UTC"), file)
    rest["environment"] = check_name("environment", environment, where=str(file))
    settings = Settings(root=root, name=data.get("name", root.name), **lists, **rest, **storage, **tracking)
    use_places(settings.secrets)
    return settings


def _refuse_secrets(file: Path, data: Mapping[str, Any]) -> None:
    """Refuse passwords, tokens and keys: the file becomes part of each run's stored code."""
    for name, text in texts_in(data):
        try:
            refuse_secrets(text, name, where=str(file), channel=name.startswith("alerts.channels."))
        except UsageError as error:
            raise ProjectError(error.what, where=error.where, next=error.next) from None


def _zone(name: Any, file: Path) -> str:
    try:
        return zone_of(name).key
    except UsageError as error:
        raise ProjectError(
            f"timezone = {name!r}", where=str(file), next='use a name such as "Europe/Oslo"'
        ) from error


def _check(file: Path, data: Mapping[str, Any], storage: Any) -> None:
    def refuse(what: str, mend: str) -> ProjectError:
        return ProjectError(what, where=str(file), next=mend)

    if not isinstance(storage, dict):
        raise refuse("storage must be a section", "write [storage], and its settings below it")
    name = data.get("name", "project")
    if not (isinstance(name, str) and name and name.isprintable()):
        raise refuse(f"name = {name!r}", 'write a text: name = "city"')
    known = _KEYS | {f"storage.{key}" for key in _STORAGE}
    unknown = sorted(set(data) - _KEYS) + sorted({f"storage.{key}" for key in storage} - known)
    if unknown:
        raise refuse(f"unknown setting {unknown[0]!r}", f"there are: {', '.join(sorted(known))}")
    for key in ("pipelines", "code", "codecs"):
        value = data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) and v and "\0" not in v for v in value):
            raise refuse(f"{key} must be a list of texts", f'write {key} = ["..."]')
    if data.get("isolation", "auto") not in ("auto", "fork", "fresh"):
        raise refuse(f"isolation = {data['isolation']!r}", 'use "auto", "fork" or "fresh"')
    parallel = data.get("max_parallel", 1)
    if isinstance(parallel, bool) or not isinstance(parallel, int) or parallel < 1:
        raise refuse(f"max_parallel = {parallel!r}", "use a whole number of at least 1")
    if not all(isinstance(v, str) and "\0" not in v for v in storage.values()):
        raise refuse("[storage] takes texts", 'write artifacts = "s3://bucket/prefix" or keep = "90d"')


def _check_tracking(file: Path, tracking: Any) -> None:
    known = isinstance(tracking, dict) and not set(tracking) - _TRACKING
    if not known or not all(isinstance(v, str) and "\0" not in v for v in tracking.values()):
        mend = 'write [tracking], and below it mlflow = "http://host:5000"'
        raise ProjectError("[tracking] has something other than mlflow, a text", where=str(file), next=mend)


def _check_costs(file: Path, costs: Mapping[str, Any]) -> None:
    for key, value in costs.items():
        if key == "currency":
            if not (isinstance(value, str) and value and value.isprintable() and len(value) <= 20):
                raise ProjectError(f"costs.currency = {value!r}", where=str(file), next='write currency = "EUR"')
        elif key not in _PRICES:
            known = ", ".join(("currency", *_PRICES))
            raise ProjectError(f"unknown setting 'costs.{key}'", where=str(file), next=f"there are: {known}")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            mend = f"write what an hour costs, such as {key} = 0.045"
            raise ProjectError(f"costs.{key} = {value!r} is not a price", where=str(file), next=mend)


def _log_format(file: Path, logs: Mapping[str, Any]) -> LogFormat:
    if unknown := sorted(set(logs) - {"format"}):
        raise ProjectError(f"unknown setting 'logs.{unknown[0]}'", where=str(file), next="there is: format")
    given = os.environ.get("TRIKK_LOG_FORMAT") or logs.get("format", LogFormat.TEXT)
    try:
        return LogFormat(given)
    except ValueError:
        raise ProjectError(f"logs.format = {given!r}", where=str(file), next='use "text" or "json"') from None


def _secret_places(file: Path, secrets: Mapping[str, Any]) -> SecretPlaces:
    """Where secrets are, as paths. Nothing is looked at yet: a command that needs none has none to find."""
    if unknown := sorted(set(secrets) - _SECRETS):
        known = ", ".join(sorted(_SECRETS))
        raise ProjectError(f"unknown setting 'secrets.{unknown[0]}'", where=str(file), next=f"there are: {known}")
    for key, value in secrets.items():
        if not isinstance(value, str) or "\0" in value or (not value and key != "aws"):
            example = {"folder": "/run/secrets", "file": "~/.config/city.secrets", "aws": "city/"}[key]
            raise ProjectError(f"secrets.{key} is no text", where=str(file), next=f'write {key} = "{example}"')
    root = file.parent
    folder, lines = (
        Path(os.path.normpath(root / Path(secrets[key]).expanduser())) if key in secrets else None
        for key in ("folder", "file")
    )
    for path in filter(None, (folder, lines)):
        if path.is_relative_to(os.path.normpath(root)):
            problem = (
                f"the secrets in {path} lie in the project's folder, whose files become part of each run's code"
            )
            raise ProjectError(problem, where=str(file), next="keep them elsewhere: ~/.config, /run/secrets")
    return SecretPlaces(folder, lines, secrets.get("aws"))


def _check_telemetry(file: Path, telemetry: Mapping[str, Any]) -> None:
    if unknown := sorted(set(telemetry) - _TELEMETRY):
        known = ", ".join(sorted(_TELEMETRY))
        raise ProjectError(
            f"unknown setting 'telemetry.{unknown[0]}'", where=str(file), next=f"there are: {known}"
        )
    with _of(file):
        web_address(telemetry.get("endpoint", "http://"), "telemetry.endpoint")
    examples = {
        "service": "city",
        "cloudwatch": "trikk",
        "cloudwatch_logs": "trikk",
        "dogstatsd": "localhost:8125",
    }
    for key, example in examples.items():
        given = telemetry.get(key, example)
        if not (isinstance(given, str) and given and given.isprintable()):
            mend = f'write {key} = "{example}"'
            raise ProjectError(f"telemetry.{key} = {given!r}", where=str(file), next=mend)


def _check_places(file: Path, server: Mapping[str, Any], pools: Mapping[str, Any]) -> None:
    if unknown := sorted(set(server) - _SERVER):
        known = ", ".join(sorted(_SERVER))
        raise ProjectError(f"unknown setting 'server.{unknown[0]}'", where=str(file), next=f"there are: {known}")
    for name in pools:
        check_name("pool", name, where=str(file))
    counts = {f"pools.{name}": places for name, places in pools.items()}
    counts |= {"server.slots": server["slots"]} if "slots" in server else {}
    for name, places in counts.items():
        if isinstance(places, bool) or not isinstance(places, int) or places < 1:
            raise ProjectError(f"{name} = {places!r}", where=str(file), next="use a whole number of at least 1")


def _server(file: Path, server: Mapping[str, Any]) -> dict[str, Any]:
    """The section with its sizes and times as numbers."""
    read: dict[str, Any] = dict(server)
    with _of(file):
        if "memory" in server:
            read["memory"] = bytes_of(server["memory"], what="server.memory")
        if "upload" in server:
            read["upload"] = bytes_of(server["upload"], what="server.upload")
        if "look" in server:
            read["look"] = max(_LEAST_LOOK, seconds(server["look"], what="server.look"))
        if "heartbeat" in server:
            read["heartbeat"] = web_address(server["heartbeat"], "server.heartbeat")
    return read


def upload_limit(settings: Settings) -> int:
    """Bytes of the largest file that a server takes: `[server] upload`, 1 GB if it is not given."""
    return int(settings.server.get("upload", _UPLOAD))


@contextmanager
def _of(file: Path) -> Iterator[None]:
    """Let what is wrong with a value be an error of the project's, which names the file."""
    try:
        yield
    except UsageError as error:
        raise ProjectError(error.what, where=str(file), next=error.next) from error
