"""Airflow as an engine that is asked, by version 2 of its API, how its runs stand.

https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from trikk.core.errors import ProjectError, ServerError
from trikk.core.settings import FILE, Settings
from trikk.targets.airflow.airflow_settings import NAME, airflow_settings
from trikk.targets.mirroring.engine_status import EngineJob, EngineStatus, ExecutionState

_RUNS = {"success": ExecutionState.SUCCEEDED, "failed": ExecutionState.FAILED}
_TASKS = {
    "success": ExecutionState.SUCCEEDED,
    "failed": ExecutionState.FAILED,
    "removed": ExecutionState.STOPPED,
    **dict.fromkeys(("running", "queued", "restarting", "up_for_retry"), ExecutionState.RUNNING),
}
"""Of a task; one in another state (skipped, its upstream failed, not yet scheduled) has begun nothing."""
_SECONDS = 30
_PAGE = 100  # task instances an answer has
_LARGEST = 10_000_000  # bytes of an answer


class AirflowEngine:
    """Asks about runs, which jobs call `DAG.RUN`.

    Args:
        url: of Airflow, `http://user:password@host:8080`, or without them where it lets everybody in.
    """

    name = NAME

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        host = parts.netloc.rpartition("@")[2]
        self._url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._token = ""

    def status(self, execution: str, steps: Mapping[str, str]) -> EngineStatus | None:
        """What Airflow says of a run; None if it does not know it, or not any more."""
        path = _path(execution)
        run = self._asked("GET", path)
        if run is None:
            return None
        state = _RUNS.get(str(run.get("state")), ExecutionState.RUNNING)
        end_date = run.get("end_date")
        return EngineStatus(
            state,
            str(run.get("note") or "") if state == ExecutionState.FAILED else "",
            self._jobs(path, steps, state),
            None if end_date is None else datetime.fromisoformat(end_date).timestamp(),
        )

    def stop(self, execution: str) -> None:
        """Have it stop a run: it is set to failed, and Airflow ends its tasks."""
        path = _path(execution)
        self._asked("PATCH", path, {"state": "failed", "note": "cancelled by trikk"})

    def _jobs(self, path: str, steps: Mapping[str, str], run: ExecutionState) -> dict[str, EngineJob]:
        jobs: dict[str, EngineJob] = {}
        offset, total = 0, 1
        while offset < total:
            page = self._asked("GET", f"{path}/taskInstances?limit={_PAGE}&offset={offset}") or {}
            total, offset = int(page.get("total_entries", 0)), offset + _PAGE
            for task in page.get("task_instances", ()):
                state = _TASKS.get(str(task.get("state")))
                if task.get("task_id") not in steps or state is None:
                    continue
                if state == ExecutionState.RUNNING and run != ExecutionState.RUNNING:
                    state = ExecutionState.STOPPED
                reason = f"its task is {task['state']} after {task.get('try_number', 0)} tries"
                is_over = state in (ExecutionState.FAILED, ExecutionState.STOPPED)
                jobs[steps[task["task_id"]]] = EngineJob(state, reason if is_over else "")
        return jobs

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """What Airflow answers; None where there is no such thing."""
        if not self._token and self._user:
            given = {"username": self._user, "password": self._password}
            self._token = str((self._answer("POST", "/auth/token", given) or {}).get("access_token", ""))
        return self._answer(method, path, body)

    def _answer(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any] | None:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310 - http or https
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                read: Any = json.loads(answer.read(_LARGEST))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            if error.code in (401, 403):
                self._token = ""  # it may have expired: the next look asks for another
            raise self._away(f"it answers {error.code}") from error
        except (OSError, ValueError) as error:
            raise self._away(type(error).__name__) from error
        return read if isinstance(read, dict) else {}

    def _away(self, why: str) -> ServerError:
        return ServerError(
            f"Airflow can't be asked: {why}",
            where=self._url,
            next="check that its API server runs there, and the user's rights",
        )


def _path(execution: str) -> str:
    dag, _, run = execution.partition(".")
    return f"/api/v2/dags/{quote(dag, safe='')}/dagRuns/{quote(run, safe='')}"


def open_engine(settings: Settings) -> AirflowEngine | None:
    """The engine of a project; None if trikk.toml does not say where it is asked.

    Raises:
        ProjectError: if the address is none, or names a variable that is not set.
    """
    given = str(airflow_settings(settings).values.get("url", ""))
    if not given:
        return None
    url = settings.filled("targets.airflow.url", given)
    if urlsplit(url).scheme not in ("http", "https"):
        raise ProjectError(
            "targets.airflow.url is no address",
            where=str(settings.root / FILE),
            next='write url = "http://user:${AIRFLOW_PASSWORD}@airflow:8080"',
        )
    return AirflowEngine(url)
