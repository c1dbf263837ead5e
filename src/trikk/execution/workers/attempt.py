"""One attempt of one step: load its arguments, call the author's function, store what it returns.

The same code runs in a forked process, a fresh interpreter, a test, and wherever else a `StepCall` travels.
Nothing that it leaves half-done is visible: artifacts appear whole, a table write is one commit.
"""

from __future__ import annotations

import importlib
import numbers
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from trikk.core.errors import PermanentError, TrikkError
from trikk.core.network.masking import hide
from trikk.core.values import JSON, decode
from trikk.execution.code.loading import Loaded
from trikk.execution.step_messages import StepCall, StepResult, failure
from trikk.execution.workers.mlflow_local import local_mlflow
from trikk.execution.workers.seeding import seed_everything
from trikk.execution.workers.traces import class_of, own_line, own_traceback, text_of
from trikk.pipeline import typechecks
from trikk.pipeline.graph import ParameterSpec
from trikk.pipeline.step import Step
from trikk.runs.context import StepContext, entered
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts

if TYPE_CHECKING:
    from trikk.telemetry.step_tracing import StepTracer


@dataclass(slots=True)
class Workplace:
    """What a worker needs besides the call: the author's code and where artifacts, tables and the journal live.

    Attributes:
        loaded: the author's pipelines.
        artifacts: the store's values.
        tables: the project's tables, whose libraries are imported only if a step uses one.
        journal: the project's journal, opened only if a step writes something down.
        root: the project's folder.
        state_dir: the project's `.trikk`.
        environment: the environment's name.
        tracer: what the step's process traces it with; None if nothing is traced.
    """

    loaded: Loaded
    artifacts: Artifacts
    tables: Any
    journal: Any
    root: Path
    state_dir: Path
    environment: str = "main"
    tracer: StepTracer | None = None


_FRAMES = ("polars.DataFrame", "polars.LazyFrame")
_OF_DAMAGED_FILES = {"ComputeError", "InvalidOperationError", "PanicException", "ArrowInvalid", "OSError"}


def run_call(call: StepCall, place: Workplace) -> StepResult:
    """Do one attempt; whatever the author's code raises becomes a result."""
    began = time.monotonic()
    try:
        result = _write(call, place) if call.write is not None else _call(call, *_step(call, place), place)
    except _Failed as failed:
        return failed.result
    return replace(result, seconds=time.monotonic() - began)


def _step(call: StepCall, place: Workplace) -> tuple[Step[..., Any], dict[str, ParameterSpec]]:
    """The step of a call, and the parameters of its pipeline."""
    if call.ready_made:
        module, _, name = call.ready_made.partition(":")
        ready_made: Step[..., Any] = getattr(importlib.import_module(module), name)
        return ready_made, {}
    pipeline = place.loaded.pipeline(call.pipeline)
    step = pipeline.steps[call.step]
    assert step is not None
    return step, {s.name: s for s in pipeline.graph.parameters}


class _Failed(Exception):
    """Carries a failed result out of the functions below."""

    def __init__(self, result: StepResult) -> None:
        self.result = result


