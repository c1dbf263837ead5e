"""What a model was fitted on, above all which columns: asked of the model itself, once for each that is loaded.

Most libraries take columns by position and answer all the same if two are swapped. What the model says of itself
counts, also against a signature that was recorded in another order.
"""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from trikk.core.errors import SignatureError
from trikk.models.calling.classifier import Stated, stated_by
from trikk.models.calling.libraries import is_of, is_session, lightgbm_of, xgboost_of

if TYPE_CHECKING:
    import polars as pl

_MOST_PARTS = 200
_DEPTH = 12  # a class of a class, its pipeline, its list of steps, a step, its estimator
_DATA = ("builtins", "numpy", "pandas", "polars", "pyarrow", "scipy")


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a model says of what it was fitted on.

    Attributes:
        names: in the model's order; None if it does not know.
        count: how many they are; None if it does not know.
        whole: whether it takes just these. A class that holds a model may take more, and make some of them itself.
        blanks_lost: whether blanks in the names have become underscores, as LightGBM has it.
        by_place: whether the names may be nobody's, such as those that a library gives to the columns of an array:
            where they are not among the columns, these are taken as they come.
        target: what it says of its task and classes.
    """

    names: tuple[str, ...] | None = None
    count: int | None = None
    whole: bool = True
    blanks_lost: bool = False
    by_place: bool = False
    target: Stated = field(default_factory=Stated)


def fitted_on(model: Any) -> Fitted:
    """What a model knows of its columns (its own word, else that of the one model that it holds) and its task."""
    return replace(_columns(model), target=stated_by(model))


def _columns(model: Any) -> Fitted:
    stated = _stated(model) or Fitted()
    if stated.names is not None:
        return stated
    # a class that wraps a model knows no names itself, and hands on the columns as they come
    parts = _models_inside(model)
    if not parts or any(part.names != parts[0].names for part in parts):  # of several orders none is the right one
        return stated
    return Fitted(parts[0].names, stated.count, whole=False, blanks_lost=parts[0].blanks_lost)


def inputs_of(
    model: Any, columns: Sequence[str], unnamed: Sequence[str] | None = None, known: Fitted | None = None
) -> list[str]:
    """Those of the columns that a model takes, in its order.

    Args:
        model: the model.
        columns: what there is.
        unnamed: what is meant where the model knows no names; `columns` if not given.
        known: what `fitted_on` said of it; it is asked if this is not given.

    Returns:
        The names that the model was fitted on. Without names all columns as they come; if only a model that it
        holds knows names, all columns, with those names in that model's order among the places that they have.

    Raises:
        SignatureError: if a column is not there, two may be meant by one name, or their number is another.
    """
    known = known or _columns(model)
    names = _named(known, columns)
    if names is not None and known.whole:
        return names
    if known.names is not None and known.whole and not known.by_place:
        lacking = next(name for name in known.names if name not in columns)
        raise SignatureError(
            f"the model was fitted on {lacking!r}, which is not among the columns",
            field=lacking,
            next=f"give the columns it was fitted on, by name; there are: {', '.join(columns) or 'none'}",
        )
    candidates = list(columns if unnamed is None else unnamed)
    count = known.count if known.names is None or not known.whole else len(known.names)
    if count is not None and count != len(candidates):
        raise SignatureError(
            f"the model was fitted on {count} columns, and there are {len(candidates)}: {', '.join(candidates)}",
            next="give the columns it was fitted on, in that order: inputs=rows.select([...])",
        )
    names = _named(known, candidates)
    if names is None:
        return candidates
    ordered = iter(names)
    return [next(ordered) if column in names else column for column in candidates]


def is_coded(model: Any) -> bool:
    """Whether a model of LightGBM or XGBoost was fitted on categories of pandas, and takes those only."""
    if getattr(lightgbm_of(model), "pandas_categorical", None):
        return True
    return "c" in (getattr(xgboost_of(model), "feature_types", None) or ())


def categories_of(model: Any, rows: pl.DataFrame) -> dict[str, list[Any]]:
    """The categories of a model of LightGBM or XGBoost that was fitted on those of pandas, by column; else empty.

    A number would be taken for a category's place in the list, and a column's own list may have another order.

    Args:
        model: the model.
        rows: the rows that it gets, its columns in its order.

    Raises:
        SignatureError: if it can't be known which columns they are, or a column is of another kind than its
            categories, or XGBoost, which takes no other categories, was not fitted on one.
    """
    if not is_coded(model):
        return {}
    xgboost = xgboost_of(model)
    categories = _of_lightgbm(lightgbm_of(model), rows) if xgboost is None else _of_xgboost(xgboost)
    for name, values in categories.items():
        if values and _is_number(rows, name) == isinstance(values[0], str):
            raise SignatureError(
                f"{name!r} is {rows.schema[name]}, and the model was fitted on categories such as {values[0]!r}",
                field=name,
                next="give the column in the type that it was fitted on",
            )
        unknown = [] if xgboost is None else set(rows[name].drop_nulls().unique().to_list()) - set(values)
        if unknown:
            raise SignatureError(
                f"the model was not fitted on the category {min(unknown)!r} of {name!r}",
                field=name,
                next="leave out these rows, or fit the model on such rows too",
            )
    return categories


def _of_lightgbm(booster: Any, rows: pl.DataFrame) -> dict[str, list[Any]]:
    """LightGBM knows the categories in the order of their columns, but not which columns they are."""
    categories = booster.pandas_categorical
    names = [name for name in rows.columns if not _is_number(rows, name)]
    if len(names) != len(categories):
        about = booster.dump_model(num_iteration=1)["feature_infos"]
        pairs = zip(booster.feature_name(), rows.columns, strict=True)
        names = [column for feature, column in pairs if about.get(feature, {}).get("values")]
    if len(names) != len(categories):
        raise SignatureError(
            f"the model was fitted on {len(categories)} columns of categories, and which they are is not known",
            next="fit it on numbers, or leave out categories that are the same in every row",
        )
    return dict(zip(names, categories, strict=True))


def _of_xgboost(booster: Any) -> dict[str, list[Any]]:
    """XGBoost keeps them since 3.1; before, it took the place of a category in the frame of the moment for it."""
    if not hasattr(booster, "get_categories"):
        raise SignatureError(
            "this release of XGBoost does not keep a model's categories", next="update xgboost, and fit it again"
        )
    kept = booster.get_categories(export_to_arrow=True).to_arrow()
    categories = {name: values.to_pylist() for name, values in kept if values is not None}
    lacking = booster.feature_types.count("c") - len(categories)
    if lacking:
        raise SignatureError(
            f"the categories of {lacking} columns are not kept in this model of XGBoost",
            next="fit it again, on a pandas frame and with XGBoost 3.1 or newer",
        )
    return categories


def _is_number(rows: pl.DataFrame, name: str) -> bool:
    from trikk.models.calling.dtypes import is_number

    return is_number(rows.schema[name]) or rows.schema[name].is_temporal()


def _named(known: Fitted, columns: Sequence[str]) -> list[str] | None:
    """The columns that the model's names mean; None if one is not there."""
    if known.names is None:
        return None
    if not known.blanks_lost or not any("_" in name for name in known.names):
        return list(known.names) if set(known.names) <= set(columns) else None
    by_name: dict[str, str] = {}
    for column in columns:
        name = column.replace(" ", "_")
        if name in known.names and by_name.setdefault(name, column) != column:
            raise SignatureError(
                f"the model was fitted on {name!r}, which may be {by_name[name]!r} or {column!r}",
                field=column,
                next="LightGBM has put _ for blanks: leave out the column that the model was not fitted on",
            )
    return [by_name[name] for name in known.names] if set(known.names) <= set(by_name) else None


