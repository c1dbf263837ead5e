"""Registered models: versions, signatures, aliases, promotion, batch prediction. What authors call is here."""

from __future__ import annotations

from trikk.models.metrics.own_metric import Metric
from trikk.models.predicting import predict
from trikk.models.promoting import promote_if
from trikk.models.promotion_rule import better_by
from trikk.models.registering import register_model
from trikk.models.version import ModelVersion

__all__ = ["Metric", "ModelVersion", "better_by", "predict", "promote_if", "register_model"]
