"""One version of a registered model: what it is, what it takes, and what it came from. It never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trikk.core.errors import CodecError, StorageError, UsageError
from trikk.core.values import JSON
from trikk.runs.context import step_context

if TYPE_CHECKING:
    from trikk.models.signature import Signature
    from trikk.storage.artifact import Artifact
    from trikk.storage.artifacts import Artifacts


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """An immutable version of a model.

    Attributes:
        name: the model's name.
        version: 1, 2, ... without gaps.
        artifact: the fitted model in the project's store.
        signature: what it takes and gives; None if it was registered without rows to tell from.
        run: the run that registered it; "" if it was registered outside of one.
        step: the step that did.
        pipeline: the run's pipeline.
        code: digest of the run's code bundle.
        tables: the version of each table that the run was locked to.
        models: the version of each registered model that the run was locked to, by reference.
        parameters: the run's, in the form of `trikk.core.values.encode`.
        metrics: finite numbers by name.
        description: the author's words.
        environment: where it was registered.
        created: seconds since 1970.
        spare: the same model in a format that outlives its packages, read where `artifact` can't be; None without.
    """

    name: str
    version: int
    artifact: Artifact
    signature: Signature | None = None
    run: str = ""
    step: str = ""
    pipeline: str = ""
    code: str = ""
    tables: dict[str, int | None] = field(default_factory=dict)
    models: dict[str, int | None] = field(default_factory=dict)
    parameters: dict[str, JSON] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    description: str = ""
    environment: str = ""
    created: float = 0.0
    spare: Artifact | None = None

    @property
    def reference(self) -> str:
        """The version as `Model` takes it (people:3)."""
        return f"{self.name}:{self.version}"

    def to_json(self) -> dict[str, JSON]:
        """The version as JSON, which is also how it travels between steps."""
        data: dict[str, JSON] = {name: getattr(self, name) for name in self.__slots__}
        data["artifact"] = self.artifact.to_json()
        data["spare"] = None if self.spare is None else self.spare.to_json()
        data["signature"] = None if self.signature is None else self.signature.to_json()
        return data

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> ModelVersion:
        """The version that `to_json` wrote.

        Raises:
            StorageError: if it is not one.
        """
        from trikk.models.signature import Signature  # late: `import trikk` shall load no library and little else
        from trikk.storage.artifact import Artifact

        try:
            rest = {name: data[name] for name in cls.__slots__ if name in data}
            rest["artifact"] = Artifact.read(data["artifact"])
            rest["spare"] = Artifact.read(data["spare"]) if data.get("spare") else None
            rest["signature"] = None if data["signature"] is None else Signature.read(data["signature"])
            return cls(**rest)
        except (KeyError, TypeError) as error:
            raise StorageError(
                "this is not a description of a model version", next="look for a damaged entry of the model"
            ) from error

    def load(self, artifacts: Artifacts | None = None, want: object = None) -> Any:
        """The fitted model, its bytes verified.

        Args:
            artifacts: the project's; those of the step that runs if not given.
            want: as for `Artifacts.load`.

        Raises:
            ArtifactMissing: if it is not in the store any more.
            ArtifactCorrupt: if its bytes were changed.
            CodecError: if it can't be read here: another version of what wrote it, or its class is away.
            UsageError: if no artifacts are given and no step runs.
        """
        if artifacts is None:
            artifacts = step_context("loading a model without naming the artifacts").artifacts
        try:
            return artifacts.load(self.artifact, want)
        except CodecError as error:
            error.where = f"model {self.reference}" + (f", registered by run {self.run}" if self.run else "")
            # the spare gives the same predictions, as was proved when it was stored
            if self.spare is None:
                raise
            import logging  # late, as above

            kind = self.spare.summary.get("type")
            logging.getLogger("trikk.models").warning("%s: %s; its %s is used", error.where, error.what, kind)
            return artifacts.load(self.spare, want)


def as_version(value: object) -> ModelVersion | None:
    """The version that a ModelVersion or the dict of one is; None for anything else."""
    if isinstance(value, ModelVersion):
        return value
    if isinstance(value, Mapping) and {"name", "version", "artifact", "signature"} <= set(value):
        return ModelVersion.read(value)
    return None


def need_version(value: object, purpose: str) -> ModelVersion:
    """As `as_version`; raises UsageError, naming the purpose, if it is not one."""
    version = as_version(value)
    if version is None:
        raise UsageError(
            f"{purpose} takes a registered version, not a {type(value).__name__}",
            next="give what register_model returned, or a Model",
        )
    return version
