"""A registered model as the folder that MLflow serves: in its own flavour where it has one, else as stored."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from trikk.models.calling.model_columns import inputs_of
from trikk.models.signature import Signature
from trikk.models.version import ModelVersion
from trikk.storage.artifacts import Artifacts
from trikk.tracking.run_artifacts import export, file_name

_TYPES = {
    "Boolean": "boolean",
    "Int8": "integer",
    "Int16": "integer",
    "Int32": "integer",
    "Int64": "long",
    "Float32": "float",
    "Float64": "double",
    "String": "string",
    "Date": "datetime",
    "Datetime": "datetime",
}


def save_model(version: ModelVersion, artifacts: Artifacts, to: Path) -> None:
    """Write a version's model into a new folder, with `trikk.json`, which tells where it comes from.

    Raises:
        StorageError: if the model is not in the store any more.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not _in_flavour(version, artifacts, to):
            to.mkdir()
            export(artifacts, version.artifact, to / file_name(version.artifact, "model"))
    (to / "trikk.json").write_text(json.dumps(version.to_json(), indent=2))


def _in_flavour(version: ModelVersion, artifacts: Artifacts, to: Path) -> bool:
    """Whether the model could be written as MLflow knows it; not, if it can't be loaded here."""
    artifacts.verify(version.artifact)
    folder = to.with_name("flavour")
    try:
        model = artifacts.load(version.artifact)
        about: dict[str, Any] = {"signature": _signature(version.signature, model)}
        if _is_of("sklearn.base", "BaseEstimator", model):
            import mlflow.sklearn
            import sklearn

            about |= {"pip_requirements": [f"scikit-learn=={sklearn.__version__}"]}
            # cloudpickle: a model's class may be defined in the project, which is not there where it is served.
            mlflow.sklearn.save_model(model, str(folder), serialization_format="cloudpickle", **about)
        elif _is_of("lightgbm.basic", "Booster", model):
            import lightgbm
            import mlflow.lightgbm

            about |= {"pip_requirements": [f"lightgbm=={lightgbm.__version__}"]}
            mlflow.lightgbm.save_model(model, str(folder), **about)
        else:
            return False
    except Exception:  # noqa: BLE001 - the model's class or MLflow may fail in any way; the stored bytes are good
        return False
    # In a folder beside it, until it is whole: a flavour that fails leaves nothing in the way of the stored bytes.
    folder.rename(to)
    return True


def _is_of(module: str, name: str, model: object) -> bool:
    return any(c.__module__ == module and c.__name__ == name for c in type(model).__mro__)


def _signature(signature: Signature | None, model: Any) -> Any:
    """MLflow's signature of the same columns; None if one has a type that it does not know.

    MLflow gives the columns in its signature's order, so that is the model's.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    if signature is None or any(
        field.dtype.partition("(")[0] not in _TYPES for field in (*signature.inputs, signature.output)
    ):
        return None

    def column(field: Any, *, name: bool) -> Any:
        kind = _TYPES[field.dtype.partition("(")[0]]
        return ColSpec(kind, field.name, required=not field.nullable) if name else ColSpec(kind)

    fields = {field.name: field for field in signature.inputs}
    return ModelSignature(
        inputs=Schema([column(fields[name], name=True) for name in inputs_of(model, signature.names)]),
        outputs=Schema([column(signature.output, name=False)]),
    )
