"""What users wrote, as people are shown it: it steers no terminal, hides nothing, and is not too long to read.

Names, parameters, rows, logs and the texts of exceptions come from data. An escape sequence in them could move the
cursor, colour or hide what stands beside it, or set a terminal's title; a direction mark could turn a line around.
"""

from __future__ import annotations

import unicodedata


class _Escapes(dict[int, str | int]):
    """For `str.translate`: each character as itself if it can be seen, else written out; filled as they come."""

    def __missing__(self, code: int) -> str | int:
        character = chr(code)
        seen = character.isprintable() or unicodedata.category(character) == "Zs"  # a space that does not break
        shown = code if seen else character.encode("unicode_escape").decode()
        self[code] = shown
        return shown


_ON_ONE_LINE = _Escapes()
_ON_LINES = _Escapes({ord("\n"): "\n", ord("\t"): "\t"})


def printable(text: str) -> str:
    """The text on one line, with every character written out that can't be seen, or that a file can't hold."""
    return text if text.isprintable() else text.translate(_ON_ONE_LINE)


def printable_lines(text: str) -> str:
    r"""The text as `printable` gives it, but for ends of lines (`\n`, `\r\n`) and tabs, which stay."""
    return text if text.isprintable() else text.replace("\r\n", "\n").translate(_ON_LINES)


def counted(number: int, one: str, many: str = "") -> str:
    """So many of something: "1 day", "3,000 days"; `many` is its plural if that is not `one` with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def shorten(text: str, most: int) -> str:
    """The text, or as much of it as `most` characters hold; it then ends in three dots."""
    return text if len(text) <= most else text[: most - 3] + "..."