def _call(
    call: StepCall, step: Step[..., Any], specs: Mapping[str, ParameterSpec], place: Workplace
) -> StepResult:
    """What the step has made, and what it says of itself."""
    began = time.monotonic()
    arguments: dict[str, Any] = {}
    for name, argument in call.arguments.items():
        wanted = step.annotation_of(name)
        try:
            arguments[name] = load_argument(argument, wanted, place, specs)
        except Exception as error:
            cause = _cause(error, call, place)
            raise _Failed(raised("loaded", cause, call, place, f"argument {name!r} can't be loaded: ")) from error
    loaded = time.monotonic()
    seed_everything(call.seed)
    try:
        context = _context(call, place)
        with entered(context), local_mlflow(context):
            value = step.function(**arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a library's panic, too
        raise _Failed(raised("raised", _cause(error, call, place), call, place)) from error
    ready_made = step.function.__module__.partition(".")[0] == __name__.partition(".")[0]
    note = (
        hide(context.notes[-1]) if context.notes and ready_made else ""
    )  # of an author's own step its result is shown
    worked = time.monotonic()
    outputs = _store(value, call, step, place)
    return StepResult(outputs, note=note, loading=loaded - began, storing=time.monotonic() - worked)


def _cause(error: BaseException, call: StepCall, place: Workplace) -> BaseException:
    """The damaged file over which a library has stumbled that reads a table of the step; else the error itself."""
    if type(error).__name__ not in _OF_DAMAGED_FILES:
        return error
    for argument in call.arguments.values():
        if argument.get("table") and argument["version"] is not None:
            for damage in place.tables.damage(argument["table"], {argument["version"]}):
                return damage  # type: ignore[no-any-return]
    return error


def _context(call: StepCall, place: Workplace) -> StepContext:
    return StepContext(
        run=call.acts_as or call.run,
        recorded_in=call.run,
        pipeline=call.pipeline,
        step=call.step,
        item=call.item,
        attempt=call.attempt,
        dry=call.dry,
        moment=call.moment,
        as_of=call.as_of,
        environment=place.environment,
        root=place.root,
        state_dir=place.state_dir,
        artifacts=place.artifacts,
        tables=place.tables,
        journal=place.journal,
        given={
            name: Artifact.read(argument["artifact"])
            for name, argument in call.arguments.items()
            if "artifact" in argument and not argument["path"]
        },
    )


def load_argument(
    argument: Mapping[str, Any], wanted: object, place: Workplace, specs: Mapping[str, ParameterSpec]
) -> Any:
    """The real value of one argument of a call.

    Args:
        argument: as `trikk.execution.step_messages` describes.
        wanted: the annotation of the function's parameter, which decides what kind of frame a frame arrives as.
        place: where artifacts and tables are.
        specs: the pipeline's parameters.

    Raises:
        StorageError: if an artifact or table can't be read.
    """
    from trikk.storage.frames import arriving

    if "parameter" in argument:
        return specs[argument["parameter"]].kind.from_json(argument["value"])
    if "value" in argument:
        return decode(argument["value"])
    if "model" in argument:
        return _model(argument["model"], wanted, place)
    return arriving(_rows_or_result(argument, wanted, place, specs), wanted)


def _rows_or_result(
    argument: Mapping[str, Any], wanted: object, place: Workplace, specs: Mapping[str, ParameterSpec]
) -> Any:
    """What a table, earlier steps or a list or dict of these give, read as `wanted` where that is cheaper."""
    from trikk.storage.frames import item_annotations

    if "table" in argument:
        writes = [_write_of(w, place) for w in argument["writes"]]
        return place.tables.view(argument["table"], argument["version"], writes)
    if "artifact" in argument:
        artifact, path = place.artifacts.inside(Artifact.read(argument["artifact"]), argument["path"])
        value = place.artifacts.load(artifact, None if argument["path"] else wanted)
        for key in path:
            value = value[key]
        return value
    items = argument.get("items") or [{"artifact": a, "path": []} for a in argument.get("artifacts", ())]
    keys = argument.get("keys")
    wants = item_annotations(wanted, len(items), keys)
    values = [load_argument(item, want, place, specs) for item, want in zip(items, wants, strict=True)]
    if "artifacts" in argument or argument.get("tuple"):
        return tuple(values)
    return values if keys is None else dict(zip(keys, values, strict=True))


def _model(version: Mapping[str, Any] | None, wanted: object, place: Workplace) -> Any:
    """A registered version where the annotation asks for one, else the model itself; None if there is none."""
    if version is None:
        return None
    from trikk.models.version import ModelVersion

    registered = ModelVersion.read(version)
    return registered if typechecks.names(wanted, ModelVersion) else registered.load(place.artifacts, wanted)


def _write_of(write: Mapping[str, Any], place: Workplace) -> Any:
    import polars as pl

    from trikk.storage.tables.table_write import Write

    frame = place.artifacts.load(Artifact.read(write["artifact"]), pl.LazyFrame)
    return Write(write["mode"], frame, key=tuple(write["key"]), schema_mode=write["schema_mode"])


def _write(call: StepCall, place: Workplace) -> StepResult:
    """Commit the rows once, however often this is tried; the rows themselves stay an artifact of the run."""
    from trikk.storage.frames import rows_of
    from trikk.storage.tables.types import storable

    assert call.write is not None
    began = time.monotonic()
    name = str(call.write["table"])
    try:
        given = rows_of(load_argument(call.arguments["rows"], Any, place, {}))
        loaded = time.monotonic()
        nothing = not given.width and place.tables.version(name) is None
        frame = storable(given) if given.width else given
        kept = _kept(call.arguments["rows"]) if frame is given else None
        rows = kept or place.artifacts.save(frame)
        committed: dict[str, JSON] = {"table": name, "rows": rows.summary.get("rows"), "dry": call.dry}
        if not call.dry and not nothing:
            commit = _commit(call, call.write, frame, rows.digest, place)
            committed |= {"version": commit.version, "rows": commit.rows, "repeated": commit.repeated}
    except Exception as error:
        raise _Failed(raised("stored", error, call, place, f"table {name} can't be written: ")) from error
    return StepResult([rows], write=committed, loading=loaded - began, storing=time.monotonic() - loaded)


def _kept(argument: Mapping[str, Any]) -> Artifact | None:
    """The artifact of a write's rows where they are a step's whole result: saved again it would be the same."""
    result = Artifact.read(argument["artifact"]) if "artifact" in argument and not argument["path"] else None
    if result is None or result.codec != "arrow" or result.summary["type"] not in _FRAMES:
        return None
    return Artifact(result.digest, result.codec, result.size, {**result.summary, "type": _FRAMES[0]})


def _commit(call: StepCall, to: Mapping[str, Any], frame: Any, digest: str, place: Workplace) -> Any:
    """Make the write, or find it made; rows that are not those it was made with are a failure, not a success."""
    from trikk.storage.positions import Advance
    from trikk.storage.tables.table_write import Write

    given = load_argument(call.arguments["positions"], Any, place, {}) if "positions" in call.arguments else []
    positions = tuple(Advance(*advance) for advances in given for advance in advances)
    write = Write(to["mode"], frame, tuple(to["key"]), to["schema_mode"], positions)
    origin = {"run": call.run, "step": call.step, "pipeline": call.pipeline, "digest": digest}
    commit = place.tables.write(str(to["table"]), write, identity=call.identity, origin=origin)
    if commit.repeated and commit.digest not in (None, digest):
        raise PermanentError(
            f"this step of this run has already written other rows to it, in version {commit.version}",
            next="they stay; start a new run to write the present rows",
        )
    return commit


def _store(value: Any, call: StepCall, step: Step[..., Any], place: Workplace) -> list[Artifact]:
    returned = step.types.get("return", Any)
    if isinstance(returned, str):
        returned = Any
    if not typechecks.fits(value, returned):
        shown, returned_type = typechecks.show(returned), typechecks.show(type(value))
        message = f"returned {returned_type} where {shown} is declared"
        raise _Failed(failure("returned", message, retryable=False, type="TypeError"))
    parts, _ = typechecks.tuple_parts(returned)
    values = list(value) if call.outputs is not None else [value]
    kinds = list(parts) if call.outputs is not None else [returned]
    try:
        return [place.artifacts.save(_plain(v, k)) for v, k in zip(values, kinds, strict=True)]
    except Exception as error:
        raise _Failed(raised("stored", error, call, place, "what it returned can't be stored: ")) from error


def _plain(value: Any, kind: object) -> Any:
    """A numpy number where a plain one is declared becomes a plain one."""
    if kind is int and isinstance(value, numbers.Integral):
        return int(value)
    if kind is float and isinstance(value, numbers.Real):
        return float(value)
    return value


def raised(kind: str, error: BaseException, call: StepCall, place: Workplace, prefix: str = "") -> StepResult:
    """The failure that an exception is, of a kind as in `StepResult.error`; `prefix` goes before its text."""
    return failure(
        kind,
        hide(prefix + text_of(error)),
        type=class_of(error),
        traceback=hide(own_traceback(error, place.loaded.folder)),
        retryable=_retryable(error, call.on),
        where=own_line(error, place.loaded.folder) or _called_at(call, place),
    )


def _called_at(call: StepCall, place: Workplace) -> str:
    """Where the pipeline calls the step, which is the author's line of a ready-made one."""
    pipeline = place.loaded.pipelines.get(call.pipeline)
    where = pipeline.graph.nodes[call.step].where if pipeline is not None else ""
    return where.removeprefix(f"{place.loaded.folder}{os.sep}")


def _retryable(error: BaseException, on: list[str] | None) -> bool:
    if isinstance(error, PermanentError) or on is None:
        return False
    if isinstance(error, TrikkError) and error.exit_code == 2:
        return False
    names = {f"{c.__module__}.{c.__qualname__}" for c in type(error).__mro__}
    return bool(names & set(on))
