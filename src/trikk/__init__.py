"""trikk: MLOps on rails, from a sensor record to a monitored prediction.

Everything an author of pipelines needs is here; importing it loads no library but trikk's own pure part.
"""

from trikk.alerts import Alarm
from trikk.core.errors import PermanentError, TrikkError
from trikk.core.package_version import __version__ as __version__
from trikk.features import FeatureTable
from trikk.models import Metric, ModelVersion, better_by, predict, promote_if, register_model
from trikk.monitoring import Drift, Monitor, Slice, estimate_error, shadow
from trikk.pipeline.model_reference import Model
from trikk.pipeline.pipeline import Pipeline, pipeline
from trikk.pipeline.policies import Cache, Resources, Retry
from trikk.pipeline.step import Step, step
from trikk.pipeline.table_reference import Table
from trikk.pipeline.tracing import when
from trikk.publishing import publish
from trikk.quality import quality_gate
from trikk.reports import Report
from trikk.steps import dynamodb, notebook, redshift, s3, script, sql
from trikk.tracking import log_artifact, log_figure, log_metric, log_metrics, log_param

__all__ = [
    "step",
    "pipeline",
    "Table",
    "FeatureTable",
    "Model",
    "when",
    "sql",
    "s3",
    "dynamodb",
    "redshift",
    "script",
    "notebook",
    "quality_gate",
    "register_model",
    "promote_if",
    "better_by",
    "predict",
    "ModelVersion",
    "publish",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_figure",
    "log_artifact",
    "Monitor",
    "Metric",
    "Slice",
    "Drift",
    "Report",
    "Alarm",
    "shadow",
    "estimate_error",
    "Retry",
    "Resources",
    "Cache",
    "PermanentError",
    "TrikkError",
    "Pipeline",
    "Step",
]
