"""What the author's annotations say about values: enough to refuse what is surely wrong, never more.

Annotations that can't be resolved (names imported for type checkers only) accept everything.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import numbers
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_FRAMES = ("polars.", "pandas.", "pyarrow.")
_LOOKED_AT = 100  # items of a long list that are checked


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function with texts resolved; an unresolvable one stays a text."""
    try:
        return typing.get_type_hints(function)
    except Exception:  # noqa: BLE001 - one bad annotation must not hide the others
        function = inspect.unwrap(function)
        raw = dict(getattr(function, "__annotations__", {}))
        names = getattr(function, "__globals__", vars(sys.modules.get(function.__module__, object)))
        return {name: _resolve(value, names, function.__module__) for name, value in raw.items()}


def _resolve(annotation: object, names: dict[str, Any], module: str) -> object:
    if not isinstance(annotation, str):
        return annotation
    try:
        # Only of libraries of frames: importing whatever an annotation names could run anything.
        frames = {n: _imported(*_frame_imports(module)[n]) for n in _names(annotation) & {*_frame_imports(module)}}
        return eval(annotation, {**frames, **names})  # noqa: S307 - as typing.get_type_hints does
    except Exception:  # noqa: BLE001
        return annotation


def _names(annotation: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(annotation, mode="eval")) if isinstance(node, ast.Name)}


def _imported(module: str, name: str | None) -> object:
    imported = importlib.import_module(module)
    return imported if name is None else getattr(imported, name)


@functools.cache
def _frame_imports(module: str) -> dict[str, tuple[str, str | None]]:
    """What a module imports of the libraries of frames, for type checkers only or in a function: name to origin.

    An annotation that names a kind of frame says how an argument arrives, so it has to be known all the same.
    """
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError, SyntaxError):
        return {}
    origins: dict[str, tuple[str, str | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            origins |= {a.asname or a.name: (a.name, None) for a in node.names if f"{a.name}.".startswith(_FRAMES)}
        elif isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(_FRAMES):
            origins |= {a.asname or a.name: (str(node.module), a.name) for a in node.names}
    return origins


def tuple_parts(annotation: object) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The (types, field names) that a tuple or NamedTuple annotation declares; both empty for any other."""
    if typing.get_origin(annotation) is tuple:
        args = typing.get_args(annotation)
        return ((), ()) if Ellipsis in args else (args, ())
    if isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        hints = annotations_of(annotation)
        fields = tuple(annotation._fields)
        return tuple(hints.get(f, Any) for f in fields), fields
    return (), ()


def show(annotation: object) -> str:
    """An annotation for people: `polars.DataFrame`, `list[int]`."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        module = annotation.__module__.split(".")[0]
        return annotation.__qualname__ if module == "builtins" else f"{module}.{annotation.__qualname__}"
    return str(annotation)


def fits(value: object, annotation: object) -> bool:
    """Whether a value is surely not of another type than the annotation says."""
    annotation = _plain(annotation)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is None or annotation is type(None):
        return value is None
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, a) for a in args)
    if origin is typing.Literal:
        return any(type(value) is type(choice) and value == choice for choice in args)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(args) == 2 and args[1] is Ellipsis:
            return all(fits(v, args[0]) for v in value[:_LOOKED_AT])
        return len(value) == len(args) and all(fits(v, a) for v, a in zip(value, args, strict=True))
    if origin is not None:
        return _instance(value, origin) and _items_fit(value, args)
    return _instance(value, annotation)


def _items_fit(value: object, args: tuple[Any, ...]) -> bool:
    if isinstance(value, Mapping) and len(args) == 2:
        some = list(value.items())[:_LOOKED_AT]
        return all(fits(k, args[0]) and fits(v, args[1]) for k, v in some)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(args) == 1:
        return all(fits(v, args[0]) for v in value[:_LOOKED_AT])
    return True


def _plain(annotation: object) -> Any:
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        else:
            return annotation


def _instance(value: object, cls: object) -> bool:
    if not isinstance(cls, type) or cls is inspect.Parameter.empty:
        return True
    if cls in (int, float):
        wanted = numbers.Integral if cls is int else numbers.Real
        return isinstance(value, wanted) and not isinstance(value, bool)
    try:
        return isinstance(value, cls)
    except TypeError:
        return True


def may_become(declared: object, wanted: object) -> bool:
    """Whether a value declared as one type may be what another annotation asks for; False only when sure."""
    declared, wanted = _plain(declared), _plain(wanted)
    choices, accepted = _members(declared), _members(wanted)
    if len(choices) > 1 or len(accepted) > 1:
        return any(may_become(c, a) for c in choices for a in accepted)
    declared, wanted = typing.get_origin(declared) or declared, typing.get_origin(wanted) or wanted
    if not (isinstance(declared, type) and isinstance(wanted, type)):
        return True
    if {object, Any, inspect.Parameter.empty} & {declared, wanted}:
        return True
    # A frame arrives as the kind that the annotation asks for, whichever was returned.
    if _is_frame(declared) and _is_frame(wanted):
        return True
    # As type checkers have it (PEP 484).
    if declared in (int, bool) and wanted is float:
        return True
    # Classes can be registered with an abstract one, or only look like it.
    if inspect.isabstract(declared) or inspect.isabstract(wanted):
        return True
    try:
        return issubclass(declared, wanted) or issubclass(wanted, declared)
    except TypeError:
        return True


def may_be_frame(annotation: object) -> bool:
    """Whether a frame may be what an annotation asks for; False only when sure."""
    for member in _members(_plain(annotation)):
        cls = typing.get_origin(_plain(member)) or _plain(member)
        if not isinstance(cls, type) or cls in (object, Any, inspect.Parameter.empty) or inspect.isabstract(cls):
            return True
        if getattr(cls, "_is_protocol", False) or any(map(_is_frame, cls.__mro__)):
            return True
    return False


def names(annotation: object, cls: type) -> bool:
    """Whether an annotation is this class, or a union with it."""
    return any((typing.get_origin(a) or a) is cls for a in _members(_plain(annotation)))


def _members(annotation: object) -> tuple[Any, ...]:
    """The types that a union accepts; the annotation itself if it is not one."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def _is_frame(cls: type) -> bool:
    return f"{cls.__module__}.".startswith(_FRAMES)
