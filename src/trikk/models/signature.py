"""What rows a model takes and what it gives: recorded once, when it is registered, and checked at every use.

Without it a model takes columns in the wrong order, or counts where it learned shares, and answers all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trikk.core.errors import SignatureError, StorageError, UsageError
from trikk.core.values import JSON
from trikk.models.calling.dtypes import as_dtype, dtype_of, dtype_text
from trikk.models.task import Classes, ClassValue, Task

if TYPE_CHECKING:
    import polars as pl

MOST_CATEGORIES = 1000
"""Of an input with more different texts none is kept: it rather names things than sorts them."""


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a model, or its output.

    Attributes:
        name: the column's name.
        dtype: a polars dtype as text, such as "Float32", "String" or "Datetime(time_unit='us', time_zone='UTC')".
        nullable: whether values may be missing (null, or NaN in a column of floats).
        categories: the texts that the model was fitted on, in order; None for other inputs, for one with more than
            `MOST_CATEGORIES`, and where they were not kept.
    """

    name: str
    dtype: str
    nullable: bool = False
    categories: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, JSON]:
        """The field as JSON."""
        kept: dict[str, JSON] = {} if self.categories is None else {"categories": [*self.categories]}
        return {"name": self.name, "dtype": self.dtype, "nullable": self.nullable, **kept}


