"""`trikk.Client`: one method for each thing that a server does, with the types of its answers.

A method sends one request. Answers are those that commands print with --json: plain dicts, whose keys type
checkers know, and records where the server has them. Lists are iterators, which fetch a page when they need it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import msgspec

from trikk.access.audit import AuditLine
from trikk.access.identity import Identity
from trikk.access.people import People
from trikk.access.tokens import ShownToken, TokenDocument, TokenList
from trikk.alerts.delivery.channel_records import TestMessage
from trikk.client.event_reader import events
from trikk.client.rest_transport import Reply, Transport
from trikk.core.errors import ArtifactCorrupt, ServerError
from trikk.execution.code.code_changes import CodeChanges
from trikk.execution.upkeep.cost_report import CostReport
from trikk.features.feature_view import EntityFeatures
from trikk.features.sync import Synced
from trikk.mailing.topics.subscriptions import Change, Subscription
from trikk.publishing.stream import StreamMessages
from trikk.runs.journals.journal import RunRow
from trikk.server.http.documents import project_documents as of_project
from trikk.server.http.documents import run_documents as of_runs
from trikk.server.http.documents import watch_documents as of_watch
from trikk.server.http.documents.health_documents import HealthDocument
from trikk.server.http.documents.notice_documents import ChannelsDocument, DeliveriesDocument, ReportsDocument
from trikk.server.http.documents.upkeep_documents import CollectedDocument, FindingsDocument, IngestedDocument
from trikk.storage.shown_rows import ColumnSummary
from trikk.storage.tables.admin import TableInfo, VersionWrite
from trikk.timeline.happenings import Happening
from trikk.tracking.lineage import Lineage, Reader

_API = "/api/v1"
_PART = 8 << 20  # bytes of an artifact that one request fetches
_PAGE = 200  # items that one request fetches
T = TypeVar("T")
Code = Literal["locked", "current"]
_Query = Mapping[str, str | float | None]  # what is None is left out
_ALL: _Query = {}


class Client:
    """A trikk server, as programs ask it.

    Whatever a server refuses is raised as the error that a command would have: `trikk.TrikkError` and the classes
    below it, with `what`, `where` and `next`. `ServerError` says that it can't be reached.
    Requests that change nothing when they come twice are sent again
    if a connection breaks; those that start a run have a key by which the server knows them again.

    Args:
        url: of the server, such as "https://server:8750".
        token: that is shown, as `trikk token create` printed it; None for none.
        ca_file: a PEM file with the authorities whose certificates count, instead of the system's.
        timeout: seconds to wait for a connection, and for each part of an answer.
        tries: how often a request is sent that may be repeated.
        by: whom changes are said to be made for.

    Raises:
        UsageError: for a URL, a token or a file that can't be used.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        ca_file: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        tries: int = 4,
        by: str = "",
    ) -> None:
        trusted = None if ca_file is None else Path(ca_file)
        self._transport = Transport(url, token, ca_file=trusted, timeout=timeout, tries=tries)
        self.by = by

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._transport.close()

    # --- the server ---

    def health(self) -> HealthDocument:
        """Whether the server's process answers."""
        return self._get(HealthDocument, "/healthz", below="")

    def servers(self) -> of_project.ServersDocument:
        """The project's servers, and what is wrong with them."""
        return self._get(of_project.ServersDocument, "/servers")

    def api(self) -> dict[str, Any]:
        """The API's description, OpenAPI 3.1."""
        return self._get(dict[str, Any], "/openapi.json")

    def doctor(self) -> FindingsDocument:
        """What `trikk doctor` says of the server's project; it reads all there is."""
        return self._get(FindingsDocument, "/doctor", at_length=True)

    def clean_up_report(self, **options: Any) -> CollectedDocument:
        """What clean-up would remove; options: `keep_last`, `older_than`, `grace`, `compress_after`."""
        return self._get(CollectedDocument, "/gc", options, at_length=True)

    def clean_up(self, **options: Any) -> CollectedDocument:
        """Remove what no kept run needs; options as of `clean_up_report`, without them every run is kept."""
        return self._post(CollectedDocument, "/gc", options, at_length=True)

    # --- runs ---

    def pipelines(self) -> of_runs.PipelinesDocument:
        """The project's pipelines with parameters and steps."""
        return self._get(of_runs.PipelinesDocument, "/pipelines")

    def runs(self, pipeline: str | None = None, state: str | None = None) -> Iterator[RunRow]:
        """Runs, the newest first."""
        return self._pages(RunRow, "/runs", "runs", {"pipeline": pipeline, "state": state})

    def run(
        self, pipeline: str, parameters: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> of_runs.RunDocument:
        """Start a run; it begins when its turn comes.

        Args:
            pipeline: its name.
            parameters: of JSON's kinds; dates as texts.
            key: with the same key, the same run; a new one if not given.
        """
        body = {"pipeline": pipeline, "parameters": dict(parameters or {})}
        return self._post(of_runs.RunDocument, "/runs", body, says_by=False, key=key or str(uuid.uuid4()))

    def show(self, run: str) -> of_runs.RunDocument:
        """A run: its steps, what they made, what it is locked to."""
        return self._get(of_runs.RunDocument, f"/runs/{_name(run)}")

    def events(self, run: str, after: int = 0) -> Iterator[of_runs.EventDocument]:
        """A run's events as they happen, to its end; after a break it goes on where it was.

        Args:
            run: its id.
            after: the number (`seq`) of the last event that is known; 0 for all.
        """
        return events(self._transport, f"{_API}/runs/{_name(run)}/events", after)

    def cancel(self, run: str, why: str = "") -> of_runs.RunDocument:
        """Stop a run; its `state` says whether its driver is still about to."""
        return self._post(of_runs.RunDocument, f"/runs/{_name(run)}/cancel", {"why": why})

    def resume(
        self,
        run: str,
        code: Code | None = None,
        why: str = "",
        *,
        current_data: bool = False,
        again: Sequence[str] = (),
        keep: Sequence[str] = (),
    ) -> of_runs.RunDocument:
        """Queue a run again that has failed or was cancelled.

        Args:
            run: its id.
            code: by which code, its own or the project's; has to be said if the project's has changed.
            why: the reason, in words.
            current_data: whether it reads the tables as they are now.
            again: steps that run again though they have succeeded.
            keep: steps whose results stay though their code has changed since; others run again.
        """
        body: dict[str, Any] = {"code": code, "why": why}
        body |= {"current_data": True} if current_data else {}
        body |= {name: list(steps) for name, steps in (("again", again), ("keep", keep)) if steps}
        return self._post(of_runs.RunDocument, f"/runs/{_name(run)}/resume", body, at_length=True)

    def replay(self, run: str, why: str = "", *, key: str | None = None) -> of_runs.RunDocument:
        """Queue a replay of a run that is over: a new run. `comparison` tells what it has proved."""
        key = key or str(uuid.uuid4())
        return self._post(of_runs.RunDocument, f"/runs/{_name(run)}/replay", {"why": why}, key=key)

    def comparison(self, replay: str) -> of_runs.ComparisonDocument:
        """A replay that is over beside the run that it repeats."""
        return self._get(of_runs.ComparisonDocument, f"/runs/{_name(replay)}/comparison")

    def lock(self, run: str) -> of_runs.LockedDocument:
        """What a run is locked to, with the files of its code and its packages."""
        return self._get(of_runs.LockedDocument, f"/runs/{_name(run)}/lock")

    def changes(self, run: str, since: str | None = None) -> CodeChanges:
        """How a run's code and packages differ from another run's, the one before it, or the "folder"'s."""
        return self._get(CodeChanges, f"/runs/{_name(run)}/changes", {"since": since})

    def graph(self, run: str) -> of_runs.PipelineDocument:
        """The pipeline that a run is of, as it was when it was locked."""
        return self._get(of_runs.PipelineDocument, f"/runs/{_name(run)}/graph")

    def lineage(self, run: str) -> Lineage:
        """Where a run's inputs came from, and who used what it made."""
        return self._get(Lineage, f"/runs/{_name(run)}/lineage")

    def step(self, run: str, step: str) -> of_runs.StepDetailsDocument:
        """A step of a run, or an item of one (`fit[3]`), with schema and first rows of what it made."""
        return self._get(of_runs.StepDetailsDocument, f"/runs/{_name(run)}/steps/{_name(step)}")

    def logs(
        self,
        run: str,
        step: str | None = None,
        tail: int | None = None,
        *,
        log: str | None = None,
        begin: int | None = None,
    ) -> of_runs.LogsDocument:
        """The ends of what a run's steps have printed; or one log, by its file's name, from a byte on.

        Args:
            run: its id.
            step: a step, or an item of one; all if not given.
            tail: how many bytes of each at most; 64 kB if not given.
            log: such as "fit.1.log".
            begin: where `ends` of the part before was.
        """
        query: _Query = {"step": step, "tail": tail, "log": log, "begin": begin}
        return self._get(of_runs.LogsDocument, f"/runs/{_name(run)}/logs", query)

    def artifacts(self, run: str) -> of_runs.OutputsDocument:
        """What a run has made and logged."""
        return self._get(of_runs.OutputsDocument, f"/runs/{_name(run)}/artifacts")

    def download(self, digest: str, target: str | os.PathLike[str]) -> Path:
        """Write an artifact's bytes to a file, in parts; each is asked for again if its connection breaks.

        Raises:
            ArtifactCorrupt: if the bytes are not those that the digest is of; nothing is left of them.
            OSError: if the file can't be written.
        """
        path, part = Path(target), Path(f"{os.fspath(target)}.{uuid.uuid4().hex[:8]}.part")
        try:
            self._fetch(digest, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return path

    def compare(self, runs: Sequence[str], *, all: bool = False) -> of_runs.ComparedDocument:  # noqa: A002
        """Runs side by side; with `all` also what is equal in all of them."""
        return self._get(of_runs.ComparedDocument, "/comparison", {"runs": ",".join(runs), "all": all or None})

    def costs(self, by: str | None = None, since: str | None = None) -> CostReport:
        """What runs took and cost, by step, pipeline, run, branch or model, since a day (ISO)."""
        return self._get(CostReport, "/costs", {"by": by, "since": since})

    # --- what people are asked ---

    def approvals(self) -> of_runs.ApprovalsDocument:
        """What runs ask and nobody has decided."""
        return self._get(of_runs.ApprovalsDocument, "/approvals")

    def approve(self, run: str, why: str, step: str | None = None) -> of_runs.RunDocument:
        """Say yes to what a run asks; `step` says to what, if it asks several things."""
        return self._post(of_runs.RunDocument, f"/runs/{_name(run)}/approve", {"why": why, "step": step})

    def refuse(self, run: str, why: str, step: str | None = None) -> of_runs.RunDocument:
        """Say no to what a run asks."""
        return self._post(of_runs.RunDocument, f"/runs/{_name(run)}/refuse", {"why": why, "step": step})

    # --- backfills ---

    def backfills(self) -> Iterator[of_runs.BackfillDocument]:
        """Backfills, the newest first."""
        return self._pages(of_runs.BackfillDocument, "/backfills", "backfills")

    def backfill(
        self, pipelines: Sequence[str], first: str, last: str, *, key: str | None = None, **options: Any
    ) -> of_runs.BackfillDetailsDocument:
        """Have the servers run pipelines for each day from the first to the last, which are ISO.

        Args:
            pipelines: their names, in the order in which each day runs them.
            first: a day.
            last: a day.
            key: by which the request is known if it is sent again; a new one if not given.
            options: `every`, `at`, `parameter`, `parameters`, `parallel`, `any_order`, `missing`, `keep_going`.
        """
        body = {"pipelines": list(pipelines), "from": first, "to": last, **options}
        key = key or str(uuid.uuid4())
        return self._post(of_runs.BackfillDetailsDocument, "/backfills", body, says_by=False, key=key)

    def show_backfill(self, backfill: str) -> of_runs.BackfillDetailsDocument:
        """A backfill with the run of each day."""
        return self._get(of_runs.BackfillDetailsDocument, f"/backfills/{_name(backfill)}")

    def pause_backfill(self, backfill: str, why: str = "") -> of_runs.BackfillDetailsDocument:
        """Let no further day of a backfill begin."""
        return self._post(of_runs.BackfillDetailsDocument, f"/backfills/{_name(backfill)}/pause", {"why": why})

    def resume_backfill(
        self, backfill: str, code: Code | None = None, why: str = ""
    ) -> of_runs.BackfillDetailsDocument:
        """Let a backfill go on; days that have failed are tried again."""
        body = {"code": code, "why": why}
        return self._post(of_runs.BackfillDetailsDocument, f"/backfills/{_name(backfill)}/resume", body)

    def cancel_backfill(self, backfill: str, why: str = "") -> of_runs.BackfillDetailsDocument:
        """End a backfill, and cancel those of its runs that go on."""
        return self._post(of_runs.BackfillDetailsDocument, f"/backfills/{_name(backfill)}/cancel", {"why": why})

    # --- triggers and streams ---

    def triggers(self) -> of_watch.TriggersDocument:
        """What starts runs by itself."""
        return self._get(of_watch.TriggersDocument, "/triggers")

    def trigger(self, name: str) -> of_watch.TriggerDetailsDocument:
        """One trigger in words, its next times, and what became of the last ones."""
        return self._get(of_watch.TriggerDetailsDocument, f"/triggers/{_name(name)}")

    def fire(self, name: str, moment: str | None = None, **event: Any) -> of_runs.RunDocument:
        """Start a trigger's run by hand, or find the one that its moment or event has.

        Args:
            name: the trigger.
            moment: a scheduled time that the run is for.
            event: which event it is for: `path`, `run`, `payload`, `key`, `id`.
        """
        return self._post(of_runs.RunDocument, f"/triggers/{_name(name)}/fire", {"for": moment, **event})

    def pause(self, name: str, why: str = "", until: str | None = None) -> of_watch.TriggerDetailsDocument:
        """Let a trigger start nothing; `until` is a time or a day at which it goes on by itself."""
        body = {"why": why, "until": until}
        return self._post(of_watch.TriggerDetailsDocument, f"/triggers/{_name(name)}/pause", body)

    def unpause(self, name: str, why: str = "") -> of_watch.TriggerDetailsDocument:
        """Let a trigger start runs again."""
        return self._post(of_watch.TriggerDetailsDocument, f"/triggers/{_name(name)}/unpause", {"why": why})

    def streams(self) -> dict[str, Any]:
        """What is read into tables, how far it is behind, and what is wrong."""
        return self._get(dict[str, Any], "/streams")

    def stream(self, name: str) -> dict[str, Any]:
        """One stream, with the messages that it has set aside."""
        return self._get(dict[str, Any], f"/streams/{_name(name)}")

    def retry_stream(self, name: str, why: str = "") -> dict[str, Any]:
        """Bring the messages into the table that were set aside and fit now."""
        return self._post(dict[str, Any], f"/streams/{_name(name)}/retry", {"why": why})

    def drop_stream(self, name: str, why: str = "") -> dict[str, Any]:
        """Say that the messages which were set aside are not wanted."""
        return self._post(dict[str, Any], f"/streams/{_name(name)}/drop", {"why": why})

    # --- tables and models ---

    def tables(self) -> Iterator[TableInfo]:
        """Tables by name."""
        return self._pages(TableInfo, "/tables", "tables")

    def table(self, name: str, version: int | None = None, rows: int | None = None) -> of_project.TableDocument:
        """One table: columns, who wrote which version, and its first rows (5 if not given)."""
        return self._get(of_project.TableDocument, f"/tables/{_name(name)}", {"version": version, "rows": rows})

    def rows(
        self,
        table: str,
        where: Sequence[tuple[str, str, Any]] = (),
        sort: str | None = None,
        version: int | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> of_project.RowsDocument:
        """Rows of a table (50 if not given) that meet all conditions, such as ("sensor", "=", "north").

        `sort` is a column, or "-column" for the largest first.
        """
        said = msgspec.json.encode(where).decode() if where else None
        query: _Query = {"where": said, "sort": sort, "version": version, "limit": limit, "offset": offset}
        return self._get(of_project.RowsDocument, f"/tables/{_name(table)}/rows", query)

    def column(self, table: str, name: str, version: int | None = None) -> ColumnSummary:
        """What one column of a table holds: how many values, the smallest and largest, how they are spread."""
        query: _Query = {"column": name, "version": version}
        return self._get(ColumnSummary, f"/tables/{_name(table)}/column", query)

    def versions(self, table: str) -> Iterator[VersionWrite]:
        """A table's versions, the newest first: who made each, and what it changed of the columns."""
        return self._pages(VersionWrite, f"/tables/{_name(table)}/versions", "versions")

    def readers(self, table: str) -> Iterator[Reader]:
        """Runs that were locked to a table, the newest first."""
        return self._pages(Reader, f"/tables/{_name(table)}/readers", "readers")

    def ingest(self, table: str, path: str | os.PathLike[str], **options: Any) -> IngestedDocument:
        """Load a file into the server's table; it is sent in parts, and the same file again changes nothing.

        Args:
            table: made if there is none.
            path: of the file; its end says what it is: .csv, .parquet, .jsonl, packed as .gz or .zst or not.
            options: `key` ("day,line"), `mode` ("append", "merge", "overwrite"), `types` ("x=Int64"), `null`,
                `separator`, `again`, as of `trikk ingest`.

        Raises:
            OSError: if the file can't be read.
        """
        file = Path(path)
        query: _Query = {"file": file.name, "by": self.by or None, **options}
        with file.open("rb") as body:
            fields = {"content-type": "application/octet-stream", "content-length": str(file.stat().st_size)}
            path_ = f"{_API}/tables/{_name(table)}/ingest"
            reply = self._transport.ask("POST", path_, _given(query), body, fields, repeats=False, at_length=True)
        return _document(IngestedDocument, reply)

    def features(self) -> of_project.FeatureTablesDocument:
        """Feature tables, what of them is online, and how far that is behind."""
        return self._get(of_project.FeatureTablesDocument, "/features")

    def entity_features(
        self, features: str, key: Mapping[str, str | int | bool], at: str | None = None
    ) -> EntityFeatures:
        """The features of one entity as they are served, for a moment (ISO) or now.

        Args:
            features: the feature table.
            key: the entity's columns, such as {"line": "4", "stop": 1}.
            at: the moment.
        """
        query: _Query = {"key": msgspec.json.encode(key).decode(), "at": at}
        return self._get(EntityFeatures, f"/features/{_name(features)}/entity", query)

    def sync_features(self, features: str, at: str | None = None, *, rebuild: bool = False) -> Synced:
        """Bring the online store of a feature table up to it; `rebuild` reads the whole table."""
        body = {"at": at, "rebuild": rebuild}
        return self._post(Synced, f"/features/{_name(features)}/sync", body, at_length=True)

    def published(self) -> of_project.PublishedDocument:
        """The streams in the server's folder to which pipelines publish."""
        return self._get(of_project.PublishedDocument, "/published")

    def messages(self, published: str, after: int | None = None, limit: int | None = None) -> StreamMessages:
        """Messages of a published stream: the last ones (100 if not given), or those behind an offset."""
        query: _Query = {"after": after, "limit": limit}
        return self._get(StreamMessages, f"/published/{_name(published)}/messages", query)

    def models(self, environment: str | None = None) -> Iterator[of_project.ModelDocument]:
        """Registered models by name, with the aliases of an environment, the server's if not given."""
        return self._pages(of_project.ModelDocument, "/models", "models", {"environment": environment})

    def model(self, name: str, environment: str | None = None) -> of_project.ModelDetailsDocument:
        """One model with its versions and moves."""
        return self._get(of_project.ModelDetailsDocument, f"/models/{_name(name)}", {"environment": environment})

    def version(
        self, model: str, version: str | int, environment: str | None = None
    ) -> of_project.VersionDocument:
        """One version of a model, by its number or an alias."""
        path = f"/models/{_name(model)}/versions/{_name(str(version))}"
        return self._get(of_project.VersionDocument, path, {"environment": environment})

    def holders(
        self, model: str, at: str, alias: str | None = None, environment: str | None = None
    ) -> of_project.HoldersDocument:
        """Which version held an alias, or each, at a time or at the end of a day (ISO)."""
        query: _Query = {"at": at, "alias": alias, "environment": environment}
        return self._get(of_project.HoldersDocument, f"/models/{_name(model)}/holders", query)

    def uses(self, model: str, environment: str | None = None) -> of_project.UsesDocument:
        """Which steps of the server's code use a model, and which version that is now."""
        path = f"/models/{_name(model)}/uses"
        return self._get(of_project.UsesDocument, path, {"environment": environment})

    def users(self, model: str) -> Iterator[Reader]:
        """Runs that were locked to a version of a model, the newest first."""
        return self._pages(Reader, f"/models/{_name(model)}/users", "readers")

    def compare_versions(
        self, model: str, versions: Sequence[str | int], environment: str | None = None
    ) -> of_project.VersionsDocument:
        """Versions of a model, by number or alias, side by side."""
        named = ",".join(map(str, versions))
        path = f"/models/{_name(model)}/comparison"
        return self._get(of_project.VersionsDocument, path, {"versions": named, "environment": environment})

    def promote(
        self,
        model: str,
        version: str | int,
        alias: str,
        why: str = "",
        environment: str | None = None,
        at: str | None = None,
    ) -> of_project.MovedDocument:
        """Move an alias to a version, counting from `at` (ISO) if not from now; or ask for approval of it."""
        body = {"version": str(version), "alias": alias, "why": why, "environment": environment, "at": at}
        return self._post(of_project.MovedDocument, f"/models/{_name(model)}/promote", body)

    def roll_back(
        self, model: str, alias: str, why: str = "", environment: str | None = None
    ) -> of_project.MovedDocument:
        """Return an alias to the version that held it before."""
        body = {"alias": alias, "why": why, "environment": environment}
        return self._post(of_project.MovedDocument, f"/models/{_name(model)}/rollback", body)

    def approve_model(
        self, model: str, alias: str, why: str = "", environment: str | None = None
    ) -> of_project.MovedDocument:
        """Let a move of an alias happen that waits for approval."""
        body = {"alias": alias, "why": why, "environment": environment}
        return self._post(of_project.MovedDocument, f"/models/{_name(model)}/approve", body)

    def require_approval(
        self, model: str, alias: str, *, required: bool = True, why: str = "", environment: str | None = None
    ) -> of_project.GuardedDocument:
        """Have moves of an alias wait for approval, or wait no more."""
        body = {"alias": alias, "required": required, "why": why, "environment": environment}
        return self._post(of_project.GuardedDocument, f"/models/{_name(model)}/require-approval", body)

    # --- what is watched ---

    def monitors(self) -> Iterator[of_watch.MonitorDocument]:
        """Monitors that have been evaluated, with their newest windows."""
        return self._pages(of_watch.MonitorDocument, "/monitors", "monitors")

    def monitor(
        self,
        name: str,
        kind: str | None = None,
        last: int | None = None,
        slice: str | None = None,  # noqa: A002
    ) -> of_watch.WindowsDocument:
        """A monitor's last windows (14 if not given), of a kind such as "day"; the matrix of a "column=value"."""
        query: _Query = {"kind": kind, "last": last, "slice": slice}
        return self._get(of_watch.WindowsDocument, f"/monitors/{_name(name)}", query)

    def window(self, monitor: str, window: str, kind: str | None = None) -> of_watch.WindowDocument:
        """One window: its figures by slice, and what they were each time it was evaluated."""
        path = f"/monitors/{_name(monitor)}/windows/{_name(window)}"
        return self._get(of_watch.WindowDocument, path, {"kind": kind})

    def cases(
        self,
        monitor: str,
        window: str | None = None,
        kind: str | None = None,
        slice: str | None = None,  # noqa: A002
        truth: str | None = None,
        predicted: str | None = None,
        most: int | None = None,
    ) -> of_watch.CasesDocument:
        """The cases behind a window's figures, the newest with labels if not given; `slice` is "column=value"."""
        query: _Query = {
            "window": window,
            "kind": kind,
            "slice": slice,
            "truth": truth,
            "predicted": predicted,
            "most": most,
        }
        return self._get(of_watch.CasesDocument, f"/monitors/{_name(monitor)}/cases", query)

    def drift(self, monitor: str, last: int | None = None) -> of_watch.DriftDocument:
        """How a monitor's last days (14 if not given) differ from earlier ones."""
        return self._get(of_watch.DriftDocument, f"/monitors/{_name(monitor)}/drift", {"last": last})

    def drift_of_day(self, monitor: str, day: str) -> of_watch.DriftDayDocument:
        """How one day differs from earlier ones, column by column."""
        return self._get(of_watch.DriftDayDocument, f"/monitors/{_name(monitor)}/drift/{_name(day)}")

    def backtest(self, monitor: str, **question: Any) -> of_watch.BacktestDocument:
        """Which alarms a rule would have raised in the past, and which threshold to choose.

        Args:
            monitor: its name.
            question: as of `trikk backtest`: `when`, `alarm`, `metric`, `limits` ("psi,missing"), `window`,
                `slice`, `windows`, `min_labelled`, `from`, `to`, `known_ok_from`, `known_ok_to`, `events` (days,
                with commas between them), `accept`.
        """
        path = f"/monitors/{_name(monitor)}/backtest"
        return self._get(of_watch.BacktestDocument, path, question, at_length=True)

    def compare_sides(self, monitor: str, first: str, second: str, **options: Any) -> of_watch.SidesDocument:
        """Whether the second is better than the first, both on exactly the same cases.

        Args:
            monitor: by whose truth.
            first: people:3, people@champion, column:last_week, table:shadow, as of `trikk ab`.
            second: likewise.
            options: `metric`, `from`, `to`, `least_days`, `confidence`, `matters`, `seed`.
        """
        query: _Query = {"first": first, "second": second, **options}
        path = f"/monitors/{_name(monitor)}/ab"
        return self._get(of_watch.SidesDocument, path, query, at_length=True)

    def explain(self, prediction: str, table: str | None = None, rows: int | None = None) -> dict[str, Any]:
        """Everything behind one prediction, with so many `rows` (0 if not given) of each table read for it."""
        return self._get(dict[str, Any], f"/predictions/{_name(prediction)}", {"table": table, "rows": rows})

    def incidents(self, *, all: bool = False) -> Iterator[of_watch.IncidentDocument]:  # noqa: A002
        """Open incidents; with `all`, resolved ones, too."""
        return self._pages(of_watch.IncidentDocument, "/incidents", "incidents", {"all": all or None})

    def incident(self, incident: str) -> of_watch.IncidentDetailsDocument:
        """One incident with everything that happened to it."""
        return self._get(of_watch.IncidentDetailsDocument, f"/incidents/{_path(incident)}")

    def acknowledge(self, incident: str, why: str = "") -> of_watch.IncidentDocument:
        """Say that somebody knows of an incident."""
        return self._post(of_watch.IncidentDocument, f"/incidents/{_path(incident)}/acknowledge", {"why": why})

    def resolve(self, incident: str, why: str) -> of_watch.IncidentDocument:
        """Resolve an incident by hand."""
        return self._post(of_watch.IncidentDocument, f"/incidents/{_path(incident)}/resolve", {"why": why})

    def mute(self, incident: str, until: str, why: str) -> of_watch.IncidentDocument:
        """Tell nobody of an incident until a time, or the beginning of a day; ISO."""
        body = {"until": until, "why": why}
        return self._post(of_watch.IncidentDocument, f"/incidents/{_path(incident)}/mute", body)

    def unmute(self, incident: str, why: str = "") -> of_watch.IncidentDocument:
        """Let people be told of an incident again."""
        return self._post(of_watch.IncidentDocument, f"/incidents/{_path(incident)}/unmute", {"why": why})

    def note(self, incident: str, text: str) -> of_watch.IncidentDocument:
        """Write down what was found out about an incident."""
        return self._post(of_watch.IncidentDocument, f"/incidents/{_path(incident)}/note", {"text": text})

    def channels(self) -> ChannelsDocument:
        """The channels of alarms: what goes there, and whether their addresses can be used."""
        return self._get(ChannelsDocument, "/channels")

    def test_channel(self, channel: str, why: str = "") -> TestMessage:
        """Send a message to a channel that says it is a test."""
        return self._post(TestMessage, f"/channels/{_name(channel)}/test", {"why": why})

    def reports(self) -> ReportsDocument:
        """Reports: when each comes due, when it was made last, mails that have not come yet."""
        return self._get(ReportsDocument, "/reports")

    def deliveries(self, report: str) -> DeliveriesDocument:
        """To whom the pages of a report have come, the latest period first."""
        return self._get(DeliveriesDocument, f"/reports/{_name(report)}/deliveries")

    def report_page(self, report: str, period: str | None = None, customer: str = "*") -> str:
        """A page of a report as it was last made, HTML; "*" is the one on everything."""
        query = _given({"period": period, "customer": customer})
        return self._transport.ask(
            "GET", f"{_API}/reports/{_name(report)}/page", query, repeats=True
        ).body.decode()

    def send_reports(self, report: str | None = None) -> DeliveriesDocument:
        """Send what has not come to everybody yet who is to get it, of a report or of all."""
        return self._post(DeliveriesDocument, "/reports/send", {"report": report}, at_length=True)

    def timeline(self, since: float | None = None, until: float | None = None) -> Iterator[Happening]:
        """What happened from `since` to before `until`, in seconds since 1970, in its order."""
        return self._pages(Happening, "/timeline", "happenings", {"since": since, "until": until}, limit=1000)

    # --- people and programs ---

    def subscriptions(self, topic: str | None = None) -> Iterator[Subscription]:
        """Who subscribes to what."""
        return self._pages(Subscription, "/subscriptions", "subscriptions", {"topic": topic})

    def subscribe(self, topic: str, address: str, *, agreed: bool = False) -> Change:
        """Have an address get what is sent to a topic; they are asked unless they have agreed."""
        return self._post(Change, "/subscriptions", {"topic": topic, "address": address, "agreed": agreed})

    def unsubscribe(self, topic: str, address: str) -> Change:
        """Have an address get nothing more of a topic."""
        return self._post(Change, "/subscriptions/remove", {"topic": topic, "address": address})

    def caller(self) -> Identity:
        """Who is asking, and what they may."""
        return self._get(Identity, "/me")

    def audit(self, before: int | None = None) -> Iterator[AuditLine]:
        """Who changed what, the newest first; `before` leaves out what is not older than that line."""
        return self._pages(AuditLine, "/audit", "lines", {"cursor": before})

    def people(self) -> People:
        """Who has signed in, and what the settings say of roles."""
        return self._get(People, "/people")

    def tokens(self) -> TokenList:
        """Tokens, those that count no longer, too."""
        return self._get(TokenList, "/tokens")

    def create_token(
        self, name: str, role: str, environment: str | None = None, expires: str | None = None
    ) -> ShownToken:
        """Make a token; `shown` can't be had again. It `expires` in so long (90d if not given), or "never"."""
        body = {"name": name, "role": role, "environment": environment, "expires": expires}
        return self._post(ShownToken, "/tokens", body)

    def revoke_token(self, token: str) -> TokenDocument:
        """Let a token, given by its id or name, count no longer; a person's name means all their sessions."""
        return self._post(TokenDocument, f"/tokens/{_name(token)}/revoke", {})

    # --- how ---

    def _get(
        self, kind: type[T], path: str, query: _Query = _ALL, *, below: str = _API, at_length: bool = False
    ) -> T:
        reply = self._transport.ask("GET", below + path, _given(query), repeats=True, at_length=at_length)
        return _document(kind, reply)

    def _post(
        self,
        kind: type[T],
        path: str,
        body: Mapping[str, Any],
        *,
        says_by: bool = True,
        key: str | None = None,
        at_length: bool = False,
    ) -> T:
        by = {"by": self.by} if says_by and self.by else {}
        sent = {name: value for name, value in body.items() if value is not None}
        data = msgspec.json.encode({**sent, **by})
        fields = {} if key is None else {"idempotency-key": key}
        repeats = key is not None
        reply = self._transport.ask("POST", _API + path, None, data, fields, repeats=repeats, at_length=at_length)
        return _document(kind, reply)

    def _pages(
        self, kind: type[T], path: str, name: str, query: _Query = _ALL, *, limit: int = _PAGE
    ) -> Iterator[T]:
        query = {**query, "limit": limit}
        while True:
            page = self._get(dict[str, Any], path, query)
            yield from _converted(list[kind], page[name])  # type: ignore[valid-type]
            query["cursor"] = page["next"]
            if query["cursor"] is None:
                return

    def _fetch(self, digest: str, part: Path) -> None:
        from blake3 import blake3

        hasher, begin, size = blake3(), 0, 1
        with part.open("wb") as file:
            while begin < size:
                fields = {"range": f"bytes={begin}-{begin + _PART - 1}"}
                path = f"{_API}/artifacts/{_name(digest)}"
                reply = self._transport.ask("GET", path, fields=fields, repeats=True)
                if reply.status == 200:  # all of it; of no bytes there is no part
                    begin, size = 0, len(reply.body)
                else:
                    size = int(reply.headers["content-range"].rpartition("/")[2])
                file.write(reply.body)
                hasher.update(reply.body)
                begin += len(reply.body)
        if hasher.hexdigest() != digest:
            raise ArtifactCorrupt(
                f"the server sent other bytes than those of artifact {digest}", next="trikk doctor"
            )


def _name(text: str) -> str:
    return quote(text, safe="")


def _path(text: str) -> str:
    return quote(text, safe="/")  # an incident's id may have slashes


def _given(query: _Query) -> dict[str, str]:
    texts = ((name, value) for name, value in query.items() if value is not None)
    return {name: "true" if value is True else str(value) for name, value in texts}


def _document(kind: type[T], reply: Reply) -> T:
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except msgspec.DecodeError as error:
        raise _unlike(error) from error


def _converted(kind: type[T], value: object) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _unlike(error) from error


def _unlike(error: Exception) -> ServerError:
    mend = "look whether a trikk server is at that address, and whether it is of this version"
    return ServerError(f"the answer is not what it should be: {error}", next=mend)
