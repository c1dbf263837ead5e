"""What a name may be. Names become parts of paths, SQL and URLs, so the rule is narrow and in one place."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

from trikk.core.errors import UsageError
from trikk.core.text import shorten

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}\Z")
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LETTERS = "abcdefghjkmnpqrs"
RUN_ID_LENGTH = 12
LONGEST_TITLE = 200


def check_name(kind: str, name: object, *, where: str | None = None) -> str:
    """Return `name` if it can name a `kind` (pipeline, step, table ...).

    A name begins with a letter, goes on with letters, digits, `_` and `-`, and has at most 100 characters.

    Raises:
        UsageError: if it is anything else, such as `../x`, a name with a NUL, or one of 300 characters.
    """
    if isinstance(name, str) and _NAME.match(name):
        return name
    shown = shorten(repr(name), 60)
    raise UsageError(
        f"{shown} can't name a {kind}",
        where=where,
        next="use a letter, then letters, digits, _ and -, at most 100 characters",
    )


def step_name(name: Any, step: Any) -> Any:
    """The name of a step by name=, or by step=, as older projects have it.

    Raises:
        UsageError: if both are given.
    """
    if name is not None and step is not None:
        raise UsageError("name= and step= are the same, and both are given", next="leave out step=")
    return step if name is None else name


def check_title(kind: str, text: object) -> str:
    """Return `text` if it can be what people call something: a line of at most 200 characters, or "".

    Raises:
        UsageError: if it is anything else; `kind` is the argument that it was given as.
    """
    if isinstance(text, str) and text.isprintable() and len(text) <= LONGEST_TITLE:
        return text
    raise UsageError(
        f"{kind}= must be one line of at most {LONGEST_TITLE} characters", next=f'{kind}="People, monthly"'
    )


def new_run_id() -> str:
    """A random run id: 12 characters of Crockford's base 32 in lower case (60 bits), a letter (a to s) first."""
    letters = [_ALPHABET[byte % len(_ALPHABET)] for byte in os.urandom(RUN_ID_LENGTH)]
    letters[0] = _LETTERS[ord(os.urandom(1)) % len(_LETTERS)]
    return "".join(letters)


def run_id_of(text: str) -> str:
    """The run id that stands for a text, such as what an engine calls an execution: the same each time."""
    number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=RUN_ID_LENGTH).digest())
    letters = []
    for _ in range(RUN_ID_LENGTH):
        number, place = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[place])
    letters[0] = _LETTERS[number % len(_LETTERS)]
    return "".join(letters)
