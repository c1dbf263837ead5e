"""Experiments: what steps log, runs side by side, searches, and a mirror for those who use MLflow."""

from trikk.tracking.log import log_artifact, log_figure, log_metric, log_metrics, log_param

__all__ = ["log_metric", "log_metrics", "log_param", "log_figure", "log_artifact"]
