"""The gate: a step that checks rows, keeps what it found, and stops the run if something that matters failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trikk.core.errors import DefinitionError
from trikk.pipeline.location import caller, located
from trikk.pipeline.model_reference import Model
from trikk.pipeline.step import Step
from trikk.pipeline.symbols import Symbol
from trikk.pipeline.table_reference import Table
from trikk.pipeline.tracing import Trace, current, when
from trikk.quality.check import Check

NAME = "quality_gate"


def quality_gate(
    rows: Any,
    checks: object,
    *,
    name: str | None = None,
    sample: int = 5,
    allow_empty: bool = False,
    quarantine: Table | None = None,
    at_most: float = 1.0,
    after: object = (),
) -> Any:
    """Check rows; if a check that blocks fails, the run fails here.

    With a quarantine, the rows that fail a check of single rows that blocks are appended to that table with the
    reason, and the run goes on with the others: `good, rejected, result = quality_gate(..., quarantine=...)`.

    In a pipeline's body it is a step, and what stands below it and uses these rows, or anything made from them,
    waits for it. Its result and an HTML report are kept whatever the verdict. Outside of a pipeline it checks now.

    Args:
        rows: a `Table`, the output of a step (a frame or a list of frames), or outside of a pipeline a frame.
        checks: a list of checks, Pandera schemas and Great Expectations suites, or one of them.
        name: the step's name; "quality_gate", "quality_gate-2", ... if not given.
        sample: how many failing rows of each check are kept; 0 keeps no value of any row.
        allow_empty: whether checks of rows pass where there are no rows, and a quarantine may leave none.
        quarantine: the table that bad rows go to: `at`, `run`, `pipeline`, `gate`, `reason` (the checks' names)
            and `row` (JSON text). Outside of a pipeline they are returned only.
        at_most: the share of the rows, 0 to 1, that may be set aside; if there are more, the gate blocks.
        after: steps that must be over before.

    Returns:
        In the run a dict: `verdict` ("passed", "warned" or "blocked"), `passed` (nothing blocks), `warned`, `rows`
        (their number), and `checks`, a list of dicts with `name`, `kind`, `columns`, `severity`, `passed`, `ran`,
        `expected`, `observed`, `failing`, `share` (of the rows, 0 to 1) and `sample` (a list of rows). With a
        quarantine a tuple of `good` (the other rows, as the kind of frame that was given), `rejected` (rows of the
        quarantine) and `result`, that dict with `set_aside`, the number of rejected rows.

    Raises:
        DefinitionError: if there is no check, or something else is given as one.
        GateBlocked: if a check that blocks failed or could not run.
        StorageError: if the rows can't be read at all; another attempt may go better.
        MissingExtra: if a library that a check needs is not installed.
    """
    wanted = _checks(checks)
    _check_sample(sample)
    _check_quarantine(quarantine, at_most)
    trace = current()
    step = _step(wanted, name or (_free(trace) if trace else NAME), quarantine)
    options: dict[str, Any] = {"sample": sample, "allow_empty": allow_empty}
    options |= {} if quarantine is None else {"at_most": at_most}
    given = [_with_categories(check).to_json() for check in wanted]
    result = step.options(name=name, after=after)(rows, given, **options)
    if trace is not None:
        _hold(trace, result, quarantine)
    return result


def _step(checks: Sequence[Check], name: str, quarantine: Table | None) -> Step[..., Any]:
    from trikk.quality.gate_step import gate_step  # late: it needs polars

    return located(gate_step, [check.what for check in checks], name, sorts=quarantine is not None)


def _hold(trace: Trace, result: Any, quarantine: Table | None) -> None:
    """Let what stands below and uses the rows wait for the gate, and append those that are set aside."""
    # After the gate's own node is recorded: it holds back what comes below it.
    trace.hold("rows", replaced=quarantine is not None)
    if quarantine is not None:
        # No empty version of the quarantine each night in which all rows are good.
        with when(result.result["set_aside"] > 0):
            quarantine.append(result.rejected, schema_mode="merge")  # `predict` may share it


def _check_sample(sample: object) -> None:
    if not isinstance(sample, int) or isinstance(sample, bool) or sample < 0:
        raise DefinitionError(f"sample={sample!r}", where=caller(), next="give a number of rows, 0 for none")


def _with_categories(check: Check) -> Check:
    """The check with what its model was fitted on in the place of the model, which a step looks up."""
    from trikk.quality.checks.training_checks import SeenInTraining

    if not isinstance(check, SeenInTraining) or not isinstance(check.model, Model):
        return check
    from trikk.models.calling.trained_categories import known_categories

    step: Step[..., Any] = Step(known_categories, name="categories")
    return replace(check, model=step(check.model))


def _check_quarantine(quarantine: object, at_most: object) -> None:
    if quarantine is not None and not isinstance(quarantine, Table):
        raise DefinitionError(
            f"quarantine={quarantine!r}", where=caller(), next='give a table: quarantine=Table("rejected")'
        )
    is_share = isinstance(at_most, int | float) and not isinstance(at_most, bool) and 0 <= at_most <= 1
    if not is_share and not isinstance(at_most, Symbol):
        raise DefinitionError(f"at_most={at_most!r}", where=caller(), next="give a share of the rows, 0 to 1")
    if quarantine is None and (isinstance(at_most, Symbol) or at_most != 1):
        raise DefinitionError(
            "at_most= is for a gate with a quarantine", where=caller(), next='add quarantine=Table("rejected")'
        )


def _checks(checks: object) -> list[Check]:
    # A dict, such as a suite's JSON, is iterable as well, and is one check.
    one = isinstance(checks, Check | Mapping | str | type) or not isinstance(checks, Iterable)
    listed = [_check_of(item) for item in ([checks] if one else checks)]  # type: ignore[attr-defined]
    if not listed:
        raise DefinitionError(
            "a gate has no checks", where=caller(), next='give some: quality_gate(rows, [not_null("id")])'
        )
    return listed


def _check_of(value: object) -> Check:
    """A check from what an author may put into a gate's list, known without importing the library it is from."""
    from trikk.quality.foreign.with_expectations import expectations
    from trikk.quality.foreign.with_pandera import pandera_schema

    if isinstance(value, Check):
        return value
    module = (value.__module__ if isinstance(value, type) else type(value).__module__).partition(".")[0]
    bases = value.__mro__ if isinstance(value, type) else ()
    if module == "pandera" or any(base.__module__.startswith("pandera.") for base in bases):
        return pandera_schema(value)
    if hasattr(value, "to_json_dict") and hasattr(value, "expectations"):
        return expectations(value)
    if isinstance(value, Mapping) and "expectations" in value:
        return expectations(value)
    raise DefinitionError(
        f"{value!r} is not a check",
        where=caller(),
        next='give checks such as not_null("id"), a Pandera schema or a Great Expectations suite',
    )


def _free(trace: Trace) -> str:
    """The first of quality_gate, quality_gate-2, ... that no step has."""
    names = {node.name for node in trace.nodes}
    number = 1
    while (name := NAME if number == 1 else f"{NAME}-{number}") in names:
        number += 1
    return name
