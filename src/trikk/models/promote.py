"""Promotion by a rule: candidate and holder predict the same rows, the rule judges, and the alias moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trikk.core.errors import Conflict, SignatureError, UsageError
from trikk.core.values import JSON
from trikk.models.columns import fitted_on
from trikk.models.invoke import predict_values
from trikk.models.metrics import Score, metric_of, score
from trikk.models.register import refuse_dry
from trikk.models.registry import Registry
from trikk.models.rule import BetterBy, decide
from trikk.models.state import Move
from trikk.models.version import ModelVersion, need_version
from trikk.runs.context import StepContext, step_context
from trikk.storage.batches import batches
from trikk.storage.frames import lazy_of

if TYPE_CHECKING:
    import polars as pl

_TRIES = 5


def promote(
    rule: Mapping[str, Any],
    candidate: ModelVersion | Any,
    rows: Any,
    *,
    target: str,
    alias: str = "champion",
    why: str = "",
) -> dict[str, Any]:
    """Move an alias to a version if a rule allows it; see `trikk.promote_if`."""
    context = step_context("promote_if")
    version = need_version(candidate, "promote_if")
    refuse_dry(context, f"{version.name}@{alias} is not moved")
    decision = _decided(rule, version, rows, target, alias, why, context)
    context.notes.append(f"{version.reference} {decision['state']}: {decision['reason']}")
    return decision


def _decided(
    rule: Mapping[str, Any],
    version: ModelVersion,
    rows: Any,
    target: str,
    alias: str,
    why: str,
    context: StepContext,
) -> dict[str, Any]:
    """Judge and move, anew with the new holder where somebody else has moved the alias meanwhile."""
    judged = BetterBy.read(rule)
    registry = Registry(context.journal)
    identity = f"{context.identity}/{alias}/{version.version}"
    before = registry.decided(version.name, identity)
    if before is not None and before.decision is not None:  # an attempt before this one got that far
        return before.decision
    for _ in range(_TRIES):
        holder = registry.holder(version.name, alias, context.environment)
        if holder is not None and holder.version == version.version:
            return _same(version, alias, context)
        compared, promoted = compare(judged, version, holder, rows, target, context)
        guarded = (context.environment, alias) in registry.state(version.name).guarded
        state = ("pending" if guarded else "promoted") if promoted else "kept"
        decision = {**_decision(state, str(compared["reason"]), version, alias, context), **compared}
        if not promoted:
            return decision
        try:
            move = registry.move(
                version.name,
                alias,
                version.version,
                context.environment,
                by=f"run {context.run}",
                why=f"{why}: {decision['reason']}" if why else str(decision["reason"]),
                at=context.time(),
                identity=identity,
                decision=decision,
                expected=(None if holder is None else holder.version,),
                guarded=guarded,
            )
        except Conflict:
            continue
        return _settled(move, version, alias, context)
    raise Conflict(f"{version.name}@{alias} is being moved by others", next="try again")


def compare(
    rule: BetterBy,
    candidate: ModelVersion,
    holder: ModelVersion | None,
    rows: Any,
    target: str,
    context: StepContext,
) -> tuple[dict[str, JSON], bool]:
    """Score both versions on the same rows and judge; the decision as JSON, and whether to promote.

    Raises:
        SignatureError: if the rows lack an input of either, or the target.
        PredictionError: if a model gives NaN, or no row has a truth.
    """
    metric = metric_of(rule.metric, rule.better)
    versions = [candidate] if holder is None else [candidate, holder]
    models = [(version, version.load(context.artifacts)) for version in versions]
    truth, values = predicted(models, lazy_of(rows), target)
    scores: list[Score] = [score(metric, truth, value) for value in values]
    against = scores[1] if holder is not None else None
    verdict = decide(rule, metric, scores[0], against, held_by=None if holder is None else holder.version)
    found: dict[str, JSON] = {
        "reason": verdict.reason,
        "former": None if holder is None else holder.version,
        "metric": metric.name,
        "better": metric.better,
        "candidate": scores[0].value,
        "holder": None if against is None else against.value,
        "rows": scores[0].rows,
        "dropped": scores[0].dropped,
        "rule": {"better_by": rule.margin, "relative": rule.relative},
    }
    return found, verdict.promote


def predicted(
    models: list[tuple[ModelVersion, Any]], rows: pl.LazyFrame, target: str
) -> tuple[pl.Series, list[pl.Series]]:
    """The truth, and each model's values, of exactly the same rows; a batch of rows is in memory at a time."""
    import polars as pl

    if target not in rows.collect_schema().names():
        raise SignatureError(
            f"the rows have no column {target!r} with the truth",
            field=target,
            next=f"there are: {', '.join(rows.collect_schema().names())}",
        )
    known = [fitted_on(model) for _, model in models]
    truths: list[pl.Series] = []
    values: list[list[pl.Series]] = [[] for _ in models]
    for batch in batches(rows):
        truths.append(batch[target])
        for (version, model), about, into in zip(models, known, values, strict=True):
            try:
                into.append(predict_values(model, batch, version.signature, known=about))
            except SignatureError as error:
                error.where = f"model {version.reference}"
                raise
    if not truths:
        raise UsageError("there are no rows to compare on", next="give rows that neither model was fitted on")
    return pl.concat(truths), [pl.concat(parts) for parts in values]


def _decision(state: str, reason: str, version: ModelVersion, alias: str, context: StepContext) -> dict[str, JSON]:
    return {
        "state": state,
        "reason": reason,
        "promoted": state == "promoted",
        "model": version.name,
        "version": version.version,
        "alias": alias,
        "environment": context.environment,
    }


def _same(version: ModelVersion, alias: str, context: StepContext) -> dict[str, JSON]:
    return _decision("same", f"version {version.version} is {alias} already", version, alias, context)


def _settled(move: Move | None, version: ModelVersion, alias: str, context: StepContext) -> dict[str, JSON]:
    return _same(version, alias, context) if move is None or move.decision is None else move.decision
