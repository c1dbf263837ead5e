"""Promotion by a rule: candidate and holder predict the same rows, the rule judges, and the alias moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from trikk.core.errors import Conflict, PredictionError, SignatureError, UsageError
from trikk.core.values import JSON
from trikk.models.calling.classifier import Gives
from trikk.models.calling.invoke import predictions
from trikk.models.calling.model_columns import Fitted, fitted_on
from trikk.models.metrics.by_name import check_fit, metric_of
from trikk.models.metrics.comparable import check_comparable, unseen_by_side, unseen_classes
from trikk.models.metrics.metric import Metric
from trikk.models.metrics.scoring import Score, score
from trikk.models.promotion_rule import BetterBy, decide
from trikk.models.register import refuse_dry
from trikk.models.registry import Registry
from trikk.models.signature import Signature
from trikk.models.state import Move
from trikk.models.task import Classes, class_text
from trikk.models.version import ModelVersion, need_version
from trikk.runs.context import StepContext, step_context
from trikk.storage.frames import lazy_of
from trikk.storage.row_batches import batches

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
    # a repeated attempt must not judge again: by now the candidate may hold the alias itself
    before = registry.decided(version.name, identity)
    if before is not None and before.decision is not None:  # an attempt before this one got that far
        return before.decision
    for _ in range(_TRIES):
        holder = registry.holder(version.name, alias, context.environment)
        if holder is not None and holder.version == version.version:
            return _same(version, alias, context)
        compared, promoted = compare(judged, version, holder, rows, target, context)
        guarded = (context.environment, alias) in registry.state(version.name).guarded
        outcome = (Outcome.PENDING if guarded else Outcome.PROMOTED) if promoted else Outcome.KEPT
        decision = {**_decision(outcome, str(compared["reason"]), version, alias, context), **compared}
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
        # somebody else moved it while the models predicted: the new holder is the one to beat
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
        UsageError: before anything is predicted, if the metric does not fit the task, or the two versions can't be
            compared by it (`check_comparable`).
        SignatureError: if the rows lack an input of either, or the target.
        PredictionError: if a model gives NaN, no row has a truth, or the truth has classes that the models do not
            know and the metric is made of their probabilities.
    """
    metric = metric_of(rule.metric, rule.better)
    sides = [_Side(version) for version in ([candidate] if holder is None else [candidate, holder])]
    together = _together(metric, [side.version for side in sides])
    for side in sides:
        side.load(context, sides[0].version.signature)
    truth, answers = predicted(sides, lazy_of(rows), target, probabilities=metric.of_probabilities)
    anyone = next((side.classes for side in sides if side.classes is not None), None)
    _refuse_unseen(metric, truth, together or anyone, target)
    scores = [
        _scored(metric, truth, answer, side, anyone, together) for answer, side in zip(answers, sides, strict=True)
    ]
    unseen, words = unseen_by_side(truth, {s.version.reference: s.classes for s in sides if s.classes is not None})
    against = scores[1] if holder is not None else None
    verdict = decide(rule, metric, scores[0], against, held_by=None if holder is None else holder.version)
    decision: dict[str, JSON] = {
        "reason": "; ".join([verdict.reason, *words]),
        "former": None if holder is None else holder.version,
        "metric": metric.name,
        "better": metric.better.value,  # stored: as a member it would be of this build's class
        "candidate": scores[0].value,
        "holder": None if against is None else against.value,
        "rows": scores[0].rows,
        "dropped": scores[0].dropped,
        "rule": {"better_by": rule.margin, "relative": rule.relative},
    }
    if anyone is not None:
        decision["unseen_classes"] = {**unseen}
    return decision, verdict.promote


class _Side:
    """A version that is compared.

    Attributes:
        version: the version.
        model: the fitted model, once it is loaded.
        known: what it says of itself.
        signature: what it is asked with; of a version that an older build has registered, that of a classifier if
            its model says the classes.
    """

    def __init__(self, version: ModelVersion) -> None:
        self.version = version
        self.signature = version.signature
        self.model: Any = None
        self.known = Fitted()

    @property
    def classes(self) -> Classes | None:
        """The classes that it tells apart; None if they are not known."""
        return None if self.signature is None else self.signature.classes

    def load(self, context: StepContext, newer: Signature | None) -> None:
        """Load the model."""
        self.model = self.version.load(context.artifacts)
        self.known = fitted_on(self.model)
        own, classes = self.signature, None if newer is None else newer.classes
        if own is None or newer is None or classes is None or own.task is not None:
            return
        stated = self.known.target
        if stated.values is None or {*map(class_text, stated.values)} != {*classes.texts}:
            return
        self.signature = replace(own, task=newer.task, classes=Classes(stated.values, classes.positive))
        if own.method == "predict":
            gives = stated.gives is not Gives.CLASSES
            self.signature = replace(self.signature, output=newer.output, probabilities=gives)