def _numbered(names: Sequence[str]) -> bool:
    """Whether these are the names that LightGBM, CatBoost or a frame's own numbers give to columns."""
    return any(list(names) == [f"{prefix}{place}" for place in range(len(names))] for prefix in ("Column_", ""))


def _stated(model: Any) -> Fitted | None:
    """What an object says itself; None if it says nothing."""
    names: Any = None
    count: Any = None
    with contextlib.suppress(Exception):  # each library has an error of its own for "not fitted" or "no names"
        names = _names(model)
    with contextlib.suppress(Exception):
        count = len(names) if names is not None else _count(model)
    if names is not None and len(names):
        texts = tuple(map(str, names))
        by_place = _numbered(texts) or (is_session(model) and len(texts) == 1)  # one input can't be swapped
        return Fitted(texts, count, blanks_lost=is_of(model, "lightgbm"), by_place=by_place)
    stated = None
    if is_of(model, "sklearn"):
        steps = (step for _, step in getattr(model, "steps", ()))
        first = next((step for step in steps if step not in (None, "passthrough")), None)
        stated = None if first is None else _stated(first)
    if stated is None and isinstance(count, int):
        return Fitted(count=count)
    return stated


def _names(model: Any) -> Iterable[Any] | None:
    if is_of(model, "lightgbm", "Booster"):
        return list(model.feature_name())
    if is_of(model, "xgboost", "Booster"):
        return None if model.feature_names is None else list(model.feature_names)
    if is_of(model, "catboost"):
        return list(model.feature_names_)
    if is_session(model):
        inputs = model.get_inputs()
        return [one.name for one in inputs] if len(inputs) > 1 or _width(inputs[0]) == 1 else None
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else list(names)


