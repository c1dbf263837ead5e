"""trikk: MLOps on rails, from a sensor record to a monitored prediction.

Everything an author of pipelines needs is here. A name is imported when it is first asked for: the command, the
driver and each worker's host import trikk, and need little of it.
"""

from typing import TYPE_CHECKING

import trikk.pipeline as _package  # noqa: F401 - see the end
from trikk.core.package import __version__ as __version__
from trikk.core.package import lazy_names

if TYPE_CHECKING:
    from trikk.alerts import Alarm
    from trikk.client.rest_client import Client
    from trikk.consuming.kafka_step import kafka
    from trikk.core.errors import PermanentError, TrikkError
    from trikk.features import FeatureTable
    from trikk.mailing import mail
    from trikk.models import Metric, ModelVersion, better_by, predict, promote_if, register_model
    from trikk.monitoring import Drift, Monitor, Slice, estimate_error, shadow
    from trikk.pipeline.holds.approval import approval
    from trikk.pipeline.model_reference import Model
    from trikk.pipeline.pipeline import Pipeline, pipeline
    from trikk.pipeline.policies import Cache, Resources, Retry
    from trikk.pipeline.step import Step, step
    from trikk.pipeline.table_reference import Table
    from trikk.pipeline.tracing import when
    from trikk.publishing import publish
    from trikk.quality import quality_gate
    from trikk.reports import Report
    from trikk.steps import athena, dynamodb, notebook, redshift, s3, script, sql, write_dynamodb, write_sql
    from trikk.steps.secrets import secret
    from trikk.tracking import log_artifact, log_figure, log_metric, log_metrics, log_param

__all__ = [
    "step",
    "pipeline",
    "Table",
    "FeatureTable",
    "Model",
    "when",
    "approval",
    "sql",
    "s3",
    "dynamodb",
    "redshift",
    "athena",
    "kafka",
    "write_sql",
    "write_dynamodb",
    "script",
    "notebook",
    "quality_gate",
    "register_model",
    "promote_if",
    "better_by",
    "predict",
    "ModelVersion",
    "publish",
    "mail",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_figure",
    "log_artifact",
    "secret",
    "Monitor",
    "Metric",
    "Slice",
    "Drift",
    "Report",
    "Alarm",
    "Client",
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
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "alerts": "Alarm",
        "client.rest_client": "Client",
        "consuming.kafka_step": "kafka",
        "core.errors": "PermanentError TrikkError",
        "features": "FeatureTable",
        "mailing": "mail",
        "models": "Metric ModelVersion better_by predict promote_if register_model",
        "monitoring": "Drift Monitor Slice estimate_error shadow",
        "pipeline.holds.approval": "approval",
        "pipeline.model_reference": "Model",
        "pipeline.pipeline": "Pipeline pipeline",
        "pipeline.policies": "Cache Resources Retry",
        "pipeline.step": "Step step",
        "pipeline.table_reference": "Table",
        "pipeline.tracing": "when",
        "publishing": "publish",
        "quality": "quality_gate",
        "reports": "Report",
        "steps.secrets": "secret",
        "steps": "athena dynamodb notebook redshift s3 script sql write_dynamodb write_sql",
        "tracking": "log_artifact log_figure log_metric log_metrics log_param",
    },
)
# The package has the decorator's name. Its first import binds that name and no later one does: that was above, so
# that the name is the decorator's whatever is imported when.
globals().pop("pipeline")
