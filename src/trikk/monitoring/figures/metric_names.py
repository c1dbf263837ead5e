"""What the metrics of a monitor are called, and where the author's own are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trikk.core.errors import UnknownName, UsageError
from trikk.models.metrics.by_name import metric_of
from trikk.models.metrics.own_metric import Metric, is_place, place_of, short

RESERVED = (
    "coverage",
    "ece",
    "interval_coverage",
    "waiting",
    "unpredicted",
    "predicted",
    "observed",
    "labelled",
    "unseen",
    "set_aside",
    "too_late",
    "too_early",
    "corrected",
    "unseen_class",
    "baseline",
    "usual",
    "estimated",
    "abs",
    "and",
    "or",
    "not",
)
"""Names that mean something else in figures or in conditions."""

Own = dict[str, dict[str, Any]]
"""By name, `function` ("module:name") and `better` ("" if that is not known)."""


def named(metrics: Sequence[str | Metric | Callable[..., float]]) -> tuple[tuple[str, ...], Own]:
    """The names of metrics as an author gives them, and those that are the author's own.

    Raises:
        UsageError: if there is none, one is not known, or two have one name.
    """
    if isinstance(metrics, str):
        raise UsageError(f"metrics is the text {metrics!r}", next=f'write a list: metrics=["{metrics}"]')
    names: list[str] = []
    own: Own = {}
    for metric in metrics:
        given = metric if isinstance(metric, Metric) else None
        if (isinstance(metric, str) and not is_place(metric)) or (given and not given.function):
            name = metric_of(given.name if given else str(metric)).name
        else:
            function = given.function if given else metric if isinstance(metric, str) else place_of(metric)
            name = given.name if given else short(function)
            _check_free(name)
            own[name] = {"function": function, "better": given.better if given else ""}
        if name in names:
            raise UsageError(
                f"two metrics are called {name!r}", next=f'leave one out, or name it: Metric({name}, name="...")'
            )
        names.append(name)
    if not names:
        raise UsageError("a monitor needs a metric", next='such as metrics=["mae"]')
    return tuple(names), own


def _check_free(name: str) -> None:
    if _means_something(name) or name in RESERVED or name.startswith("quantile_"):
        raise UsageError(
            f"{name!r} can't name a metric of your own: it already means something",
            next=f'name it otherwise: Metric({name}, name="my_{name}")',
        )


def _means_something(name: str) -> bool:
    try:
        return bool(metric_of(name).name)
    except UnknownName:
        return False


def renewed(data: Mapping[str, Any]) -> dict[str, Any]:
    """A definition's metrics as they are named now; once an author's own had the name "module:function"."""
    names = [str(name) for name in data["metrics"]]
    called = [short(name) for name in names]
    old = {n: new if called.count(new) == 1 else n for n, new in zip(names, called, strict=True) if is_place(n)}
    own = {**data.get("own", {}), **{new: {"function": name, "better": ""} for name, new in old.items()}}
    return {**data, "metrics": tuple(old.get(name, name) for name in names), "own": own}


def renewed_figures(figures: Mapping[str, float | None]) -> dict[str, float | None]:
    """Figures by the names that metrics have now."""
    if ":" not in "".join(figures):  # in none of the names, which a watch reads by the hundred thousand
        return dict(figures)
    names = [short(name) for name in figures]
    return {short(name) if names.count(short(name)) == 1 else name: value for name, value in figures.items()}
