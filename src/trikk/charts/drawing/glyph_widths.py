"""How wide a text is, near enough to keep labels apart: a page's fonts are not known where it is made.

The widths are those of DejaVu Sans, which is as wide as fonts of pages get, so that there is rather too much room.
"""

from __future__ import annotations

_GROUPS = {
    0.30: "ijlI'|",
    0.37: " .,:;/\\-f!",
    0.43: "rt()[]J",
    0.55: '"*?sc',
    0.60: "zLkvxy_FT",
    0.65: "0123456789abdeghnopquYEPS$",
    0.70: "ABCKRVZX&",
    0.79: "DGHNOQU",
    0.85: "w<>=+~^#",
    0.99: "mMW@%",
}
_WIDTHS = {character: width for width, characters in _GROUPS.items() for character in characters}
_MIDDLE, _IDEOGRAPH = 0.66, 1.0  # of other letters; Chinese, Japanese and Korean ones are squares
_DOTS = "…"


def text_width(text: str, size: float = 11) -> float:
    """How many pixels wide a text of a font's size in pixels is, about."""
    return size * sum(_WIDTHS.get(c, _IDEOGRAPH if c >= "\u2e80" else _MIDDLE) for c in text)


def fitted(text: str, width: float, size: float = 11) -> str:
    """The text, or as much of its start and end as fits into a width; what is left out is three dots in it.

    Names often differ at their ends only, so both are kept.
    """
    if text_width(text, size) <= width + 0.5:  # what a text was measured to need is enough
        return text
    for kept in range(len(text) - 1, 1, -1):
        head = kept - kept // 3
        shortened = text[:head].rstrip() + _DOTS + text[len(text) - kept // 3 :]
        if text_width(shortened, size) <= width:
            return shortened
    return text[:1] + _DOTS