def _scored(
    metric: Metric,
    truth: pl.Series,
    predictions: pl.DataFrame,
    side: _Side,
    fallback: Classes | None,
    together: Classes | None,
) -> Score:
    """The score of one side, read by its own classes; by the other's where it does not know them."""
    try:
        return score(metric, truth, predictions, side.classes or fallback, together)
    except PredictionError as error:
        error.where = f"model {side.version.reference}"
        raise


def _together(metric: Metric, versions: Sequence[ModelVersion]) -> Classes | None:
    """The classes of all versions that are compared, if they differ.

    Raises:
        UsageError: if the metric does not fit one, or they can't be compared.
    """
    known = {
        v.reference: v.signature for v in versions if v.signature is not None and v.signature.task is not None
    }
    name = versions[0].name
    instead = f"look at both, and move the alias by hand: trikk models promote {name} VERSION"
    sides = {reference: (one.task, one.classes) for reference, one in known.items()}
    together = check_comparable(metric, sides, instead)
    for reference, signature in known.items() if together is None else ():
        try:
            check_fit(metric, signature.task, signature.classes)
        except UsageError as error:
            error.where = f"model {reference}"
            raise
    return together


def _refuse_unseen(metric: Metric, truth: pl.Series, classes: Classes | None, target: str) -> None:
    if classes is None or not metric.of_probabilities or not (unseen := unseen_classes(truth, classes)):
        return
    named = ", ".join(f"{text} ({count:,} rows)" for text, count in unseen.items())
    raise PredictionError(
        f"{target!r} has classes that the models do not know, so that {metric.name} has no probability of them: "
        f"{named}",
        next=f"fit the candidate on rows of all classes, or choose a metric of classes, such as "
        f"{'f1' if classes.positive is not None else 'f1_macro'}",
    )


def predicted(
    sides: Sequence[_Side], rows: pl.LazyFrame, target: str, *, probabilities: bool
) -> tuple[pl.Series, list[pl.DataFrame]]:
    """The truth, and each model's predictions, of exactly the same rows, which are read a batch at a time."""
    import polars as pl

    if target not in rows.collect_schema().names():
        raise SignatureError(
            f"the rows have no column {target!r} with the truth",
            field=target,
            next=f"there are: {', '.join(rows.collect_schema().names())}",
        )
    truths: list[pl.Series] = []
    by_side: list[list[pl.DataFrame]] = [[] for _ in sides]
    for batch in batches(rows):
        truths.append(batch[target])
        for side, into in zip(sides, by_side, strict=True):
            try:
                answers = predictions(side.model, batch, side.signature, known=side.known)
            except (SignatureError, PredictionError) as error:
                error.where = f"model {side.version.reference}"
                raise
            into.append(answers if probabilities else answers.select("value"))
    if not truths:
        raise UsageError("there are no rows to compare on", next="give rows that neither model was fitted on")
    return pl.concat(truths), [pl.concat(parts) for parts in by_side]


class Outcome(StrEnum):
    """What a promotion came to."""

    PROMOTED = "promoted"
    PENDING = "pending"
    """the alias requires approval: the move waits for it."""
    KEPT = "kept"
    """the candidate is not better."""
    SAME = "same"
    """the candidate holds the alias already."""


def _decision(
    outcome: Outcome, reason: str, version: ModelVersion, alias: str, context: StepContext
) -> dict[str, JSON]:
    return {
        "state": outcome.value,
        "reason": reason,
        "promoted": outcome is Outcome.PROMOTED,
        "model": version.name,
        "version": version.version,
        "alias": alias,
        "environment": context.environment,
    }


def _same(version: ModelVersion, alias: str, context: StepContext) -> dict[str, JSON]:
    reason = f"version {version.version} is {alias} already"
    return _decision(Outcome.SAME, reason, version, alias, context)


def _settled(move: Move | None, version: ModelVersion, alias: str, context: StepContext) -> dict[str, JSON]:
    return _same(version, alias, context) if move is None or move.decision is None else move.decision
