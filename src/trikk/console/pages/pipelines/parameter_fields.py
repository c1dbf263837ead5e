"""A pipeline's parameters as fields of a form: texts that are read as `-p NAME=VALUE` on a command line is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from trikk.core.values import JSON
from trikk.pipeline.graph import Graph, ParameterSpec
from trikk.pipeline.parameters.parameter_kinds import Kind
from trikk.runs.journals.journal import RunRow

_SUGGESTED = 8  # of the last values
_LINES = 2  # from so many lines on, a text gets an area


@dataclass(frozen=True, slots=True)
class ParameterField:
    """One field.

    Attributes:
        name: the parameter's.
        form: "select", "date", "area" or "text".
        text: what stands in it.
        required: whether it has to be filled in.
        choices: texts that may be chosen; empty for any text.
        hint: what a good value looks like.
        seen: values of the last runs.
        mode: the keyboard of a phone: "numeric", "decimal" or "text".
        wrong: why it was refused; "" if it was not.
    """

    name: str
    form: str
    text: str
    required: bool
    choices: tuple[str, ...]
    hint: str
    seen: tuple[str, ...]
    mode: str = "text"
    wrong: str = ""


def parameter_fields(
    graph: Graph,
    runs: Iterable[RunRow],
    given: Mapping[str, str],
    wrong: Mapping[str, str],
    but: Collection[str] = (),
) -> list[ParameterField]:
    """A field for each parameter.

    Args:
        graph: the pipeline.
        runs: its last ones, the newest first: their values are suggested.
        given: texts by name; defaults stand in the other fields.
        wrong: by name, why a text was refused.
        but: names of parameters that get no field.
    """
    last = list(runs)
    return [_field(spec, last, given, wrong) for spec in graph.parameters if spec.name not in but]


def texts_of(graph: Graph, parameters: Mapping[str, JSON]) -> dict[str, str]:
    """A run's parameters as texts, those that the pipeline still has."""
    kinds = {spec.name: spec.kind for spec in graph.parameters}
    return {name: kinds[name].to_text(value) for name, value in parameters.items() if name in kinds}


def _field(
    spec: ParameterSpec, runs: list[RunRow], given: Mapping[str, str], wrong: Mapping[str, str]
) -> ParameterField:
    kind, choices = spec.kind, _choices(spec.kind)
    text = given.get(spec.name, "" if spec.required else kind.to_text(spec.default))
    values = (kind.to_text(run.parameters[spec.name]) for run in runs if spec.name in run.parameters)
    seen = tuple(dict.fromkeys(value for value in values if value != ""))[:_SUGGESTED]
    inner = kind.of if kind.name == "optional" and kind.of else kind
    # What was refused has to stand there as it was typed, which only a field for any text can show.
    is_odd = spec.name in wrong
    if choices and (text in choices or not text) and not is_odd:
        form = "select"
    elif inner.name == "date" and not is_odd:
        form = "date"
    else:
        form = "area" if inner.name == "event" or len(text.splitlines()) >= _LINES else "text"
    return ParameterField(
        name=spec.name,
        form=form,
        text=text,
        required=spec.required and inner.name not in ("str", "list") and kind.name != "optional",
        choices=choices,
        hint=kind.expected() if kind.name != "optional" else f"{inner.expected()}, or nothing",
        seen=seen if form == "text" else (),
        mode={"int": "numeric", "float": "decimal"}.get(inner.name, "text"),
        wrong=wrong.get(spec.name, ""),
    )


def _choices(kind: Kind) -> tuple[str, ...]:
    if kind.name == "optional" and kind.of:
        inner = _choices(kind.of)
        return ("", *inner) if inner else ()
    if kind.name == "bool":
        return ("true", "false")
    return tuple(kind.to_text(choice) for choice in kind.choices)
