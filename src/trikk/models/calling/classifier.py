"""What a model says of its task: its classes, and how it gives the class of a row and the probabilities.

Every library has its own way. A booster gives probabilities where an estimator gives classes; most estimators say
the likeliest class, but one with a tuned threshold, or a support vector machine, does not.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from trikk.core.errors import SignatureError
from trikk.models.calling.libraries import is_of, is_session
from trikk.models.task import Classes, Task, class_text


class Gives(StrEnum):
    """How a model gives classes and probabilities."""

    CLASSES = "classes"
    """predict gives the class, or the number of its place, and nothing gives probabilities."""
    BOTH = "both"
    """predict gives the class, predict_proba the probabilities: a call each."""
    LIKELIEST = "likeliest"
    """predict_proba gives both, since predict is known to say the likeliest class."""
    PROBABILITIES = "probabilities"
    """predict gives probabilities: that of the second of two classes, or of each. The likeliest is the class."""
    SESSION = "session"
    """one run gives classes and probabilities."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a model says.

    Attributes:
        task: None if it does not say.
        values: the classes in the order of its probabilities, as plain values; None if it does not say.
        gives: how it gives them.
        several: whether it gives several values for a row.
    """

    task: Task | None = None
    values: tuple[Any, ...] | None = None
    gives: Gives = Gives.CLASSES
    several: bool = False


_LIKELIEST = {  # the classes of libraries whose predict is the argmax of their predict_proba, but for ties
    "ForestClassifier",
    "HistGradientBoostingClassifier",
    "GradientBoostingClassifier",
    "BaggingClassifier",
    "BaseDecisionTree",
    "DecisionTreeClassifier",
    "LinearClassifierMixin",
    "LogisticRegression",
    "LGBMClassifier",
    "XGBClassifier",
}
_NUMBERS = ("regression", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie")
_XGBOOST_NUMBERS = ("reg:", "count:", "survival:")


def stated_by(model: Any) -> Stated:
    """What a model says of its task and classes; nothing, where it does not know."""
    if is_of(model, "lightgbm", "Booster"):
        return _of_lightgbm(str(model.dump_model(num_iteration=1).get("objective", "")))
    if is_of(model, "xgboost", "Booster"):
        return _of_xgboost(json.loads(model.save_config())["learner"])
    return _of_session(model.get_outputs()) if is_session(model) else _of_estimator(model)


def _of_lightgbm(objective: str) -> Stated:
    name, *parameters = objective.split()
    if name == "binary":
        return Stated(Task.BINARY, (0, 1), Gives.PROBABILITIES)
    if name in ("multiclass", "multiclassova"):
        count = next(int(one.partition(":")[2]) for one in parameters if one.startswith("num_class:"))
        return _numbered(count, Gives.PROBABILITIES)
    return Stated(Task.REGRESSION) if name.startswith(_NUMBERS) else Stated()


def _of_xgboost(learner: Any) -> Stated:
    name = learner["objective"]["name"]
    count = int(learner["learner_model_param"]["num_class"])
    if name in ("multi:softprob", "multi:softmax"):
        return _numbered(count, Gives.PROBABILITIES if name == "multi:softprob" else Gives.CLASSES)
    if name in ("binary:logistic", "binary:hinge"):
        return Stated(Task.BINARY, (0, 1), Gives.PROBABILITIES if name == "binary:logistic" else Gives.CLASSES)
    return Stated(Task.REGRESSION) if name.startswith(_XGBOOST_NUMBERS) else Stated()


def _numbered(count: int, gives: Gives) -> Stated:
    return Stated(Task.BINARY if count == 2 else Task.MULTICLASS, tuple(range(count)), gives)


def _of_session(outputs: Any) -> Stated:
    """Labels and probabilities, as converters of classifiers have it; which classes, a run may say."""
    if len(outputs) < 2 or outputs[0].type not in ("tensor(int64)", "tensor(string)"):
        return Stated()
    second = outputs[1]
    matrix = second.type == "tensor(float)" and second.shape[-1:] != [1]  # one column is a score
    return Stated(gives=Gives.SESSION) if matrix or second.type.startswith("seq(map(") else Stated()


def _of_estimator(model: Any) -> Stated:
    classes = _attribute(model, "classes_")
    values = tuple(plain_values(classes)) if isinstance(classes, Iterable) else ()
    likely = callable(_attribute(model, "predict_proba"))
    if is_of(model, "catboost") and not likely:  # it has classes, and gives numbers all the same
        values = ()
    if any(isinstance(value, list | tuple) or getattr(value, "ndim", 0) for value in values):
        return Stated(several=True)
    gives = Gives.BOTH if likely else Gives.CLASSES
    if values:
        if likely and _says_likeliest(model):
            gives = Gives.LIKELIEST
        return Stated(Task.MULTICLASS if len(values) > 2 else Task.BINARY, values, gives)
    kind = _kind(model)
    if kind == "outlier_detector":
        return Stated(Task.BINARY, (-1, 1))
    return Stated(Task.REGRESSION) if kind == "regressor" else Stated(gives=gives)


def _attribute(model: Any, name: str) -> Any:
    """What a model has under a name; None where it does not, or not yet."""
    with contextlib.suppress(Exception):  # each library has an error of its own for "not fitted"
        return getattr(model, name, None)
    return None


def _kind(model: Any) -> str | None:
    """scikit-learn's word for what an estimator is; None for what is none, or says nothing."""
    stated = _attribute(model, "_estimator_type")
    if stated is None:
        with contextlib.suppress(Exception):  # its tags are asked of all that it holds
            stated = model.__sklearn_tags__().estimator_type
    return None if stated is None else str(stated)


