"""Is everything all right? One sentence, and what it rests on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from trikk.core.record import Record


class Verdict(StrEnum):
    """How a project is doing, the best first."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


class Concern(Record, frozen=True):
    """Something that is not all right: how bad it is, in words, and the page that has more."""

    verdict: Verdict
    text: str
    address: str


def counted(verdict: Verdict, names: Sequence[str], singular: str, plural: str, address: str) -> list[Concern]:
    """A concern about so many; none without any.

    Args:
        verdict: how bad it is.
        names: what it is about.
        singular: what is said of one, such as "pipeline has failed".
        plural: of several.
        address: of the page.
    """
    if not names:
        return []
    return [Concern(verdict, f"{len(names)} {singular if len(names) == 1 else plural}", address)]


def by_weight(concerns: Iterable[Concern]) -> list[Concern]:
    """Concerns, the worst first."""
    ranks = list(Verdict)
    return sorted(concerns, key=lambda concern: -ranks.index(concern.verdict))


def sentence(concerns: Sequence[Concern], *, pipelines: int, ran: bool) -> str:
    """The answer in one sentence.

    Args:
        concerns: what is not all right.
        pipelines: how many there are.
        ran: whether anything has run yet.
    """
    if concerns:
        said = [concern.text for concern in concerns]
        joined = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
        return joined[0].upper() + joined[1:] + "."
    if not pipelines:
        return "There is no pipeline yet."
    return "Everything is all right." if ran else "Nothing is wrong, and nothing has run yet."
