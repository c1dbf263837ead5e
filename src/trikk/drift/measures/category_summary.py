"""A column of texts or flags in a profile: exact counts while there are few, hashed ones beyond."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.digests import digest_bytes
from trikk.core.values import JSON

if TYPE_CHECKING:
    import polars as pl

FEW = 100
"""Up to so many categories are counted by name."""
BINS = 256
SMALLEST = 128
"""How many of the smallest hashes are kept, to estimate the number of categories (within 18 %, 19 times of 20)."""
# bytes of a text: with 100 of them a column stays below 10 kB
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Categories:
    """Texts, summed up.

    Attributes:
        count: how many.
        counts: how often each occurs, in the order of the texts, while there are at most 100; else None.
        bins: beyond that, how often the texts occur whose hash ends in each of 256 ways.
        smallest: and the 128 smallest hashes, ascending.
    """

    count: int
    counts: dict[str, int] | None
    bins: tuple[int, ...] = ()
    smallest: tuple[int, ...] = ()

    @classmethod
    def of(cls, column: pl.Series) -> Categories:
        """The summary of a String column without nulls."""
        frequencies = column.value_counts(name="count")
        pairs = zip(frequencies.to_series(0).to_list(), frequencies["count"].to_list(), strict=True)
        counts: dict[str, int] = {}
        for text, count in pairs:
            name = shortened(text)
            counts[name] = counts.get(name, 0) + count
        return _summed(len(column), counts)

    @property
    def distinct(self) -> float:
        """How many different texts: exact up to 100, an estimate beyond (Bar-Yossef et al., RANDOM 2002)."""
        if self.counts is not None:
            return float(len(self.counts))
        if len(self.smallest) < SMALLEST:
            return float(len(self.smallest))
        return (SMALLEST - 1) * 2.0**64 / self.smallest[-1]

    def hashed(self) -> Categories:
        """The same without the names."""
        return self if self.counts is None else _hashed(self.count, self.counts)

    def merge(self, *more: Categories) -> Categories:
        """The summary of all, the same whatever the order and grouping."""
        parts = (self, *more)
        count = sum(part.count for part in parts)
        named: dict[str, int] = {}
        for part in parts:
            for text, frequency in (part.counts or {}).items():
                named[text] = named.get(text, 0) + frequency
        rest = [part for part in parts if part.counts is None]
        if not rest:
            return _summed(count, named)
        rest.append(_hashed(0, named))
        bins = tuple(map(sum, zip(*(part.bins for part in rest), strict=True)))
        return Categories(count, None, bins, _least({h for part in rest for h in part.smallest}))

    def to_json(self) -> dict[str, JSON]:
        """The summary as JSON."""
        if self.counts is not None:
            return {"counts": {**self.counts}}
        return {"bins": [*self.bins], "smallest": [f"{h:016x}" for h in self.smallest]}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Categories:
        """The summary that `to_json` wrote; KeyError, TypeError or ValueError if it is none."""
        if "counts" in data:
            counts = {str(text): int(count) for text, count in data["counts"].items()}
            return cls(sum(counts.values()), counts)
        bins = tuple(int(count) for count in data["bins"])
        if len(bins) != BINS:
            raise ValueError("a wrong number of bins")
        return cls(sum(bins), None, bins, tuple(int(h, 16) for h in data["smallest"]))


def shortened(text: str) -> str:
    """A text as it is counted: one of more than 64 bytes by its beginning and its hash."""
    raw = text.encode(errors="surrogatepass")
    if len(raw) <= _LONGEST:
        return text
    return f"{raw[:40].decode(errors='ignore')}...{digest_bytes(raw)[:16]}"


def _summed(count: int, counts: dict[str, int]) -> Categories:
    if len(counts) > FEW:
        return _hashed(count, counts)
    return Categories(count, dict(sorted(counts.items())))


def _hashed(count: int, counts: dict[str, int]) -> Categories:
    bins = [0] * BINS
    hashes = set()
    for text, frequency in counts.items():
        number = int(digest_bytes(text.encode(errors="surrogatepass"))[:16], 16)
        bins[number % BINS] += frequency
        hashes.add(number)
    return Categories(count, None, tuple(bins), _least(hashes))


def _least(hashes: set[int]) -> tuple[int, ...]:
    return tuple(sorted(hashes)[:SMALLEST])