def _says_likeliest(model: Any) -> bool:
    """Whether predict says the likeliest class: asked of the estimator at the end of pipelines and searches."""
    while is_of(model, "sklearn"):
        inner = getattr(model, "best_estimator_", None)
        if inner is None and getattr(model, "steps", None):
            inner = model.steps[-1][1]
        if inner is None:
            break
        model = inner
    owners = {
        next((base for base in type(model).__mro__ if method in vars(base)), object)
        for method in ("predict", "predict_proba")
    }
    return all(
        owner.__name__ in _LIKELIEST and owner.__module__.partition(".")[0] in ("sklearn", "lightgbm", "xgboost")
        for owner in owners
    )


def classes_of(
    stated: Stated,
    *,
    task: Task | None = None,
    classes: Sequence[Any] | None = None,
    positive: Any = None,
    guessed: Sequence[Any] | None = None,
) -> Classes | None:
    """The classes of a model: those that it states, or that its author says; None if it is not a classifier.

    Args:
        stated: what the model says.
        task: what the author says.
        classes: what the author says, in the order of its probabilities. Where the model has numbers 0, 1, 2, ...
            of encoded classes, these are their names.
        positive: what the author says.
        guessed: classes that its answers show, where nobody says them.

    Raises:
        SignatureError: if model and author contradict each other, the model gives several values for a row, or the
            classes are needed and not known.
        UsageError: if they can't be classes, or which of two is positive is not known.
    """
    if stated.several:
        raise SignatureError(
            "the model gives several values for a row (it has several outputs, or several labels at once)",
            next="register a model for each of them",
        )
    wanted = (task is not None and task.has_classes) or classes is not None or positive is not None
    if task is Task.REGRESSION and wanted:
        raise SignatureError("a regression has no classes", next="leave out classes= and positive=, or the task")
    if stated.task is Task.REGRESSION and wanted:
        raise SignatureError(
            "the model predicts numbers, no classes", next="leave out task=, classes= and positive="
        )
    values = _values(stated, classes) or guessed
    if values is None:
        if not wanted and stated.gives is not Gives.SESSION:
            return None
        raise SignatureError(
            "the model does not say what its classes are",
            next="say so, in the order of its probabilities: classes=[...]",
        )
    result = Classes(tuple(values), positive)
    if task is not None and task is not result.task:
        raise SignatureError(
            f"the model tells {result.listed} apart, which is no {task} task",
            next="leave out task=, or fit a model of numbers" if task is Task.REGRESSION else "leave out task=",
        )
    return result


def _values(stated: Stated, classes: Sequence[Any] | None) -> Sequence[Any] | None:
    """The classes that the model states, under the names that its author gives to numbers of places."""
    if stated.values is None or classes is None:
        return stated.values if classes is None else plain_values(classes)
    given = plain_values(classes)
    texts, own = {class_text(one) for one in given}, {class_text(one) for one in stated.values}
    if texts == own:
        return stated.values
    if stated.values == tuple(range(len(given))) and not texts & own:
        return given
    raise SignatureError(
        f"the model tells {', '.join(map(repr, stated.values))} apart, and classes= are "
        f"{', '.join(map(repr, given))}",
        next="leave out classes=; only the numbers 0, 1, 2, ... of encoded classes can be given other names",
    )


def plain_values(values: Iterable[Any]) -> list[Any]:
    """Values as Python has them: an array's, or a list's of numpy's own."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    return [one.item() if hasattr(one, "item") and not getattr(one, "ndim", 0) else one for one in values]