def _count(model: Any) -> int | None:
    if is_session(model):
        return _width(model.get_inputs()[0])
    for attribute in ("n_features_in_", "num_feature", "num_features"):
        count = getattr(model, attribute, None)
        if callable(count) and (is_of(model, "lightgbm") or is_of(model, "xgboost")):
            count = count()
        if isinstance(count, int):
            return count
    return None


def _width(one: Any) -> int | None:
    """How many columns an input of an ONNX session takes; None if it does not say."""
    shape = list(one.shape)
    width = 1 if len(shape) < 2 else shape[1]
    return width if isinstance(width, int) else None


def _models_inside(model: Any) -> list[Fitted]:
    """What the models that an object holds say, of those that know names: in attributes, lists and dicts."""
    stated_parts: list[Fitted] = []
    level, seen = _parts(model), {id(model)}
    for _ in range(_DEPTH):
        deeper: list[Any] = []
        for part in level:
            if id(part) in seen or len(seen) > _MOST_PARTS:
                continue
            seen.add(id(part))
            predicts = is_session(part) or callable(getattr(part, "predict", None))
            stated = _stated(part) if predicts else None
            if stated is not None and stated.names and not stated.by_place:
                stated_parts.append(stated)
            else:
                deeper += _parts(part)
        level = deeper
    return stated_parts


def _parts(value: Any) -> list[Any]:
    """What an object holds that may be a model or hold one."""
    if isinstance(value, dict | list | tuple):
        parts = list(islice(value.values() if isinstance(value, dict) else value, _MOST_PARTS))
    elif isinstance(value, functools.partial):
        parts = [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, types.MethodType):
        parts = [value.__self__]
    elif isinstance(value, types.FunctionType):
        parts = [cell.cell_contents for cell in value.__closure__ or () if cell != types.CellType()]
    else:
        names = [name for base in type(value).__mro__ for name in _slots(base)]
        parts = [*getattr(value, "__dict__", {}).values(), *(getattr(value, name, None) for name in names)]
    return [part for part in parts[:_MOST_PARTS] if not _is_data(part)]


def _slots(base: type) -> list[str]:
    """The attributes that a class has slots for; of private ones their name outside of it."""
    slots = base.__dict__.get("__slots__", ())
    private = f"_{base.__name__.lstrip('_')}"
    return [
        f"{private}{name}" if name.startswith("__") and not name.endswith("__") else name
        for name in ([slots] if isinstance(slots, str) else slots)
    ]


def _is_data(value: Any) -> bool:
    if isinstance(value, list | tuple | dict | types.FunctionType | types.MethodType | functools.partial):
        return False
    return isinstance(value, type | types.ModuleType) or type(value).__module__.partition(".")[0] in _DATA