@dataclass(frozen=True, slots=True)
class Signature:
    """A model's inputs in their order, and its outputs.

    Attributes:
        inputs: the fields, in the order in which the model was fitted on them.
        output: what one row gives: of a classifier the class.
        takes: how the model wants its rows: "array" (a numpy matrix of floats), "polars" or "pandas" (a frame).
        method: what is called: "predict"; or "predict_proba", where the value is the probability of the positive
            class (of the second one, where the classes are not known).
        task: what the model predicts; None if that is not known, as of versions that older builds registered.
        classes: of a classifier its classes and the positive one.
        probabilities: whether it gives the probabilities of its classes beside the value.
    """

    inputs: tuple[Field, ...]
    output: Field
    takes: str = "array"
    method: str = "predict"
    task: Task | None = None
    classes: Classes | None = None
    probabilities: bool = False

    @classmethod
    def infer(
        cls,
        inputs: pl.DataFrame,
        output: Any,
        *,
        takes: str = "array",
        method: str = "predict",
        nullable: Sequence[str] = (),
    ) -> Signature:
        """The signature of a model that was fitted on such rows and gives such values.

        Args:
            inputs: rows that the model was fitted on, with those columns only, in their order.
            output: a Series, array or list of what it gave for some of them.
            takes: as the attribute.
            method: as the attribute.
            nullable: inputs whose values may be missing although none of these is.

        Raises:
            SignatureError: if there is no column, a column's type can't be an input, or `nullable` names no input.
        """
        import polars as pl

        unknown = sorted(set(nullable) - set(inputs.columns))
        if unknown or not inputs.width:
            raise SignatureError(
                f"{unknown[0]!r} is not an input" if unknown else "a signature needs at least one input",
                field=unknown[0] if unknown else None,
                next=f"the inputs are: {', '.join(inputs.columns) or 'none'}",
            )
        fields = tuple(
            Field(column.name, dtype_text(column), column.name in nullable or empty(column) > 0)
            for column in inputs.get_columns()
        )
        values = output if isinstance(output, pl.Series) else pl.Series("value", output)
        return cls(fields, Field("value", dtype_text(values), empty(values) > 0), takes, method)

    def with_categories(self, categories: Mapping[str, Sequence[str]]) -> Signature:
        """The signature with the texts that inputs had in training, by their names."""
        known = {name: tuple(texts) for name, texts in categories.items()}
        return replace(self, inputs=tuple(replace(f, categories=known.get(f.name)) for f in self.inputs))

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The texts that the model was fitted on, of each input of which they are known."""
        return {field.name: field.categories for field in self.inputs if field.categories is not None}

    @property
    def names(self) -> list[str]:
        """The inputs' names, in order."""
        return [field.name for field in self.inputs]

    @property
    def positive(self) -> ClassValue | None:
        """Of two classes the one that probabilities and precision are about."""
        return None if self.classes is None else self.classes.positive

    @property
    def outputs(self) -> tuple[Field, ...]:
        """What one row gives: the field "value", and a field for each column of probabilities (Float64)."""
        names = self.classes.columns() if self.classes is not None and self.probabilities else {}
        return (self.output, *(Field(name, "Float64", self.output.nullable) for name in names))

    def schema(self) -> dict[str, pl.DataType]:
        """The inputs' polars dtypes by name, in order: what a CSV or JSON is best read with."""
        return {field.name: dtype_of(field.dtype) for field in self.inputs}

    def check(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The inputs of these rows, in order and of the right types; other columns are left out.

        A value is converted where nothing is lost: 3 becomes 3.0, and 3.0 becomes 3, but "3" stays a text. A float
        is rounded where the model was fitted on shorter floats.

        Raises:
            SignatureError: if an input is missing, of another type, out of range, or empty where it may not be;
                its `field` names the input.
        """
        import polars as pl

        missing = [field for field in self.inputs if field.name not in frame.columns]
        if missing:
            first, more = missing[0], f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise SignatureError(
                f"input {first.name!r} ({first.dtype}) is missing{more}",
                field=first.name,
                next=f"give the inputs: {', '.join(self.names)}; there are: {', '.join(frame.columns) or 'none'}",
            )
        return pl.DataFrame([checked(frame[field.name], field) for field in self.inputs])

    def to_json(self) -> dict[str, JSON]:
        """The signature as JSON."""
        known: dict[str, JSON] = {} if self.task is None else {"task": str(self.task)}
        if self.classes is not None:
            known |= self.classes.to_json()
        if self.probabilities:
            known["outputs"] = [field.to_json() for field in self.outputs]
        return {
            "inputs": [field.to_json() for field in self.inputs],
            "output": self.output.to_json(),
            "takes": self.takes,
            "method": self.method,
            **known,
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Signature:
        """The signature that `to_json` wrote.

        Raises:
            StorageError: if it is not one.
        """
        try:
            inputs = tuple(Field(f["name"], f["dtype"], bool(f["nullable"]), _texts(f)) for f in data["inputs"])
            out = data["output"]
            output = Field(out["name"], out["dtype"], bool(out["nullable"]))
            return cls(
                inputs,
                output,
                str(data["takes"]),
                str(data["method"]),
                Task(data["task"]) if "task" in data else None,
                Classes.read(data) if "classes" in data else None,
                "outputs" in data,
            )
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise StorageError(
                "this is not a description of a signature", next="look for a damaged entry of the model"
            ) from error


def _texts(data: Mapping[str, Any]) -> tuple[str, ...] | None:
    return tuple(data["categories"]) if "categories" in data else None


def checked(column: pl.Series, field: Field) -> pl.Series:
    """A column as its field wants it.

    Raises:
        SignatureError: if its type or a value does not fit.
    """
    values = as_dtype(column, field.name, field.dtype)
    if not field.nullable and (count := empty(values)):
        raise SignatureError(
            f"input {field.name!r} is empty in {count:,} of {len(values):,} rows, first in row {_first(values)}, "
            "and the model was fitted without empty values",
            field=field.name,
            next=f"fill them, or register the model with nullable=[{field.name!r}]",
        )
    return values


def empty(column: pl.Series) -> int:
    """How many values are missing: null, or NaN in a column of floats."""
    count = column.null_count()
    return count + int(column.is_nan().sum()) if column.dtype.is_float() else count


def _first(column: pl.Series) -> int:
    missing = column.is_null()
    if column.dtype.is_float():
        missing = missing | column.is_nan().fill_null(value=False)
    place = missing.arg_max()
    return 0 if place is None else place
