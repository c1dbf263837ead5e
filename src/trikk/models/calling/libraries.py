"""Whose a model is: told by the names of its classes, so that no library is imported to ask."""

from __future__ import annotations

from typing import Any


def is_of(model: Any, library: str, name: str | None = None) -> bool:
    """Whether a model's class, or a base of it, comes from a library (and has that name)."""
    return any(
        base.__module__.partition(".")[0] == library and name in (None, base.__name__)
        for base in type(model).__mro__
    )


def is_session(model: Any) -> bool:
    """Whether it is an ONNX session, which takes each input by its name."""
    return is_of(model, "onnxruntime", "InferenceSession")


def lightgbm_of(model: Any) -> Any | None:
    """The booster of a model of LightGBM; None if it is not one."""
    if not is_of(model, "lightgbm"):
        return None
    return model if is_of(model, "lightgbm", "Booster") else getattr(model, "booster_", None)


def xgboost_of(model: Any) -> Any | None:
    """The booster of a model of XGBoost; None if it is not one, or not fitted."""
    if not is_of(model, "xgboost"):
        return None
    return model if is_of(model, "xgboost", "Booster") else getattr(model, "_Booster", None)
