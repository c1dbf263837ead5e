"""MLflow inside a step: what `mlflow.autolog()` and its like log goes into the run, and no server is asked.

For the time of a step MLflow's default tracking store is a folder of the attempt. When the step is over, whatever
is in there becomes the run's own metrics, parameters and artifacts, and the folder goes. Code that names another
store by `mlflow.set_tracking_uri` gets that one; a server that MLFLOW_TRACKING_URI names stays the registry of
models.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trikk.execution.process_environment import changed_variables
from trikk.runs import logged
from trikk.runs.context import StepContext

_TRACKING, _REGISTRY = "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"
_FIGURES = (".png", ".jpg", ".jpeg", ".svg", ".html", ".pdf")
_LONGEST_NAME = 200


@contextmanager
def local_mlflow(context: StepContext) -> Iterator[None]:
    """Keep what MLflow logs in this step with the run, also when the step fails; MLflow itself can't fail it."""
    label = context.step if context.item is None else f"{context.step}.{context.item}"
    folder = context.state_dir / "runs" / context.recorded_in / "mlflow" / f"{label}.{context.attempt}"
    uri = folder.absolute().as_uri()
    settings: dict[str, str | None] = {
        _TRACKING: uri,
        _REGISTRY: os.environ.get(_REGISTRY) or os.environ.get(_TRACKING),
        "MLFLOW_ALLOW_FILE_STORE": "true",  # since 3.17 MLflow refuses folders without it
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_EXPERIMENT_ID": None,  # these name things in another store
        "MLFLOW_RUN_ID": None,
    }
    with changed_variables(settings):
        try:
            yield
        finally:
            if "mlflow" in sys.modules:
                _take_in(context, folder, uri)


def _take_in(context: StepContext, folder: Path, uri: str) -> None:
    """Write what is in the store into the run; on any trouble say so in the log and leave the folder."""
    try:
        import mlflow

        while mlflow.get_tracking_uri() == uri and mlflow.active_run() is not None:
            mlflow.end_run()
        if not folder.exists():
            return
        events = list(_events(context, mlflow.MlflowClient(tracking_uri=uri)))
        context.record_many(events)
        shutil.rmtree(folder)
    except Exception:
        logging.getLogger("trikk").warning("what MLflow has logged stays in %s", folder, exc_info=True)


def _events(context: StepContext, client: Any) -> Iterator[logged.Logged]:
    """Everything of all runs in the store; what the second and later runs logged has their names in front."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, order_by=["attributes.start_time ASC"])
    runs.sort(key=lambda run: (run.data.tags.get("mlflow.parentRunId") is not None, run.info.start_time))
    for position, run in enumerate(runs):
        prefix = "" if position == 0 else f"{run.info.run_name or run.info.run_id}/"
        for name, text in run.data.params.items():
            yield logged.param(_label(prefix, name), text)
        for name in run.data.metrics:
            points = client.get_metric_history(run.info.run_id, name)
            for point in points:
                index = point.step if len(points) > 1 or point.step else None
                at = point.timestamp / 1000
                yield logged.metric(_label(prefix, name), float(point.value), index=index, at=at)
        for name, path in _files(client, run):
            kind = "figure" if path.suffix.lower() in _FIGURES else "file"
            yield logged.artifact(_label(prefix, name), kind, context.artifacts.save(path))


def _files(client: Any, run: Any) -> Iterator[tuple[str, Path]]:
    """A run's files and folders, and its models, which MLflow 3 keeps beside the run."""
    folder = _path(run.info.artifact_uri)
    for file in client.list_artifacts(run.info.run_id):
        yield file.path, folder / file.path
    for output in getattr(getattr(run, "outputs", None), "model_outputs", []):
        model = client.get_logged_model(output.model_id)
        yield str(model.name or "model"), _path(model.artifact_location)


def _path(uri: str) -> Path:
    from urllib.parse import unquote, urlsplit

    return Path(unquote(urlsplit(uri).path))


def _label(prefix: str, name: str) -> str:
    """A name that an artifact or metric of trikk may have; MLflow has no stricter rule than its length."""
    parts = [part for part in f"{prefix}{name}".split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:_LONGEST_NAME].rstrip("/") or "unnamed"
