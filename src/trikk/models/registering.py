"""`register_model`: a fitted model becomes the next version of a name."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from trikk.core.errors import DefinitionError
from trikk.core.names import check_name
from trikk.pipeline.location import caller, defining
from trikk.pipeline.step import Step
from trikk.pipeline.symbols import Symbol
from trikk.pipeline.tracing import current


def register_model(
    model: Any,
    name: str,
    *,
    inputs: Any = None,
    metrics: Any = None,
    description: str = "",
    nullable: Sequence[str] = (),
    method: str = "predict",
    task: str | None = None,
    positive: Any = None,
    classes: Sequence[Any] | None = None,
    step: str | None = None,
    after: object = (),
) -> Any:
    """Register a fitted model as the next version (1, 2, ...) of a name. A step in a pipeline's body.

    The version names the model's artifact, the run and its code, parameters and data versions, the metrics and the
    signature, and never changes. A repeated or resumed step gets the version that it made before; a replay
    registers nothing.

    Args:
        model: anything with predict, or a function of a polars frame; an output of a step.
        name: the model's name.
        inputs: rows that the model was fitted on (a frame of any kind); the signature is inferred from them, by
            letting the model predict some. If the model was fitted on names, other columns are left out. Without
            rows the version has no signature, and nothing checks what it is given.
        metrics: finite numbers by name.
        description: in your words.
        nullable: inputs that may be missing in a row although none is in these.
        method: "predict"; or "predict_proba" where the value of a prediction shall be the probability of the
            positive class, and nothing else comes with it.
        task: "regression", "binary" or "multiclass", where the model does not say.
        positive: of two classes the one that `probability`, precision and recall are about; needed unless they are
            false and true, or 0 and 1.
        classes: the classes in the order of the model's probabilities, where it does not say them: texts, whole
            numbers or truth values. A model of the numbers 0, 1, 2, ... of encoded classes gets their names so.
        step: the step's name; "register_model", "register_model-2", ... if not given.
        after: steps that must be over before.

    Returns:
        In the run the version as a dict (`ModelVersion.to_json`); what takes a version takes this dict.

    Raises:
        UsageError: if a metric is not a finite number, there is but one class, nobody says which of two is the
            positive one, or this is called outside of a run.
        SignatureError: if `inputs` are not what the model was fitted on, or `task` or `classes` not the model's.
        PredictionError: if the model can't predict these rows, gives NaN for them, a class that is not one of its
            classes, or probabilities that are outside of 0 to 1 or together not 1.
        CodecError: if the model can't be stored.
    """
    check_given("model", name)
    about = {"inputs": inputs, "metrics": metrics, "description": description, "nullable": plain_names(nullable)}
    about |= {"method": _method(method), **_task(task, positive, classes)}
    if current() is None:
        from trikk.models.register import register

        return register(model, name, **about)
    return _step().options(name=step, after=after)(model, name, **about)


@functools.cache
def _step() -> Step[..., Any]:
    from trikk.models.register import register_given

    return Step(register_given, name="register_model", effect=True)


def _method(method: str) -> str:
    if method not in ("predict", "predict_proba"):
        raise DefinitionError(f"method={method!r}", where=caller(), next='use "predict" or "predict_proba"')
    return method


def _task(task: object, positive: Any, classes: Any) -> dict[str, Any]:
    """What is said of a task, as JSON has it; nothing where nothing is said, as in steps of older builds."""
    from trikk.models.task import Task

    if task is not None and not isinstance(task, Symbol) and task not in [*Task]:
        raise DefinitionError(f"task={task!r}", where=caller(), next=f"use one of {', '.join(Task)}")
    if classes is not None and not isinstance(classes, Symbol):
        classes = [one.item() if hasattr(one, "item") else one for one in classes]
    if hasattr(positive, "item"):  # numpy's own
        positive = positive.item()
    said = {"task": str(task) if isinstance(task, Task) else task, "positive": positive, "classes": classes}
    return {name: value for name, value in said.items() if value is not None}


def plain_names(names: object) -> object:
    """Names as JSON has them; a stand-in for names stays one."""
    return list(names) if isinstance(names, tuple) else names


def check_given(kind: str, name: object) -> None:
    """Refuse what can't be a name; DefinitionError with the author's place."""
    if isinstance(name, Symbol):  # a parameter; the registry looks at its value
        return
    with defining():
        check_name(kind, name)
