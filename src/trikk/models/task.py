"""What a model is for: a number, one of two classes, or one of several; and what its classes are.

Without it a label is read as a number (a model that always says 3 has an F1 of 1), and the probability of
whichever class comes second stands for the one that people ask about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from trikk.core.errors import UsageError
from trikk.core.values import JSON

ClassValue = str | int | float | bool
"""A class in its own type. A float is a whole number: labels that became floats because some were missing."""

PROBABILITY = "probability"
_BOTH = 2


class Task(StrEnum):
    """What a model predicts; scikit-learn's words (`type_of_target`)."""

    REGRESSION = "regression"
    BINARY = "binary"
    MULTICLASS = "multiclass"

    @property
    def has_classes(self) -> bool:
        """Whether it is to tell classes apart."""
        return self is not Task.REGRESSION


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes that a model tells apart.

    Attributes:
        values: the classes, in the model's own order and type.
        positive: of two, the one that probability, precision and recall are about; None for more.

    Raises:
        UsageError: if there is but one class, one comes twice or is not a text, whole number or truth value, or
            nobody says which of two is positive.
    """

    values: tuple[ClassValue, ...]
    positive: ClassValue | None = None

    def __post_init__(self) -> None:
        _check_values(self.values)
        if len(self.values) > _BOTH:
            if self.positive is not None:
                raise UsageError(
                    f"positive={self.positive!r} is for two classes, not for {self.listed}",
                    next="leave it out; figures of a class are called precision[CLASS], recall[CLASS], f1[CLASS]",
                )
            return
        object.__setattr__(self, "positive", self._positive())

    def _positive(self) -> ClassValue:
        if self.positive is None:
            if not {*self.values} <= {0, 1}:
                raise UsageError(
                    f"which of the classes {self.listed} is the positive one is not known",
                    next=f"say so: positive={self.values[0]!r}, or positive={self.values[1]!r}",
                )
            return next(value for value in self.values if value == 1)
        for value in self.values:
            if value == self.positive or class_text(value) == class_text(self.positive):
                return value
        raise UsageError(
            f"positive={self.positive!r} is not one of the classes {self.listed}", next="name one of them"
        )

    @property
    def task(self) -> Task:
        """Binary or multiclass."""
        return Task.BINARY if len(self.values) == _BOTH else Task.MULTICLASS

    @property
    def texts(self) -> list[str]:
        """The classes as texts, in order."""
        return [class_text(value) for value in self.values]

    @property
    def positive_text(self) -> str | None:
        """The positive class as text."""
        return None if self.positive is None else class_text(self.positive)

    @property
    def listed(self) -> str:
        """The classes in a sentence."""
        return ", ".join(map(repr, self.values))

    @property
    def named(self) -> str:
        """The classes as texts, the positive one told: leak (positive), ok."""
        texts = [f"{class_text(v)} (positive)" if v is self.positive else class_text(v) for v in self.values]
        return ", ".join(texts)

    def columns(self, probability: str = PROBABILITY) -> dict[str, ClassValue]:
        """The column of each class's probability: of two classes one, that of the positive one.

        Args:
            probability: the column's name, or what the names begin with.

        Returns:
            The class by the column's name, in the order of the classes.
        """
        if self.positive is not None:
            return {probability: self.positive}
        return {f"{probability}_{class_text(value)}": value for value in self.values}

    def to_json(self) -> dict[str, JSON]:
        """The classes as JSON."""
        return {"classes": [*self.values], "positive": self.positive}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Classes:
        """The classes that `to_json` wrote."""
        return cls(tuple(data["classes"]), data["positive"])


def united(known: Sequence[Classes], positive: ClassValue | None = None) -> Classes:
    """All classes of several models, those of the last first.

    Args:
        known: one or more; texts all, or none.
        positive: of two classes the positive one; that of the last if not given.
    """
    values: dict[str, ClassValue] = {}
    for classes in reversed(known):
        values = values | {class_text(one): one for one in classes.values if class_text(one) not in values}
    if len(values) > _BOTH:
        return Classes(tuple(values.values()))
    return Classes(tuple(values.values()), known[-1].positive if positive is None else positive)


def class_text(value: ClassValue) -> str:
    """How a class is written as text: true, 3 (also for 3.0), leak."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _check_values(values: Sequence[ClassValue]) -> None:
    for value in values:
        if not isinstance(value, str | int) and not (isinstance(value, float) and value.is_integer()):
            raise UsageError(
                f"{value!r} can't be a class", next="classes are texts, whole numbers or truth values"
            )
    texts = [class_text(value) for value in values]
    twice = next((text for text in texts if texts.count(text) > 1), None)
    if twice is not None:
        raise UsageError(f"the class {twice!r} comes twice", next="give each class another name")
    if len(values) < _BOTH:
        raise UsageError(
            f"there is one class, {values[0]!r}, and nothing to tell it from"
            if values
            else "there are no classes",
            next="fit the model on rows of at least two classes",
        )
