"""A program's arguments and environment as texts. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from trikk.core.errors import UsageError
from trikk.core.network.addresses import REFERENCE, fill, holds_secret, texts_in
from trikk.steps.amazon.credentials import refuse_keys

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCHEME = re.compile(r"(?:(?:bearer|basic|token|digest|api-?key)\b)?[\s:=,;]*", re.IGNORECASE)
_SECRET = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|CREDENTIAL|PRIVATE_?KEY", re.IGNORECASE)


def check_environment(env: Mapping[str, object]) -> None:
    """Check the names of variables, and that secrets stand by reference.

    Raises:
        UsageError: if a name can't be one, or a variable that is named like a secret has a value, not `${NAME}`.
    """
    for name, value in env.items():
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name[:50]!r} is not a name of a variable", next="use letters, digits and _")
        if isinstance(value, str) and _SECRET.search(name) and not _is_referred(value):
            raise UsageError(
                f"env[{name!r}] looks like a secret",
                next=f'put it into the environment, and write env={{"{name}": "${{{name}}}"}}',
            )
    refuse_keys(*env.values())


def refuse_addresses(values: object, subject: str) -> None:
    """Refuse values with an address that holds a password or token in plain; `$NAME` is a shell's.

    Raises:
        UsageError: if there is one; it is not repeated.
    """
    for _, text in texts_in(values):
        if "$" not in text and not re.search(r"\s", text) and holds_secret(text):
            raise UsageError(
                f"{subject} holds an address with a password or a key",
                next="put it into the environment, which the program has, too, and read it there by its name",
            )


def _is_referred(value: str) -> bool:
    """Whether what is secret stands by reference: beside it may be a scheme ("Bearer"), an address or a path."""
    bare = REFERENCE.sub("", value)
    return bare != value and ("/" in bare or _SCHEME.fullmatch(bare) is not None)


def environment_of(
    env: Mapping[str, object], known: Mapping[str, str], secrets: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The variables of a program: all that are known, and those that are given, filled in as `fill` does.

    Args:
        env: those that are given.
        known: those that it has in any case.
        secrets: the values of references in `env`; `known` if not given.

    Raises:
        UsageError: as `check_environment`, and if a variable that one refers to is not set.
    """
    check_environment(env)
    texts = {name: word(given) for name, given in env.items()}
    values = known if secrets is None else secrets
    filled = {name: fill(text, values, where=f"env[{name!r}]", empty=True).text for name, text in texts.items()}
    return {**known, **filled}


def word(value: object) -> str:
    """A plain value as one argument of a program: a date as ISO text, True as true.

    Raises:
        UsageError: if it is not one, or holds a character that no argument can.
    """
    # As shells and config files write it, and before numbers, since True is one to Python.
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str | int | float):
        raise UsageError(
            f"a {type(value).__name__} can't be an argument of a program", next="pass it as a file: inputs={...}"
        )
    text = str(value)
    if "\0" in text:
        raise UsageError("an argument of a program can't hold a NUL character", next="pass it as a file")
    return text


def interpreter(first_line: bytes) -> list[str]:
    """The program that a script's `#!` line names, and its argument; empty if the line is none.

    As Linux reads it (execve(2)): a path, and at most one argument; `/usr/bin/env -S` splits further.
    """
    if not first_line.startswith(b"#!"):
        return []
    return first_line[2:].decode(errors="replace").strip().split(None, 1)
