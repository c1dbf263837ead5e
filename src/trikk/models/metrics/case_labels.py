"""How the columns of cases are to be read: which classes there are, which column has whose probability.

Truths, predictions and the model's classes may differ in type (flags and 0/1, whole numbers and floats, texts and
categories); a class is one class all the same. Texts and numbers are never taken for one another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.models.calling.dtypes import is_number
from trikk.models.metrics.metric import Metric
from trikk.models.task import PROBABILITY, Classes, ClassValue, Task, class_text

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Labels:
    """How the columns of cases are to be read.

    Attributes:
        task: binary or multiclass; None where only the rows may say it.
        truth: the column of classes that were true.
        predicted: the column of classes that were said; or of two classes the probability of the positive one.
        probabilities: the class, as text, of each column of probabilities.
        classes: the model's classes; None if they are only known from the rows.
        positive: of two classes the positive one.
        called: what people call the columns.
    """

    task: Task | None
    truth: str
    predicted: str
    probabilities: Mapping[str, str] = field(default_factory=dict)
    classes: Classes | None = None
    positive: ClassValue | None = None
    called: Mapping[str, str] = field(default_factory=dict)

    @property
    def by_chance(self) -> bool:
        """Whether the predictions are probabilities themselves, which say the positive class from 0.5 on."""
        return self.predicted in self.probabilities

    @property
    def said(self) -> pl.Expr:
        """The class that was said; of a probability, whether it says the positive class."""
        import polars as pl

        column = pl.col(self.predicted)
        return column >= 0.5 if self.by_chance else column

    @property
    def of(self) -> str | None:
        """The positive class as text."""
        return None if self.positive is None else class_text(self.positive)


def labels_of(
    rows: pl.DataFrame,
    given: Labels,
    metrics: Sequence[Metric],
    probability: str = PROBABILITY,
) -> Labels | None:
    """How cases are to be read, from what is known of their model and from themselves.

    Args:
        rows: the cases.
        given: the columns of truth and prediction, and what is known of the task, the classes, the positive one.
        metrics: what is wanted of them.
        probability: the column of the probability of the positive class, and how those of several begin.

    Returns:
        None if they are not of classes, so that only metrics of numbers, and those that take a prediction for
        a probability, can be had.
    """
    import polars as pl

    if given.task is Task.REGRESSION:
        return None
    if given.classes is not None:
        known = given.classes.columns(probability)
        columns = {name: class_text(one) for name, one in known.items() if name in rows.columns}
        labels = replace(given, task=given.classes.task, positive=given.classes.positive, probabilities=columns)
        return labels if columns else chances(rows, labels)
    head = f"{probability}_"
    many = {name: name.removeprefix(head) for name in rows.columns if name.startswith(head)}
    task = given.task or _task_of(rows, given, metrics, one=probability in rows.columns, many=bool(many))
    if task is None:
        return None
    if task is Task.MULTICLASS:
        return replace(given, task=task, probabilities=many)
    positive = given.positive
    if positive is None and _are_flags(rows, given.truth):
        positive = True if rows.schema[given.truth] == pl.Boolean else 1
    labels = replace(given, task=task, positive=positive)
    if labels.of is not None and probability in rows.columns:
        return replace(labels, probabilities={probability: labels.of})
    if given.task is None and positive in (True, 1):
        return _by_chance(labels)
    return chances(rows, _with_other(rows, labels))


def _with_other(rows: pl.DataFrame, labels: Labels) -> Labels:
    """The same, with both classes if the truth shows one beside the positive one."""
    if labels.positive is None or labels.positive in (0, 1):
        return labels
    negatives = [one for one in rows[labels.truth].drop_nulls().unique() if class_text(one) != labels.of]
    if len(negatives) != 1 or not isinstance(negatives[0], str | int):
        return labels
    return replace(labels, classes=Classes((negatives[0], labels.positive), labels.positive))


def _task_of(
    rows: pl.DataFrame, given: Labels, metrics: Sequence[Metric], *, one: bool, many: bool
) -> Task | None:
    """The task of cases whose model says none; None if they are to be read as numbers."""
    if given.positive is not None:
        return Task.BINARY
    for_classes = [metric for metric in metrics if metric.of_classes]
    if not for_classes:
        return None
    if many:
        return Task.MULTICLASS
    if _family(rows.schema[given.truth]) == "text":
        return Task.BINARY if one or any(metric.tasks == (Task.BINARY,) for metric in metrics) else Task.MULTICLASS
    is_of_counts = any(metric.above is None and metric.whole is None for metric in for_classes)
    if _are_flags(rows, given.truth) and (one or _are_chances(rows, given.predicted)):
        return Task.BINARY
    return Task.MULTICLASS if is_of_counts else None


def chances(rows: pl.DataFrame, labels: Labels) -> Labels:
    """The same, with predictions of two classes as probabilities of the positive one if that is what they are."""
    return _by_chance(labels) if _is_chance(rows, labels) else labels


def of_other(rows: pl.DataFrame, labels: Labels, column: str) -> Labels:
    """How other predictions of the same classes are to be read, that have no column of probabilities."""
    relabelled = replace(labels, predicted=column, probabilities={})
    return _by_chance(relabelled) if labels.by_chance and _are_chances(rows, column) else chances(rows, relabelled)


def _by_chance(labels: Labels) -> Labels:
    return replace(labels, probabilities={labels.predicted: str(labels.of)})


def _is_chance(rows: pl.DataFrame, labels: Labels) -> bool:
    """Whether predictions of two classes are probabilities of the positive one."""
    kind = rows.schema[labels.predicted]
    if labels.task is not Task.BINARY or labels.of is None or not kind.is_float():
        return False
    classes = labels.classes.values if labels.classes is not None else (0, 1)
    if {*classes} == {0, 1}:
        return _are_chances(rows, labels.predicted)
    numbers = [float(one) for one in classes if not isinstance(one, str)]
    return not bool(rows[labels.predicted].is_in(numbers).all())


def _are_flags(rows: pl.DataFrame, name: str) -> bool:
    """Whether a column has truth values, or numbers that are 0 or 1."""
    import polars as pl

    kind = rows.schema[name]
    if _family(kind) != "number":
        return str(kind) in ("Boolean", "Null")
    return str(kind) == "Boolean" or bool(rows[name].cast(pl.Float64).is_in([0.0, 1.0]).all())


def _are_chances(rows: pl.DataFrame, name: str) -> bool:
    """Whether a column has truth values, or numbers from 0 to 1."""
    import polars as pl

    if _family(rows.schema[name]) != "number":
        return str(rows.schema[name]) == "Null"
    column = rows[name].cast(pl.Float64)
    return bool(column.is_between(0, 1).all())


class Texts:
    """Classes as texts, whatever types truth, predictions and the model's classes have.

    Args:
        schema: the columns of the cases.
        labels: how they are to be read.

    Raises:
        UsageError: if numbers are to be compared with texts.
    """

    def __init__(self, schema: Mapping[str, pl.DataType], labels: Labels) -> None:
        self.labels = labels
        self.truth_kind, self.said_kind = schema[labels.truth], schema[labels.predicted]
        self._check()
        self._texts: dict[Any, str] = {}
        if labels.classes is not None:
            self._texts = {value: class_text(value) for value in labels.classes.values}
        elif labels.positive is not None:
            self._texts = {labels.positive: class_text(labels.positive)}
            if labels.positive in (0, 1):
                negative = type(labels.positive)(1 - int(labels.positive))
                self._texts[negative] = class_text(negative)
        flags = [str(kind) == "Boolean" for kind in (self.truth_kind, self.said_kind)]
        self._as_numbers = any(flags) and not all(flags) and not labels.by_chance

    def truth(self, value: Any) -> str:
        """A value of the truth as text."""
        if value in self._texts:  # 1, 1.0 and True are one
            return self._texts[value]
        return class_text(_plain(int(value) if self._as_numbers and isinstance(value, bool) else value))

    def said(self, value: Any) -> str:
        """A value of the prediction as text; of a probability, whether it says the positive class."""
        if not self.labels.by_chance:
            return self.truth(value)
        of = self.labels.of
        if value:
            return str(of)
        return next((text for text in self._texts.values() if text != of), f"not {of}")

    def truths(self, rows: pl.DataFrame) -> pl.Series:
        """The classes that were true, as texts: String, null where there is none."""
        return _replaced(rows[self.labels.truth], self.truth)

    def all_said(self, rows: pl.DataFrame) -> pl.Series:
        """The classes that were said, as texts: String, null where there is none."""
        return _replaced(rows.select(self.labels.said).to_series(), self.said)

    def is_class(self, column: pl.Expr, kind: pl.DataType, text: str) -> pl.Expr:
        """Whether a column of a kind has the class of a text."""
        import polars as pl

        value = next((value for value, one in self._texts.items() if one == text), text)
        if _family(kind) == "text":
            return column.cast(pl.String) == text
        if isinstance(value, str):
            value = _number(value)
        if str(kind) == "Boolean":
            return column == bool(value) if value in (0, 1) else pl.lit(value=False)
        column = column.cast(pl.Float64) if kind.is_decimal() else column
        return (
            pl.lit(value=False) if value is None else column == (int(value) if isinstance(value, bool) else value)
        )

    def _check(self) -> None:
        labels, classes = self.labels, self.labels.classes
        kinds = {labels.truth: self.truth_kind}
        if not labels.by_chance:
            kinds[labels.predicted] = self.said_kind
        known = [(repr(labels.called.get(c, c)), str(kind), _family(kind)) for c, kind in kinds.items()]
        if classes is not None:
            family = "text" if isinstance(classes.values[0], str) else "number"
            known.append(("the model's classes", classes.listed, family))
        known = [one for one in known if one[1] != "Null"]
        different = next((one for one in known if one[2] != known[0][2]), None)
        if different is not None:
            verb = "are" if classes is not None and different is known[-1] else "is"
            raise UsageError(
                f"classes are compared as values of one type, and {known[0][0]} is {known[0][1]}, and "
                f"{different[0]} {verb} {different[1]}",
                next="cast one of them",
            )


def _family(kind: pl.DataType) -> str:
    name = str(kind).partition("(")[0]
    if name in ("String", "Categorical", "Enum"):
        return "text"
    return "number" if is_number(kind) else str(kind)


def _replaced(column: pl.Series, text: Callable[[Any], str]) -> pl.Series:
    import polars as pl

    known = {value: text(value) for value in column.unique() if value is not None}
    return column.replace_strict([*known], [*known.values()], default=None, return_dtype=pl.String)


def _plain(value: Any) -> Any:
    """A decimal as the number that it is."""
    if isinstance(value, Decimal):
        return float(value) if value % 1 else int(value)
    return value


def _number(text: str) -> float | int | None:
    if text in ("true", "false"):
        return int(text == "true")
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return None
