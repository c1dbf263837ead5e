"""What a case adds to a metric, as polars expressions of its truth and its value; the formulas in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def said(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    """The class that a value stands for: itself, or that of a probability."""
    import polars as pl

    is_class = (value == value.floor()) | (value == truth)
    return pl.when(is_class).then(value).otherwise((value >= 0.5).cast(pl.Float64))


def was(truth: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG001 - it takes what others take
    """Whether a case is of the positive class."""
    return truth != 0


def called(truth: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG001 - it takes what others take
    """Whether a case was called positive."""
    return value >= 0.5


def hit(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    """Whether a case of the positive class was called positive."""
    return (truth != 0) & (value >= 0.5)


def was_and_called(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    """What a case adds below the line of F1: one if it was positive, one if it was called so."""
    import polars as pl

    return (truth != 0).cast(pl.Float64) + (value >= 0.5).cast(pl.Float64)


def clipped(probability: pl.Expr) -> pl.Expr:
    """A probability of which there is a logarithm: 0 would cost infinitely much; scikit-learn clips there, too."""
    least = 2.0**-52
    return probability.clip(least, 1 - least)


def logloss(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    """Minus the natural logarithm of the probability that a case's own class was given."""
    import polars as pl

    likely = clipped(value)
    return -pl.when(truth != 0).then(likely).otherwise(1 - likely).log()


def auc(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    """`auc_of` the positive class, over the cases that have a truth and a value."""
    return auc_of(truth.drop_nulls() != 0, value.drop_nulls())


def auc_of(own: pl.Expr, score: pl.Expr) -> pl.Expr:
    """The share of pairs of a case of a class and another that are ranked rightly (Mann and Whitney's U).

    Args:
        own: whether a case is of the class; no nulls.
        score: what the cases are ranked by; no nulls.

    Returns:
        Float64 from 0 to 1; null where there is no pair.
    """
    import polars as pl

    hits, misses = own.sum().cast(pl.Float64), (~own).sum().cast(pl.Float64)
    ranks = score.rank("average").filter(own).sum()
    return pl.when((hits > 0) & (misses > 0)).then((ranks - hits * (hits + 1) / 2) / (hits * misses))
