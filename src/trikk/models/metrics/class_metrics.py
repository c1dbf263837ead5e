"""Metrics of classes over cases: counted in one pass over (slice, truth, predicted), whatever is asked for.

Counts give what follows from counts (`confusion`); sums over cases the losses of probabilities; and only AUC and
average precision need the cases in order. A class that the truth has and the model does not has probability 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trikk.models.metrics.case_labels import Labels, Texts
from trikk.models.metrics.confusion import BY_CLASS, Confusion, counted, parts_of, undefined
from trikk.models.metrics.expressions import auc_of, clipped
from trikk.models.metrics.metric import RANKED, Metric
from trikk.models.metrics.score_bins import Bins, bin_of, to_flat
from trikk.models.task import Task

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import EngineType

GAPS = 10
"""Bins of the expected calibration error (Naeini, Cooper, Hauskrecht, AAAI 2015).

Of few cases it is too high: of 100 cases, some 0.05 by chance alone.
"""
_MANY = 100_000
"""Of so many rows a query is worth the threads that it wakes."""
_KEY = "_slice"
_TRUTH, _SAID, _ROWS, _SHARE, _CONFIDENCE = "_truth", "_said", "_rows", "_share_", "_confidence"


@dataclass(slots=True)
class Tally:
    """What the metrics of the cases of one slice are made of.

    Attributes:
        counts: by class.
        sums: above and below the line, by metric.
        ranked: AUC and average precision of all cases.
        bins: a histogram of the probabilities of each class.
        gaps: by bin, the sum of probability minus truth; and the number of cases as last.
        flaw: why nothing can be said of the probabilities; "" if it can.
    """

    counts: Confusion
    sums: dict[str, list[float]] = field(default_factory=dict)
    ranked: dict[str, float | None] = field(default_factory=dict)
    bins: dict[str, Bins] = field(default_factory=dict)
    gaps: list[float] = field(default_factory=list)
    flaw: str = ""

    def sums_of(self, metric: Metric, of: str | None) -> list[float] | None:
        """The sums above and below the line of a metric; None if it is not a quotient of sums."""
        if metric.name in self.sums or metric.of_probabilities:
            return self.sums.get(metric.name)
        return parts_of(metric.single, self.counts, metric.of or of)

    def scores(self, *, counts: bool = False) -> dict[str, Any]:
        """What figures of probabilities can be taken together from, as JSON; empty if nothing needs it.

        Args:
            counts: whether the counts are wanted, too.
        """
        scores: dict[str, Any] = {"counts": self.counts.to_json()} if counts and self.counts.total else {}
        if self.bins:
            scores["bins"] = {name: to_flat(bins) for name, bins in sorted(self.bins.items())}
        if self.gaps:
            scores["gaps"] = self.gaps
        return scores


def about_one(name: str) -> bool:
    """Whether a metric of two classes is about the positive one, so that those of another don't add up with it."""
    return name in BY_CLASS or name in ("brier", "calibration", "ece", *RANKED)


def valued(metric: Metric, tally: Tally, of: str | None) -> tuple[float | None, str]:
    """A metric of a slice; or None, and why.

    Args:
        metric: one that fits the task.
        tally: of the slice.
        of: of two classes the positive one, as text.
    """
    name = metric.name
    if not tally.counts.total:
        return None, "no case has both a prediction and a truth"
    if not metric.of_probabilities:
        of = metric.of or of
        if metric.single in BY_CLASS and of is None:
            return None, "which class is positive is not known: say positive="
        value = counted(metric.single, tally.counts, of)
        return value, "" if value is not None else undefined(metric.single, tally.counts, of)
    if tally.flaw:
        return None, tally.flaw
    if name in RANKED:
        value = tally.ranked.get(name)
        return value, "" if value is not None else unranked(name, tally.bins)
    if name == "ece":
        return gap_of(tally.gaps), ""
    if name not in tally.sums:  # rows of a version that told fewer classes apart, or more
        return None, f"{name} does not fit the classes of these cases"
    above, below = tally.sums[name]
    return (above / below, "") if below else (None, "no case has a probability")


def gap_of(gaps: Sequence[float]) -> float | None:
    """The expected calibration error, of `Tally.gaps`."""
    return math.fsum(map(abs, gaps[:-1])) / gaps[-1] if gaps and gaps[-1] else None


