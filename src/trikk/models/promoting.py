"""`promote_if`: an alias moves to a version that a rule finds better than its holder."""

from __future__ import annotations

import functools
from typing import Any

from trikk.core.errors import DefinitionError
from trikk.core.names import step_name
from trikk.models.promotion_rule import BetterBy
from trikk.models.registering import check_given
from trikk.pipeline.location import caller
from trikk.pipeline.step import Step


def promote_if(
    rule: BetterBy,
    candidate: Any,
    *,
    rows: Any,
    target: str,
    alias: str = "champion",
    why: str = "",
    name: str | None = None,
    step: str | None = None,
    after: object = (),
) -> Any:
    """Move an alias to a version if it beats the holder on the same rows. A step in a pipeline's body.

    The first holder needs to beat nobody. Where the alias requires approval, the move waits for
    `trikk models approve NAME`.

    Args:
        rule: such as `better_by(0.02, metric="mae")`.
        candidate: what `register_model` returned, or a `Model`.
        rows: a frame or `Table` with the inputs of both versions and the truth; rows without a truth are left out.
        target: the column of the truth.
        alias: the alias.
        why: an addition to the reason that the rule gives.
        name: the step's name; "promote_if", "promote_if-2", ... if not given.
        step: the same, in older projects.
        after: steps that must be over before.

    Returns:
        In the run a dict: `state` ("promoted", "pending", "kept" or "same" where it is the holder), `promoted`,
        `reason`, `model`, `version`, `alias`, `environment`, and, where something was compared, `former`,
        `metric`, `candidate` and `holder` (their scores), `rows`, `dropped` and `rule`; of classifiers also
        `unseen_classes`: the classes that the truth has and a model does not know, as texts, with how many rows
        are of each. These count as wrong for it. The move's entry holds it too.

    Raises:
        UsageError: before anything is predicted, if the metric does not fit the task (the error names those that
            do), or the versions have no class in common, or another positive one of the same two.
        SignatureError: if the rows lack an input of either version, or the target.
        PredictionError: if a model gives NaN, no row has a truth, or the metric is made of probabilities and the
            truth has a class that neither model knows.
    """
    check_given("alias", alias)
    if not isinstance(rule, BetterBy):
        raise DefinitionError(f"{rule!r} is not a rule", where=caller(), next='use better_by(0.02, metric="mae")')
    placed = _step().options(name=step_name(name, step), after=after)
    return placed(rule.to_json(), candidate, rows, target=target, alias=alias, why=why)


@functools.cache
def _step() -> Step[..., Any]:
    from trikk.models.promote import promote

    return Step(promote, name="promote_if", effect=True)
