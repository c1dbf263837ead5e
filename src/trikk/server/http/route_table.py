"""The table of all routes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from trikk.access.identity import Role
from trikk.server.http.doors import AT_LENGTH, Doors
from trikk.server.http.handlers import access_handlers as access
from trikk.server.http.handlers import backfill_handlers as backfills
from trikk.server.http.handlers import case_handlers as cases
from trikk.server.http.handlers import data_handlers as data
from trikk.server.http.handlers import model_actions as models
from trikk.server.http.handlers import run_actions as act
from trikk.server.http.handlers import run_detail_handlers as details
from trikk.server.http.handlers import run_handlers as runs
from trikk.server.http.handlers import sign_in_handlers as signing
from trikk.server.http.handlers import stream_handlers as streams
from trikk.server.http.handlers import subscription_handlers as topics
from trikk.server.http.handlers import watch_handlers as watch
from trikk.server.http.handlers.project import feature_handlers as features
from trikk.server.http.handlers.project import notice_handlers as notices
from trikk.server.http.handlers.project import published_handlers as published
from trikk.server.http.handlers.project import study_handlers as studies
from trikk.server.http.handlers.project import upkeep_handlers as upkeep
from trikk.server.http.handlers.project import upload_handlers as uploads
from trikk.server.http.openapi import description
from trikk.server.http.paging import PageQuery
from trikk.server.http.probes import PROBES
from trikk.server.http.request_keys import Keyed
from trikk.server.http.routes import (
    API,
    BYTES_TYPE,
    EVENTS_TYPE,
    HTML_TYPE,
    TEXT_TYPE,
    Answer,
    Call,
    ResumeWith,
    Route,
    Said,
)

_RUN, _BACKFILL, _TRIGGER, _MODEL, _MONITOR = (
    f"{API}/runs/{{run}}",
    f"{API}/backfills/{{backfill}}",
    f"{API}/triggers/{{trigger}}",
    f"{API}/models/{{model}}",
    f"{API}/monitors/{{monitor}}",
)
_INCIDENT = f"{API}/incidents/{{incident:path}}"
_SUBSCRIPTIONS = f"{API}/subscriptions"
_STREAM = f"{API}/streams/{{stream}}"


def describe_api(_: Doors, __: Call) -> Answer[dict[str, Any]]:
    """Describe all of this, as OpenAPI 3.1."""
    return Answer(_description())


@cache
def _description() -> dict[str, Any]:
    return description(ROUTES)


ROUTES = (
    *PROBES,
    Route("GET", f"{API}/openapi.json", describe_api),
    Route("GET", f"{API}/pipelines", runs.list_pipelines),
    Route("GET", f"{API}/runs", runs.list_runs, query=runs.RunsQuery, refusals=(404,)),
    Route(
        "POST", f"{API}/runs", runs.start_run, body=runs.NewRun, fields=Keyed, statuses=(201, 200), refusals=(404,)
    ),
    Route("GET", f"{API}/costs", runs.show_costs, query=runs.CostsQuery),
    Route("GET", _RUN, runs.show_run),
    Route(
        "GET", f"{_RUN}/events", runs.follow_run, content=EVENTS_TYPE, fields=runs.StreamAfter, statuses=(200, 204)
    ),
    Route("POST", f"{_RUN}/cancel", act.cancel_run, body=Said, statuses=(200, 202)),
    Route("POST", f"{_RUN}/resume", act.resume_run, body=act.ResumeRun, statuses=(202,), longest=AT_LENGTH),
    Route("POST", f"{_RUN}/replay", act.replay_run, body=Said, fields=Keyed, statuses=(201, 200)),
    Route("GET", f"{_RUN}/comparison", act.compare_replay, refusals=(409,)),
    Route("GET", f"{_RUN}/lock", details.show_lock, refusals=(409,)),
    Route("GET", f"{_RUN}/changes", details.show_changes, query=details.ChangesQuery, refusals=(409,)),
    Route("GET", f"{_RUN}/graph", details.show_graph, refusals=(409,)),
    Route("GET", f"{_RUN}/lineage", details.show_lineage),
    Route("GET", f"{_RUN}/steps/{{step}}", details.show_step),
    Route("GET", f"{_RUN}/logs", details.show_logs, query=details.LogsQuery),
    Route("GET", f"{_RUN}/artifacts", details.list_artifacts),
    Route("GET", f"{API}/comparison", details.compare_runs, query=details.RunsToCompare, refusals=(404,)),
    Route("GET", f"{API}/approvals", details.list_approvals),
    Route("POST", f"{_RUN}/approve", watch.approve, body=watch.Decided),
    Route("POST", f"{_RUN}/refuse", watch.refuse, body=watch.Decided),
    Route("GET", f"{API}/backfills", backfills.list_backfills, query=PageQuery, refusals=(404,)),
    Route(
        "POST",
        f"{API}/backfills",
        backfills.begin_backfill,
        body=backfills.NewBackfill,
        fields=Keyed,
        statuses=(201, 200),
        refusals=(404,),
    ),
    Route("GET", _BACKFILL, backfills.show_backfill),
    Route("POST", f"{_BACKFILL}/pause", backfills.pause_backfill, body=Said),
    Route("POST", f"{_BACKFILL}/resume", backfills.resume_backfill, body=ResumeWith),
    Route("POST", f"{_BACKFILL}/cancel", backfills.cancel_backfill, body=Said),
    Route("GET", f"{API}/triggers", watch.list_triggers),
    Route("GET", _TRIGGER, watch.show_trigger),
    Route("POST", f"{_TRIGGER}/fire", watch.fire_trigger, body=watch.FireAs, statuses=(201, 200)),
    Route("POST", f"{_TRIGGER}/pause", watch.pause_trigger, body=watch.PauseUntil),
    Route("POST", f"{_TRIGGER}/unpause", watch.unpause_trigger, body=Said),
    Route(
        "POST", "/hooks/{hook}", watch.call_webhook, body=bytes, statuses=(201, 200), refusals=(401,), is_open=True
    ),
    Route("GET", f"{API}/streams", streams.list_streams),
    Route("GET", _STREAM, streams.show_stream),
    Route("POST", f"{_STREAM}/retry", streams.retry_set_aside, body=Said),
    Route("POST", f"{_STREAM}/drop", streams.drop_set_aside, body=Said),
    Route("GET", f"{API}/tables", data.list_tables, query=PageQuery),
    Route("GET", f"{API}/tables/{{table}}", data.show_table, query=data.TableQuery),
    Route("GET", f"{API}/tables/{{table}}/rows", data.show_rows, query=data.RowsQuery),
    Route("GET", f"{API}/tables/{{table}}/column", data.show_column, query=data.ColumnQuery),
    Route("GET", f"{API}/tables/{{table}}/versions", data.list_versions, query=PageQuery),
    Route("GET", f"{API}/tables/{{table}}/readers", data.list_readers, query=PageQuery),
    Route(
        "POST",
        f"{API}/tables/{{table}}/ingest",
        uploads.ingest_file,
        body=Path,
        query=uploads.IngestQuery,
        longest=AT_LENGTH,
    ),
    Route("GET", f"{API}/features", features.list_features),
    Route("GET", f"{API}/features/{{features}}/entity", features.show_entity_features, query=features.EntityQuery),
    Route(
        "POST",
        f"{API}/features/{{features}}/sync",
        features.sync_features,
        body=features.SyncFeatures,
        longest=AT_LENGTH,
    ),
    Route("GET", f"{API}/published", published.list_published),
    Route(
        "GET", f"{API}/published/{{published}}/messages", published.show_messages, query=published.MessagesQuery
    ),
    Route("GET", f"{API}/models", data.list_models, query=data.ModelsQuery),
    Route("GET", _MODEL, data.show_model, query=data.WhoseAliases),
    Route("GET", f"{_MODEL}/versions/{{version}}", models.show_version, query=data.WhoseAliases),
    Route("GET", f"{_MODEL}/holders", models.show_holders, query=models.HoldersQuery),
    Route("GET", f"{_MODEL}/uses", models.show_uses, query=data.WhoseAliases),
    Route("GET", f"{_MODEL}/users", models.list_users, query=PageQuery),
    Route("GET", f"{_MODEL}/comparison", models.compare_versions, query=models.VersionsQuery),
    Route("POST", f"{_MODEL}/promote", models.promote_model, body=models.Promote, role=Role.DEVELOPER),
    Route("POST", f"{_MODEL}/rollback", models.roll_back_model, body=models.MoveAlias, role=Role.DEVELOPER),
    Route("POST", f"{_MODEL}/approve", models.approve_model, body=models.MoveAlias, role=Role.DEVELOPER),
    Route(
        "POST",
        f"{_MODEL}/require-approval",
        models.require_approval,
        body=models.RequireApproval,
        role=Role.DEVELOPER,
    ),
    Route("GET", f"{API}/monitors", watch.list_monitors, query=PageQuery),
    Route("GET", _MONITOR, watch.show_monitor, query=watch.MonitorQuery),
    Route("GET", f"{_MONITOR}/windows/{{window}}", studies.show_window, query=studies.WindowQuery),
    Route("GET", f"{_MONITOR}/drift", studies.show_drift, query=studies.DriftQuery),
    Route("GET", f"{_MONITOR}/drift/{{window}}", studies.show_drift_of_day),
    Route("GET", f"{_MONITOR}/backtest", studies.run_backtest, query=studies.BacktestQuery, longest=AT_LENGTH),
    Route("GET", f"{_MONITOR}/ab", studies.compare_sides, query=studies.SidesQuery, longest=AT_LENGTH),
    Route("GET", f"{_MONITOR}/cases", cases.list_cases, query=cases.CasesQuery),
    Route("GET", f"{API}/predictions/{{prediction}}", cases.explain_prediction, query=cases.PredictionQuery),
    Route("GET", f"{API}/incidents", watch.list_incidents, query=watch.IncidentsQuery, refusals=(404,)),
    Route("POST", f"{_INCIDENT}/acknowledge", watch.acknowledge_incident, body=Said),
    Route("POST", f"{_INCIDENT}/resolve", watch.resolve_incident, body=watch.Reason),
    Route("POST", f"{_INCIDENT}/mute", watch.mute_incident, body=watch.MuteUntil),
    Route("POST", f"{_INCIDENT}/unmute", watch.unmute_incident, body=Said),
    Route("POST", f"{_INCIDENT}/note", watch.note_incident, body=watch.NewNote),
    Route("GET", _INCIDENT, watch.show_incident),
    Route("GET", f"{API}/channels", notices.list_channels),
    Route("POST", f"{API}/channels/{{channel}}/test", notices.test_channel, body=Said, role=Role.DEVELOPER),
    Route("GET", f"{API}/reports", notices.list_reports),
    Route("POST", f"{API}/reports/send", notices.send_reports, body=notices.SendReports, longest=AT_LENGTH),
    Route("GET", f"{API}/reports/{{report}}/deliveries", notices.list_deliveries),
    Route(
        "GET",
        f"{API}/reports/{{report}}/page",
        notices.show_report_page,
        content=HTML_TYPE,
        query=notices.ReportPageQuery,
    ),
    Route("GET", f"{API}/doctor", upkeep.check_health, role=Role.DEVELOPER, longest=AT_LENGTH),
    Route(
        "GET",
        f"{API}/gc",
        upkeep.show_clean_up,
        query=upkeep.CleanUpQuery,
        role=Role.DEVELOPER,
        longest=AT_LENGTH,
    ),
    Route("POST", f"{API}/gc", upkeep.clean_up, body=upkeep.CleanUp, role=Role.ADMIN, longest=AT_LENGTH),
    Route("GET", f"{API}/timeline", watch.show_timeline, query=watch.PeriodQuery),
    Route("GET", f"{API}/servers", watch.list_servers),
    Route(
        "GET",
        f"{API}/artifacts/{{digest}}",
        data.download_artifact,
        content=BYTES_TYPE,
        statuses=(200, 206),
        refusals=(416,),
    ),
    Route("GET", _SUBSCRIPTIONS, topics.list_subscriptions, query=topics.SubscriptionsQuery, role=Role.OPERATOR),
    Route("POST", _SUBSCRIPTIONS, topics.subscribe, body=topics.NewSubscription, statuses=(200, 202)),
    Route("POST", f"{_SUBSCRIPTIONS}/remove", topics.unsubscribe, body=topics.NamedSubscription),
    *(
        # Open: whoever has the mail has the link, and a mail program that follows it has no token of ours.
        Route(
            method,
            path,
            handler,
            content=HTML_TYPE,
            query=topics.LinkQuery,
            statuses=(200, 422),
            is_open=True,
            body=bytes,
        )
        for method, path, handler in (
            ("GET", "/unsubscribe", topics.show_unsubscribe_page),
            ("POST", "/unsubscribe", topics.follow_unsubscribe_link),
            ("GET", "/confirm", topics.show_confirm_page),
            ("POST", "/confirm", topics.follow_confirm_link),
        )
    ),
    Route("GET", f"{API}/me", signing.show_caller),
    # Open: who signs in is not known yet.
    Route(
        "GET",
        f"{API}/sign-in",
        signing.sign_in,
        content=TEXT_TYPE,
        query=signing.SignInQuery,
        statuses=(303,),
        refusals=(400, 404, 429, 503),
        is_open=True,
    ),
    Route(
        "GET",
        f"{API}/signed-in",
        signing.end_sign_in,
        content=TEXT_TYPE,
        query=signing.SignedInQuery,
        statuses=(303,),
        refusals=(400, 401, 403, 404, 429, 503),
        is_open=True,
    ),
    Route("POST", f"{API}/sign-out", signing.sign_out, role=Role.VIEWER),
    Route("GET", f"{API}/audit", access.read_audit, query=PageQuery, role=Role.ADMIN),
    Route("GET", f"{API}/people", access.list_people, role=Role.ADMIN),
    Route("GET", f"{API}/tokens", access.list_tokens, role=Role.ADMIN),
    Route("POST", f"{API}/tokens", access.create_token, body=access.NewToken, statuses=(201,), role=Role.ADMIN),
    Route("POST", f"{API}/tokens/{{token}}/revoke", access.revoke_token, body=Said, role=Role.ADMIN),
)