def unranked(name: str, bins: Mapping[str, Bins]) -> str:
    """Why an AUC or an average precision has no value."""
    for text, one in bins.items():
        misses, hits = (sum(counts[side] for counts in one.values()) for side in (0, 1))
        if not hits:
            return f"no case is {text}"
        if not misses and name == "auc":
            return f"every case is {text}"
    return "no case has a probability"


class Tallies:
    """Cases with what is summed of them, over any column of slices.

    Args:
        rows: the cases; those without a truth or a prediction are left out.
        labels: how they are to be read.
        metrics: what is wanted of them.
        slices: the columns that are asked for.
        keep_bins: whether the histograms of all cases are kept even if no metric needs them.

    Raises:
        UsageError: if truth and predictions can't be compared.
    """

    def __init__(
        self,
        rows: pl.DataFrame,
        labels: Labels,
        metrics: Sequence[Metric],
        slices: Sequence[str] = (),
        *,
        keep_bins: bool = False,
    ) -> None:
        self.labels = labels
        self.texts = Texts(rows.schema, labels)
        self.names = {metric.name for metric in metrics if not metric.top}
        self.tops = {metric.name: metric.top for metric in metrics if metric.top}
        wanted = keep_bins or any(metric.of_probabilities for metric in metrics)
        self.flaw = _flaw(rows, [*labels.probabilities]) if wanted else "no figure of probabilities was asked for"
        self.ranked = [name for name in RANKED if name in self.names and not self.flaw]
        self.lacks = not self.flaw and _lacks(rows, labels)
        self.keeps_bins = bool(self.ranked) or (keep_bins and not self.flaw)
        self.slices = list(dict.fromkeys(slices))
        losses = self._losses()
        self.losses = [*losses]
        self.engine: EngineType = "streaming" if rows.height > _MANY else "in-memory"
        self.cases = self._cases(rows, losses)
        self._cells: dict[str, pl.DataFrame] = {}

    def over(self, by: str | None) -> dict[Any, Tally]:
        """The tallies by the values of a column that was asked for; None: of all cases, under the key None."""
        import polars as pl

        tallies: dict[Any, Tally] = {} if by is not None else {None: Tally(Confusion(), flaw=self.flaw)}
        cells: dict[Any, list[tuple[Any, ...]]] = {}
        if by is None:
            counted = self._counted(next(iter(self.slices), "")).drop(_KEY)
            rows = counted.group_by(_TRUTH, _SAID).agg(pl.all().sum()).rows()
            cells |= {None: rows} if rows else {}
        else:
            for row in self._counted(by).iter_rows():
                cells.setdefault(row[0], []).append(row[1:])
        for key, rows in cells.items():
            tallies[key] = self._tally(rows)
        if "ece" in self.names and not self.flaw:
            self._add_gaps(tallies, by)
        if self.ranked or (self.keeps_bins and by is None):
            self._add_ranks(tallies, by)
        return tallies

    def _counted(self, by: str) -> pl.DataFrame:
        """The slice, truth, predicted, how many cases, and for each sum what is above and below the line."""
        import polars as pl

        if by not in self._cells:
            both = [[pl.col(name).sum(), pl.col(name).count().alias(f"#{name}")] for name in self.losses]
            wanted = [pl.len().alias(_ROWS), *(one for pair in both for one in pair)]
            slice_ = (pl.col(by) if by else pl.lit(None)).alias(_KEY)
            grouped = self.cases.group_by(slice_, pl.col(_TRUTH), pl.col(_SAID)).agg(wanted)
            cells = grouped.collect(engine=self.engine)  # less is copied than if cases were left out before
            self._cells[by] = cells.drop_nulls([_TRUTH, _SAID])
        return self._cells[by]

    def _tally(self, rows: Sequence[tuple[Any, ...]]) -> Tally:
        true = {value: self.texts.truth(value) for value in {row[0] for row in rows}}
        said = {value: self.texts.said(value) for value in {row[1] for row in rows}}
        tally = Tally(Confusion.of((true[row[0]], said[row[1]], row[2]) for row in rows), flaw=self.flaw)
        for place, name in enumerate(self.losses):
            above = math.fsum(row[3 + 2 * place] for row in rows)
            tally.sums[name] = [above, sum(row[4 + 2 * place] for row in rows)]
        return tally

    def _cases(self, rows: pl.DataFrame, losses: Mapping[str, pl.Expr]) -> pl.LazyFrame:
        """The slices, truth and prediction, and what each case adds to a sum."""
        import polars as pl

        truth = pl.col(self.labels.truth)
        wanted = [*map(pl.col, self.slices), truth.alias(_TRUTH), self.labels.said.alias(_SAID)]
        wanted += [part.cast(pl.Float64).alias(name) for name, part in losses.items()]
        if self.keeps_bins:
            wanted += [share.alias(_SHARE + text) for text, share in self._shares().items()]
        if "ece" in self.names and not self.flaw:
            wanted.append(self._confidence().alias(_CONFIDENCE))
        cases = rows.lazy().select(wanted)
        # polars does not keep what a lazy query made: each further use would compute all columns again
        is_needed_once = len(self.slices) <= 1 and not self.keeps_bins and "ece" not in self.names
        return cases if is_needed_once else cases.collect().lazy()

    def _shares(self) -> dict[str, pl.Expr]:
        """The probability of each class; 0 if its model does not know it, null where there is none of any."""
        import polars as pl

        shares = {text: pl.col(name).cast(pl.Float64) for name, text in self.labels.probabilities.items()}
        if len(shares) == 1 or not self.lacks:
            return shares
        known = pl.any_horizontal(share.is_not_null() for share in shares.values())
        return {text: pl.when(known).then(share.fill_null(0.0)) for text, share in shares.items()}

    def _chosen(self, of: pl.Expr, kind: pl.DataType) -> pl.Expr:
        """The probability of the class that a column names, 0 of one that the model does not know."""
        import polars as pl

        shares = self._shares()
        chosen: pl.Expr = pl.lit(0.0)
        if self.lacks:
            chosen = pl.when(pl.any_horizontal(share.is_not_null() for share in shares.values())).then(0.0)
        for text, share in shares.items():
            chosen = pl.when(self.texts.is_class(of, kind, text)).then(share).otherwise(chosen)
        return chosen

    def _losses(self) -> dict[str, pl.Expr]:
        """What a case adds to each sum, as an expression over the cases."""
        if self.flaw:
            return {}
        losses = self._losses_of_two() if self.labels.task is Task.BINARY else self._losses_of_many()
        return {name: part for name, part in losses.items() if name in self.names or name in self.tops}

    def _losses_of_two(self) -> dict[str, pl.Expr]:
        import polars as pl

        (text, share), *_ = self._shares().items()
        positive = self._is_true(text)
        likely = clipped(share)
        gap = share - positive.cast(pl.Float64)
        return {
            "logloss": -pl.when(positive).then(likely).otherwise(1 - likely).log(),
            "brier": gap**2,
            "calibration": gap,
        }

    def _losses_of_many(self) -> dict[str, pl.Expr]:
        import polars as pl

        shares = self._shares()
        true = self._chosen(pl.col(self.labels.truth), self.texts.truth_kind)
        squares = pl.sum_horizontal(share**2 for share in shares.values())
        losses = {"logloss": -clipped(true).log(), "brier": squares - 2 * true + 1}
        ahead = pl.sum_horizontal((share > true).cast(pl.Int32) for share in shares.values())
        ties = pl.lit(0)
        behind: list[str] = []
        for text, share in shares.items():  # of equal ones the last is first, as scikit-learn has it
            later = pl.any_horizontal(self._is_true(one) for one in behind) if behind else pl.lit(value=False)
            ties = ties + ((share == true) & later).cast(pl.Int32)
            behind.append(text)
        known = pl.any_horizontal(self._is_true(text) for text in shares)
        for name, most in self.tops.items():
            losses[name] = pl.when(true.is_not_null()).then((ahead + ties < most) & known).cast(pl.Float64)
        return losses

    def _is_true(self, text: str) -> pl.Expr:
        import polars as pl

        return self.texts.is_class(pl.col(self.labels.truth), self.texts.truth_kind, text)

    def _confidence(self) -> pl.Expr:
        """The probability that calibration is about: of the positive class, or of that of many which was said."""
        import polars as pl

        if self.labels.task is Task.BINARY:
            return next(iter(self._shares().values()))
        return self._chosen(pl.col(self.labels.predicted), self.texts.said_kind)

    def _add_gaps(self, tallies: Mapping[Any, Tally], by: str | None) -> None:
        """By tenth of the probability, the sum of probability minus truth."""
        import polars as pl

        number = (pl.col(_CONFIDENCE) * GAPS).floor().clip(0, GAPS - 1).cast(pl.Int8).alias("_bin")
        keys = [pl.lit(None).alias("_all") if by is None else pl.col(by), number, pl.col(_TRUTH), pl.col(_SAID)]
        known = self.cases.drop_nulls([_TRUTH, _SAID, _CONFIDENCE])
        for key, place, truth, said, total, count in (
            known.group_by(keys).agg(pl.col(_CONFIDENCE).sum(), pl.len()).sort(pl.all()).collect().iter_rows()
        ):
            tally = tallies[key]
            tally.gaps = tally.gaps or [0.0] * (GAPS + 1)
            right = self.labels.of if self.labels.task is Task.BINARY else self.texts.said(said)
            tally.gaps[place] += total - count * (self.texts.truth(truth) == right)
            tally.gaps[GAPS] += count

    def _add_ranks(self, tallies: Mapping[Any, Tally], by: str | None) -> None:
        """AUC and average precision of each class against the others, and the histograms of its probabilities."""
        import polars as pl

        slice_ = pl.lit(None).alias("_all") if by is None else pl.col(by)
        kind = self.texts.truth_kind
        texts = [*self._shares()]
        exact: dict[Any, dict[str, list[float | None]]] = {key: {n: [] for n in self.ranked} for key in tallies}
        for text in texts:
            share = pl.col(_SHARE + text)
            cases = self.cases.drop_nulls([_TRUTH, _SAID, _SHARE + text])
            own = self.texts.is_class(pl.col(_TRUTH), kind, text)
            figures = [_RANKS[name](own, share).alias(name) for name in self.ranked]
            bins = cases.group_by(slice_, bin_of(share).alias("_bin")).agg((~own).sum().alias("others"), own.sum())
            ranks, bins_ = pl.collect_all([cases.group_by(slice_).agg(figures), bins])
            for key, *values in ranks.iter_rows():
                for name, value in zip(self.ranked, values, strict=True):
                    exact[key][name].append(value)
            for key, number, misses, hits in bins_.iter_rows():
                tallies[key].bins.setdefault(text, {})[number] = misses, hits
        for key, tally in tallies.items():
            _add_unknown(tally, exact[key])
            for name, values in exact[key].items():
                known = [value for value in values if value is not None]
                tally.ranked[name] = math.fsum(known) / len(known) if known and len(known) == len(values) else None


