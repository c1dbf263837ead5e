"""What a pipeline's body handles while it is traced: stand-ins for values that only a run will have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from trikk.core.errors import DefinitionError, UsageError
from trikk.core.values import encode
from trikk.pipeline.arguments import Argument, Constant, OutputRef, ParameterRef
from trikk.pipeline.condition import Condition, condition_of
from trikk.pipeline.location import caller


class Symbol:
    """A value that is known in a run only. Comparing it gives a `Condition`; computing with it is refused.

    Its own attributes begin with `symbol_`, so that a field of an author's NamedTuple may have any usual name.
    """

    __slots__ = ("symbol_annotation", "symbol_argument")

    def __init__(self, argument: ParameterRef | OutputRef, annotation: object = None) -> None:
        self.symbol_argument = argument
        self.symbol_annotation = annotation

    def _compare(self, op: str, other: object) -> Condition:
        return Condition(op, (self.symbol_argument, operand(other)))

    def __lt__(self, other: object) -> Condition:
        return self._compare("<", other)

    def __le__(self, other: object) -> Condition:
        return self._compare("<=", other)

    def __gt__(self, other: object) -> Condition:
        return self._compare(">", other)

    def __ge__(self, other: object) -> Condition:
        return self._compare(">=", other)

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compare("==", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compare("!=", other)

    def __and__(self, other: object) -> Condition:
        return condition_of(self) & other

    def __or__(self, other: object) -> Condition:
        return condition_of(self) | other

    def __invert__(self) -> Condition:
        return ~condition_of(self)

    # Defining `__eq__` takes it away, and stand-ins are keys of the author's dicts.
    def __hash__(self) -> int:
        return hash(self.symbol_argument)

    def __bool__(self) -> NoReturn:  # noqa: PLE0304 - it never returns
        self._refuse("its truth is not known yet", "write `with when(...):` instead of if")

    def __iter__(self) -> Iterator[Any]:
        self._refuse("its length is not known yet", "fan out with `step.map(...)`, or loop over a known list")

    def _refuse(self, why: str, mend: str) -> NoReturn:
        raise DefinitionError(
            f"{self.symbol_label} is a stand-in while the pipeline is traced: {why}", where=caller(), next=mend
        )

    def _no_computing(self, *_: object) -> NoReturn:
        self._refuse("it can't be computed with", "do this inside a step, and pass the value to that step")

    # One by one: Python looks operators up on the class, past `__getattr__`.
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _no_computing
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _no_computing
    __pow__ = __rpow__ = __neg__ = __abs__ = __len__ = __int__ = __float__ = __contains__ = _no_computing
    __matmul__ = __rmatmul__ = __divmod__ = __rdivmod__ = __pos__ = __round__ = __index__ = _no_computing

    def __str__(self) -> str:  # noqa: PLE0307 - it never returns
        self._refuse("it has no text yet", "build the text inside a step")

    def __format__(self, spec: str) -> NoReturn:
        self._refuse("it has no text yet", "build the text inside a step")

    def __repr__(self) -> str:
        return f"<{self.symbol_label}>"

    @property
    def symbol_label(self) -> str:
        """What it stands for, in words."""
        return f"the value {self.symbol_argument}"


class Parameter(Symbol):
    """A parameter of the pipeline while it is traced."""

    __slots__ = ()
    symbol_argument: ParameterRef

    @property
    def symbol_label(self) -> str:
        """What it stands for, in words."""
        return f"parameter {self.symbol_argument.name}"


class Output(Symbol):
    """What a step will return. `output["mae"]` picks from a dict; a tuple annotation unpacks."""

    __slots__ = ("symbol_fields", "symbol_parts")
    symbol_argument: OutputRef

    def __init__(
        self,
        argument: OutputRef,
        annotation: object = None,
        parts: tuple[Any, ...] = (),
        fields: tuple[str, ...] = (),
    ) -> None:
        super().__init__(argument, annotation)
        self.symbol_parts = parts
        self.symbol_fields = fields

    def __iter__(self) -> Iterator[Output]:
        if not self.symbol_parts:
            self._refuse(
                "its length is not known yet",
                "fan out with `step.map(...)`, or annotate the step's return as a tuple to unpack it",
            )
        return (self._part(i) for i in range(len(self.symbol_parts)))

    def __getitem__(self, key: str | int) -> Output:
        if self.symbol_parts and isinstance(key, int):
            if not -len(self.symbol_parts) <= key < len(self.symbol_parts):
                self._refuse(
                    f"it has {len(self.symbol_parts)} parts, not a part {key}", "pick one that the step declares"
                )
            # A part has one name, however it is counted: `out[-1]` and `out[1]` are one edge.
            return self._part(key % len(self.symbol_parts))
        if not isinstance(key, str | int) or isinstance(key, bool):
            self._refuse("only a text or a whole number picks from it", "do other look-ups inside a step")
        ref = self.symbol_argument
        return Output(OutputRef(ref.step, ref.index, (*ref.path, key)))

    def __getattr__(self, name: str) -> Output:
        # copy, pickle, inspect and pytest probe for such names, and take only AttributeError for "no".
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self.symbol_fields:
            return self._part(self.symbol_fields.index(name))
        return self._refuse(f"it has no attribute {name!r} yet", "use the attribute inside a step")

    def _part(self, index: int) -> Output:
        return Output(OutputRef(self.symbol_argument.step, index), self.symbol_parts[index])

    @property
    def symbol_label(self) -> str:
        """What it stands for, in words."""
        return f"the output of step {self.symbol_argument.step}"


def operand(value: object) -> Argument:
    """What a condition compares with: a symbol's argument, or a constant.

    Raises:
        DefinitionError: if it is no plain value.
    """
    if isinstance(value, Symbol):
        return value.symbol_argument
    try:
        return Constant(encode(value))
    except UsageError as error:
        raise DefinitionError(
            f"a condition can't compare with this: {error.what}", where=caller(), next=error.next
        ) from error
