"""Names as AWS takes them: letters, digits and hyphens, short, and no two alike."""

from __future__ import annotations

from collections.abc import Iterable

from trikk.core.digests import digest_bytes

_MARK = 6  # characters of a digest: two of a thousand names clash once in sixteen thousand projects


def safe_names(names: Iterable[str], longest: int) -> dict[str, str]:
    """By name, what it is called where only `[A-Za-z0-9](-*[A-Za-z0-9])*` is taken.

    A name keeps its letters, with `-` for `_`. One that is too long, ends in a hyphen, or would be the same as
    another's ends in a piece of its digest instead; the same names always give the same result.

    Args:
        names: names as trikk takes them, which begin with a letter.
        longest: characters, at least 8.
    """
    safe: dict[str, str] = {}
    used: set[str] = set()
    # Those first that stay as they are: what somebody has written in full is not renamed for another's sake.
    for name in sorted(set(names), key=lambda name: (_hyphenated(name) != name, name)):
        short = _hyphenated(name)
        if short in used or len(short) > longest or short.endswith("-"):
            short = f"{short[: longest - _MARK - 1].rstrip('-')}-{digest_bytes(name.encode())[:_MARK]}"
        safe[name] = short
        used.add(short)
    return safe


def safe_name(name: str, longest: int) -> str:
    """What a single name is called there, as of `safe_names`."""
    return safe_names([name], longest)[name]


def _hyphenated(name: str) -> str:
    return name.replace("_", "-")