def _add_unknown(tally: Tally, exact: Mapping[str, list[float | None]]) -> None:
    """Add the classes that the truth has and the model does not: it gave each of them probability 0."""
    if len(tally.bins) < 2:  # of two classes, all that are not the positive one are the other
        return
    total = sum(map(sum, next(iter(tally.bins.values())).values()))
    for text, own in tally.counts.true.items():
        if text not in tally.bins:
            tally.bins[text] = {0: (total - own, own)}
            for name, values in exact.items():
                values.append((0.5 if total > own else None) if name == "auc" else own / total)


def _lacks(rows: pl.DataFrame, labels: Labels) -> bool:
    """Whether a case with truth and prediction lacks a probability of some class."""
    import polars as pl

    missing = pl.any_horizontal(pl.col(name).is_null() for name in labels.probabilities)
    both = pl.col(labels.truth).is_not_null() & pl.col(labels.predicted).is_not_null()
    return bool(rows.select((both & missing).any()).item())


def _flaw(rows: pl.DataFrame, columns: Sequence[str]) -> str:
    """Why nothing can be said of the probabilities of some rows."""
    import polars as pl

    if not columns:
        return "the predictions have no probabilities"
    ends = rows.select(
        *(pl.col(name).min().alias(f"-{name}") for name in columns),
        *(pl.col(name).max().alias(f"+{name}") for name in columns),
    ).row(0)
    least, most = ends[: len(columns)], ends[len(columns) :]
    low = min((value for value in least if value is not None), default=0.0)
    high = max((value for value in most if value is not None), default=0.0)
    return f"probabilities are outside 0 to 1 ({low:.6g} to {high:.6g})" if low < 0 or high > 1 else ""


def _average_precision(own: pl.Expr, share: pl.Expr) -> pl.Expr:
    """The mean over the cases of the class of the precision at their probability."""
    called = share.rank("max", descending=True).filter(own)
    hits = share.filter(own).rank("max", descending=True)
    return (hits / called).mean()


_RANKS = {"auc": auc_of, "average_precision": _average_precision}
