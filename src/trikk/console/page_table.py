"""The table of all pages and forms of the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trikk.access.identity import Role
from trikk.console.form_actions import Action
from trikk.console.live_changes import LiveQuery, follow_changes
from trikk.console.page_routes import Page
from trikk.console.pages.approvals.approvals_page import show_approvals
from trikk.console.pages.artifacts.artifact_page import ArtifactQuery, show_artifact, view_artifact
from trikk.console.pages.backfills.backfill_pages import show_backfills, show_one_backfill
from trikk.console.pages.compare.compare_page import CompareQuery, show_comparison
from trikk.console.pages.costs.costs_page import show_costs_page
from trikk.console.pages.incidents.incident_pages import IncidentListQuery, show_incidents, show_one_incident
from trikk.console.pages.models.model_list_page import show_models
from trikk.console.pages.models.model_page import ModelQuery, show_model_page
from trikk.console.pages.monitors.ab_page import SidesPageQuery, show_sides
from trikk.console.pages.monitors.backtest_page import BacktestPageQuery, show_backtest
from trikk.console.pages.monitors.cases_page import PredictionPageQuery, show_cases, show_prediction
from trikk.console.pages.monitors.monitor_choice import MonitorPageQuery
from trikk.console.pages.monitors.monitor_list_page import show_monitors
from trikk.console.pages.monitors.monitor_page import show_one_monitor
from trikk.console.pages.overview.overview_page import show_overview
from trikk.console.pages.pipelines.backfill_form import backfill_again, show_backfill_form
from trikk.console.pages.pipelines.pipeline_page import PipelinePageQuery, show_pipeline
from trikk.console.pages.pipelines.pipelines_page import show_pipelines
from trikk.console.pages.pipelines.start_form import StartQuery, show_start_form, start_again
from trikk.console.pages.reports.report_pages import show_report, show_reports
from trikk.console.pages.runs.resume_form import ResumeFormQuery, resume_again, show_resume_form
from trikk.console.pages.runs.run_list_page import RunsPageQuery, show_runs
from trikk.console.pages.runs.run_page import RunPageQuery, show_run
from trikk.console.pages.runs.step_log import LogQuery, download_log
from trikk.console.pages.runs.step_page import StepPageQuery, show_step
from trikk.console.pages.search.search_page import SearchQuery, show_search
from trikk.console.pages.settings.settings_page import (
    make_token,
    show_audit,
    show_new_token,
    show_settings,
    show_tokens,
)
from trikk.console.pages.streams.stream_pages import show_one_stream, show_streams
from trikk.console.pages.tables.table_list_page import TableListQuery, show_tables
from trikk.console.pages.tables.table_page import show_table_page
from trikk.console.pages.tables.table_query import TableQuery
from trikk.console.pages.triggers.trigger_pages import show_one_trigger, show_triggers
from trikk.console.problem_page import problem_page
from trikk.console.sign_in_page import SignInPageQuery, TypedToken, end_session, show_sign_in, sign_in_with_token
from trikk.console.static_files import StaticQuery, show_static
from trikk.server.http.doors import AT_LENGTH
from trikk.server.http.handlers.access_handlers import NewToken
from trikk.server.http.handlers.case_handlers import CasesQuery
from trikk.server.http.handlers.project.notice_handlers import ReportPageQuery
from trikk.server.http.handlers.run_handlers import CostsQuery
from trikk.server.http.paging import PageQuery
from trikk.server.http.routes import EVENTS_TYPE, HTML_TYPE, TEXT_TYPE, Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from trikk.access.identity import Identity
    from trikk.server.http.doors import Doors
    from trikk.web.request_body import Scope

PAGES: tuple[Page, ...] = (
    Page("/", show_overview),
    Page("/pipelines", show_pipelines),
    Page("/pipelines/{pipeline}", show_pipeline, query=PipelinePageQuery),
    Page("/pipelines/{pipeline}/start", show_start_form, query=StartQuery, role=Role.OPERATOR),
    Page("/pipelines/{pipeline}/backfill", show_backfill_form, role=Role.OPERATOR),
    Page("/artifacts/{digest}", show_artifact, ArtifactQuery),
    Page("/compare", show_comparison, CompareQuery),
    Page("/runs", show_runs, RunsPageQuery),
    Page("/runs/{run}", show_run, RunPageQuery),
    Page("/runs/{run}/resume", show_resume_form, ResumeFormQuery, role=Role.OPERATOR, longest=AT_LENGTH),
    Page("/runs/{run}/steps/{step}", show_step, StepPageQuery),
    Page("/monitors", show_monitors, query=PageQuery),
    Page("/monitors/{monitor}", show_one_monitor, query=MonitorPageQuery),
    Page("/monitors/{monitor}/cases", show_cases, query=CasesQuery),
    Page("/monitors/{monitor}/ab", show_sides, query=SidesPageQuery, longest=AT_LENGTH),
    Page("/monitors/{monitor}/backtest", show_backtest, query=BacktestPageQuery, longest=AT_LENGTH),
    Page("/monitors/{monitor}/predictions/{prediction}", show_prediction, query=PredictionPageQuery),
    Page("/incidents", show_incidents, query=IncidentListQuery),
    Page("/incidents/{incident:path}", show_one_incident),
    Page("/tables", show_tables, TableListQuery),
    Page("/tables/{table}", show_table_page, TableQuery),
    Page("/models", show_models, PageQuery),
    Page("/models/{model}", show_model_page, ModelQuery),
    Page("/triggers", show_triggers),
    Page("/triggers/{trigger}", show_one_trigger),
    Page("/approvals", show_approvals),
    Page("/backfills", show_backfills, query=PageQuery),
    Page("/backfills/{backfill}", show_one_backfill),
    Page("/streams", show_streams),
    Page("/streams/{stream}", show_one_stream),
    Page("/reports", show_reports),
    Page("/reports/{report}", show_report, ReportPageQuery),
    Page("/costs", show_costs_page, query=CostsQuery),
    Page("/settings", show_settings),
    Page("/settings/tokens", show_tokens, role=Role.ADMIN),
    Page("/settings/audit", show_audit, query=PageQuery, role=Role.ADMIN),
    Page("/search", show_search, query=SearchQuery),
)
ACTIONS: tuple[Action, ...] = (
    Action("start_run", "/pipelines/{pipeline}/start", "/runs/{id}", start_again),
    Action("begin_backfill", "/pipelines/{pipeline}/backfill", "/backfills/{id}", backfill_again),
    Action("cancel_run"),
    Action("resume_run", again=resume_again),
    Action("replay_run", then="/runs/{id}"),
    # In this order: an incident's id may have slashes.
    Action("acknowledge_incident"),
    Action("resolve_incident"),
    Action("mute_incident"),
    Action("unmute_incident"),
    Action("note_incident"),
    Action("approve"),
    Action("refuse"),
    Action("pause_backfill"),
    Action("resume_backfill"),
    Action("cancel_backfill"),
    Action("fire_trigger", then="/runs/{id}"),
    Action("pause_trigger"),
    Action("unpause_trigger"),
    Action("retry_set_aside"),
    Action("drop_set_aside"),
    Action("send_reports", then="/reports"),
    Action("test_channel", then="/settings"),
    Action("revoke_token", then="/settings/tokens"),
    Action("promote_model"),
    Action("roll_back_model"),
    Action("approve_model"),
)
_OTHERS = (
    Route("GET", "/live", follow_changes, content=EVENTS_TYPE, query=LiveQuery, statuses=(200, 204)),
    Route("GET", "/artifacts/{digest}/view", view_artifact, content="*/*", is_page=True),
    Route("GET", "/runs/{run}/steps/{step}/log", download_log, content=TEXT_TYPE, query=LogQuery, is_page=True),
    # Open: the page to sign in on needs them, and there is nothing of the project in them.
    Route("GET", "/static/{file}", show_static, content="*/*", query=StaticQuery, is_open=True),
    Route("GET", "/sign-in", show_sign_in, content=HTML_TYPE, query=SignInPageQuery, is_open=True, is_page=True),
    Route("POST", "/sign-in", sign_in_with_token, content=HTML_TYPE, body=TypedToken, is_open=True, is_page=True),
    Route("POST", "/sign-out", end_session, content=HTML_TYPE, role=Role.VIEWER, is_page=True),
    Route(
        "POST",
        "/settings/tokens",
        make_token,
        content=HTML_TYPE,
        body=NewToken,
        role=Role.ADMIN,
        is_page=True,
        then=show_new_token,
    ),
)


class Console:
    """The pages of one server."""

    routes: Sequence[Route] = (
        *_OTHERS,
        *(action.route() for action in ACTIONS),  # before the pages, of which some take paths with slashes
        *(route for page in PAGES for route in page.routes()),
    )

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def problem(self, error: BaseException, scope: Scope, identity: Identity | None) -> Response:
        """The page that explains why a request was refused, or the way to sign in."""
        return problem_page(self._doors, error, scope, identity)
