"""An MLflow server as the target of a mirror, through MLflow's own client.

The package takes seconds to import and brings dozens of others: it is imported here alone, by `trikk mirror`, in a
process in which nothing else waits.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from trikk.core.errors import MissingExtra, StorageError, UsageError
from trikk.core.network.addresses import holds_secret
from trikk.models.version import ModelVersion
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts
from trikk.storage.codecs.manifest import KINDS
from trikk.tracking.mlflow.logged_model import save_model
from trikk.tracking.mlflow.mirror import Away, Refused
from trikk.tracking.mlflow.run_content import RUN_TAG, MetricValue, RunContent
from trikk.tracking.run_artifacts import export, file_name

_LARGEST = (
    1.7976931348623157e308  # what MLflow's database keeps of an infinity (store/tracking/sqlalchemy_store.py)
)
_METRICS = 500  # in a request; MLflow takes 1,000 entities, 100 of them parameters and 100 tags
_TEXTS = 100
_BEYOND_ONE = (401, 403, 408, 429)  # answers that say nothing about the one thing that was sent


class MlflowTarget:
    """Runs, models and aliases on an MLflow server.

    Credentials come from MLflow's own variables (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_TOKEN ...).

    Args:
        uri: of the tracking server, such as "http://localhost:5000"; MLflow's other kinds (sqlite:///...) do, too.
        artifacts: the project's values.

    Raises:
        UsageError: if the uri holds a password.
        MissingExtra: if MLflow is not installed.
    """

    def __init__(self, uri: str, artifacts: Artifacts) -> None:
        check_uri(uri)
        for name, value in (("MAX_RETRIES", "1"), ("BACKOFF_FACTOR", "1"), ("TIMEOUT", "30")):
            os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
        for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"):
            os.environ.setdefault(name, "true")
        try:
            import mlflow
        except ImportError as error:
            raise MissingExtra("mirroring to MLflow", "mlflow") from error
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        self.uri = uri
        self.artifacts = artifacts
        with self._asking("open"):
            self._client: Any = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)

    def put_run(self, content: RunContent) -> str:
        """Make or complete a run, found by its tag."""
        with self._asking(f"run {content.run}"):
            experiment = self._experiment(content.experiment)
            existing = self._client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{content.run}'", max_results=1)
            if existing:
                run, params, metrics = self._left(existing[0], content)
            else:
                tags = {"mlflow.runName": content.run, RUN_TAG: content.run}
                created = self._client.create_run(experiment, start_time=content.started, tags=tags)
                run, params, metrics = created.info.run_id, content.params, content.metrics
            self._log(run, params, metrics, content.tags)
            self._upload(run, content.files)
            # Last, so that a run that is over has everything.
            self._client.set_terminated(run, status=content.status, end_time=content.ended)
            return str(run)

    def put_version(self, version: ModelVersion, run: str) -> str:
        """Make a version, found by its tag; the model is put among the run's artifacts."""
        with self._asking(f"model {version.reference}"):
            existing = self._client.search_model_versions(f"name = '{version.name}'")
            for copy in existing:
                if copy.tags.get(RUN_TAG) == version.run and copy.tags.get("trikk.version") == str(
                    version.version
                ):
                    return str(copy.version)
            if not existing:
                self._register(version.name)
            # The model before its version: one that is there must be servable.
            place = f"models/{version.name}-{version.version}"
            with tempfile.TemporaryDirectory(prefix="trikk-mirror-") as folder:
                save_model(version, self.artifacts, Path(folder) / "model")
                self._client.log_artifacts(run, str(Path(folder) / "model"), place)
            source = f"{self._client.get_run(run).info.artifact_uri}/{place}"
            created = self._client.create_model_version(
                version.name, source, run, tags=_version_tags(version), description=version.description or None
            )
            return str(created.version)

    def put_alias(self, model: str, alias: str, environment: str, version: str | None) -> None:
        """Move or delete an alias; those of other environments than "main" begin with the environment's name."""
        name = alias if environment == "main" else f"{environment}-{alias}"
        with self._asking(f"alias {model}@{name}"):
            if version is None:
                self._client.delete_registered_model_alias(model, name)
            else:
                self._client.set_registered_model_alias(model, name, version)

    def _experiment(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except Exception:
            experiment = self._client.get_experiment_by_name(name)  # another process may have made it just now
            if experiment is None:
                raise
            return str(experiment.experiment_id)

    def _register(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _left(self, existing: Any, content: RunContent) -> tuple[str, dict[str, str], list[MetricValue]]:
        """The server's id of a run that is there, and what it lacks; a parameter, once there, can't be changed."""
        run = existing.info.run_id
        params = {name: text for name, text in content.params.items() if name not in existing.data.params}
        copied = {
            (m.key, m.timestamp, m.step, repr(float(m.value)))
            for key in {metric.key for metric in content.metrics} & set(existing.data.metrics)
            for m in self._client.get_metric_history(run, key)
        }
        metrics = [m for m in content.metrics if (m.key, m.timestamp, m.step, repr(_kept(m.value))) not in copied]
        return run, params, metrics

    def _log(self, run: str, params: dict[str, str], metrics: list[MetricValue], tags: dict[str, str]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        texts: list[Any] = [Param(name, text) for name, text in params.items()]
        marks: list[Any] = [RunTag(name, text) for name, text in tags.items()]
        values: list[Any] = [Metric(m.key, m.value, m.timestamp, m.step) for m in metrics]
        while texts or marks or values:
            self._client.log_batch(run, metrics=values[:_METRICS], params=texts[:_TEXTS], tags=marks[:_TEXTS])
            texts, marks, values = texts[_TEXTS:], marks[_TEXTS:], values[_METRICS:]

    def _upload(self, run: str, files: dict[str, Artifact]) -> None:
        """Put logged artifacts that are still in the store among the run's; the same names are written over."""
        for name, artifact in files.items():
            place = PurePosixPath(name)
            parent = str(place.parent) if place.parent.name else None
            with tempfile.TemporaryDirectory(prefix="trikk-mirror-") as folder:
                try:
                    path = export(self.artifacts, artifact, Path(folder) / file_name(artifact, place.name))
                except StorageError:
                    continue  # clean-up has removed it, or it is damaged: `trikk doctor` says so
                if artifact.codec in KINDS:
                    self._client.log_artifacts(run, str(path), str(place))
                else:
                    self._client.log_artifact(run, str(path), parent)

    @contextmanager
    def _asking(self, about: str) -> Iterator[None]:
        """MLflow's errors as those of a mirror."""
        from mlflow.exceptions import MlflowException
        from requests.exceptions import RequestException

        try:
            yield
        except MlflowException as error:
            status = error.get_http_status_code()
            text = str(error).partition("\n")[0][:500]
            if 400 <= status < 500 and status not in _BEYOND_ONE:
                raise Refused(f"{about}: the tracking server refuses it: {text}") from error
            raise self._away(text) from error
        except (RequestException, OSError) as error:
            raise self._away(str(error)[:500]) from error

    def _away(self, text: str) -> Away:
        return Away(f"the tracking server {self.uri} can't be used: {text}", next="later: trikk mirror mlflow")


def check_uri(uri: str) -> None:
    """Raise UsageError if a server's address holds a password, or is none."""
    try:
        parts = urlsplit(uri)
        bad = not parts.scheme or parts.password is not None or holds_secret(uri)
    except ValueError:
        bad = True
    if bad:
        raise UsageError(
            "this is not an address of a tracking server, or one with a password",
            next="write http://host:5000, and export MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        )


def _kept(value: float) -> float:
    return max(-_LARGEST, min(_LARGEST, value)) if value == value else value  # noqa: PLR0124 - NaN stays


def _version_tags(version: ModelVersion) -> dict[str, str]:
    tags = {
        RUN_TAG: version.run,
        "trikk.version": str(version.version),
        "trikk.step": version.step,
        "trikk.code": version.code,
        "trikk.artifact": version.artifact.digest,
    }
    tags |= {f"trikk.table.{name}": str(number) for name, number in version.tables.items()}
    return tags | {f"trikk.metric.{name}": repr(value) for name, value in version.metrics.items()}
