"""p-values of many columns, corrected for there being many: of 100 tests at 5 %, five find something by chance."""

from __future__ import annotations

from collections.abc import Sequence

from trikk.core.errors import UsageError

CORRECTIONS = ("benjamini-hochberg", "holm", None)


def adjusted(p_values: Sequence[float], correction: str | None) -> list[float]:
    """The p-values after a correction, in the same order; each may be compared with one level.

    Args:
        p_values: of all tests that were made together.
        correction: "benjamini-hochberg" bounds the share of false alarms among the alarms (Benjamini and Hochberg,
            J. R. Statist. Soc. B 57 (1995) 289-300); "holm" the probability of a single one (Holm, Scand. J.
            Statist. 6 (1979) 65-70); None leaves them as they are.

    Raises:
        UsageError: if the correction is none of these.
    """
    if correction not in CORRECTIONS:
        raise UsageError(f"there is no correction {correction!r}", next='use "benjamini-hochberg", "holm" or None')
    if correction is None:
        return list(p_values)
    count = len(p_values)
    order = sorted(range(count), key=lambda i: p_values[i])
    corrected = [0.0] * count
    if correction == "holm":
        least = 0.0
        for rank, i in enumerate(order):
            least = max(least, min(1.0, (count - rank) * p_values[i]))
            corrected[i] = least
    else:
        most = 1.0
        for rank in range(count - 1, -1, -1):
            i = order[rank]
            most = min(most, p_values[i] * count / (rank + 1))
            corrected[i] = most
    return corrected
