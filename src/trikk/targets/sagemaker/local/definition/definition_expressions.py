"""Values of a pipeline definition that are known only when it runs: `Get`, `Std:Join`, `Std:JsonGet`. Pure.

Their form: https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-properties.html, and what the official
SDK writes. The service turns no number into text by itself, and neither does this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from trikk.core.errors import DefinitionError, RunError

GET, JOIN, JSON_GET = "Get", "Std:Join", "Std:JsonGet"
_FUNCTIONS = {GET, JOIN, JSON_GET}
_PART = re.compile(r"\.?(?P<name>[A-Za-z0-9_-]+)|\[(?P<index>\d+)\]|\[(?P<quote>['\"])(?P<key>.*?)(?P=quote)\]")
_NAMES = ("OutputName", "InputName", "ChannelName", "Name")
_SCALARS = (str, bool, int, float)
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """One `Get` of a definition.

    Attributes:
        root: `Parameters`, `Execution` or `Steps`.
        path: what stands behind it: names, and positions in lists.
        text: as it was written.
    """

    root: str
    path: Path
    text: str


class Scope(Protocol):
    """What expressions can see of an execution."""

    def value_of(self, reference: Reference) -> Any:
        """The value that a `Get` means; RunError if there is none."""

    def json_at(self, uri: str) -> Any:
        """The JSON document that lies at an `s3://` address; RunError if it can't be read."""


def parse_path(text: str) -> Path:
    """The parts of a path such as `Outputs['rows'].S3Output.S3Uri` or `mae[0].value`.

    Raises:
        DefinitionError: if it is none.
    """
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None or match.end() == at:
            raise DefinitionError(f"{text!r} is not a path", next="write it as Steps.NAME.Property['name'][0]")
        index = match["index"]
        parts.append(int(index) if index else match["name"] or match["key"] or "")
        at = match.end()
    return tuple(parts)


def reference(text: Any) -> Reference:
    """The reference that the text of a `Get` is.

    Raises:
        DefinitionError: if it is none.
    """
    parts = parse_path(text) if isinstance(text, str) else ()
    if len(parts) < 2 or not isinstance(parts[0], str):
        raise DefinitionError(
            f"Get {text!r} names nothing", next="write Parameters.NAME, Execution.NAME or Steps.NAME.X"
        )
    return Reference(parts[0], parts[1:], text)


def function_of(value: Any) -> str | None:
    """The name of the expression that a value is; None if it is a plain value.

    Raises:
        DefinitionError: if it is an expression of an unknown kind.
    """
    if not isinstance(value, Mapping) or len(value) != 1:
        return None
    (key,) = value
    if key in _FUNCTIONS:
        return str(key)
    if str(key).startswith("Std:"):
        raise DefinitionError(
            f"there is no expression {key!r}", next=f"there are: {', '.join(sorted(_FUNCTIONS))}"
        )
    return None


def references(value: Any) -> Iterator[Reference]:
    """Every `Get` in a value, those inside other expressions among them.

    Raises:
        DefinitionError: if an expression in it is not well formed.
    """
    function = function_of(value)
    if function == GET:
        yield reference(value[GET])
    elif function is not None:
        yield from _within(function, value[function])
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def _within(function: str, body: Any) -> Iterator[Reference]:
    known = {JOIN: ({"On", "Values"}, {"On", "Values"}), JSON_GET: ({"Path"}, {"Path", "PropertyFile", "S3Uri"})}
    needed, allowed = known[function]
    if not isinstance(body, Mapping) or not needed <= body.keys() <= allowed:
        raise DefinitionError(f"{function} takes {', '.join(sorted(allowed))}", next=f"it has {_keys(body)}")
    if function == JOIN:
        if not isinstance(body["On"], str) or not isinstance(body["Values"], list):
            raise DefinitionError("Std:Join takes a text On and a list Values", next="mend it")
        yield from references(body["Values"])
        return
    if ("PropertyFile" in body) == ("S3Uri" in body):
        raise DefinitionError("Std:JsonGet takes either PropertyFile or S3Uri", next="leave one of them out")
    if not isinstance(body["Path"], str):
        raise DefinitionError("the Path of Std:JsonGet is a literal text", next="the service joins none")
    parse_path(body["Path"])
    yield from references(body.get("PropertyFile", body.get("S3Uri")))


def _keys(body: Any) -> str:
    return ", ".join(map(str, body)) if isinstance(body, Mapping) else repr(body)[:50]


def evaluate(value: Any, scope: Scope) -> Any:
    """The value with every expression in it replaced by what it means now.

    Raises:
        RunError: if one means nothing: a property that no answer holds, a path that a document has not.
    """
    function = function_of(value)
    if function == GET:
        return scope.value_of(reference(value[GET]))
    if function == JOIN:
        body = value[JOIN]
        return str(body["On"]).join(_as_text(evaluate(part, scope)) for part in body["Values"])
    if function == JSON_GET:
        body = value[JSON_GET]
        uri = evaluate(body.get("PropertyFile", body.get("S3Uri")), scope)
        return at_path(scope.json_at(uri), parse_path(body["Path"]), f"{body['Path']} of {uri}")
    if isinstance(value, Mapping):
        return {key: evaluate(inner, scope) for key, inner in value.items()}
    return [evaluate(inner, scope) for inner in value] if isinstance(value, list) else value


def _as_text(value: Any) -> str:
    if not isinstance(value, _SCALARS):
        raise RunError(f"Std:Join can't join {type(value).__name__}", next="join texts and numbers")
    # As JSON has it; the service's own way is not documented.
    return str(value).lower() if isinstance(value, bool) else str(value)


def at_path(value: Any, path: Path, what: str) -> Any:
    """What lies at a path in a document; an element of a list is found by its position or by its name.

    Raises:
        RunError: if nothing does.
    """
    for part in path:
        inner = _child(value, part)
        if inner is None:
            siblings = (
                ", ".join(map(str, value))[:200] if isinstance(value, Mapping) else f"a {type(value).__name__}"
            )
            raise RunError(f"there is no {what}", next=f"at {part!r} there is: {siblings or 'nothing'}")
        value = inner
    return value


def _child(value: Any, part: str | int) -> Any:
    """What lies one step further; None if nothing does."""
    if isinstance(value, Mapping):
        return value.get(part)
    if not isinstance(value, list):
        return None
    if isinstance(part, int):
        return value[part] if part < len(value) else None
    for item in value:
        if isinstance(item, Mapping) and part in (item.get(key) for key in _NAMES):
            return item
    return None
