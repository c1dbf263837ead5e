"""SQL as data: the statements and migrations in `sql/*.sql`, read when they are first needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from trikk.runs.journals.journal import is_plain

_FOLDER = Path(__file__).with_name("sql")
_BEYOND = {"before": "<", "after": ">"}
_VALUE = re.compile(r"(?<![:\w]):([a-z]+)")


@cache
def statements(dialect: str, schema: str, mark: str) -> dict[str, str]:
    """All statements by name; the same mapping each time, which is not to be changed.

    Args:
        dialect: "sqlite" or "postgres".
        schema: the schema's name, validated.
        mark: how the driver marks a named value, such as `:{}`.
    """
    texts = _read("statements.sql") | _read(f"{dialect}.sql")
    return {
        name: _VALUE.sub(lambda found: mark.format(found[1]), text.replace("$schema", schema))
        for name, text in texts.items()
    }


def unchained(texts: dict[str, str]) -> dict[str, str]:
    """The statements for a journal of an earlier version that can only be read, and has no checksums."""
    without = {name: text.replace(", chain", ", NULL") for name, text in texts.items()}
    return without | {"every_head": "SELECT NULL, NULL WHERE 1 = 0", "unchecked": "SELECT 0"}


def serverless(texts: dict[str, str]) -> dict[str, str]:
    """The statements for a journal of an earlier version that can only be read, and knows no servers."""
    return texts | {"servers": "SELECT 1 WHERE 1 = 0"}


def script(file: str, schema: str) -> str:
    """The whole of `sql/FILE`: a migration."""
    return _text(file).replace("$schema", schema)


def where(
    pipeline: str | None, state: str | None, mark: str, ends: Mapping[str, int] | None = None
) -> tuple[str, dict[str, Any]]:
    """The WHERE clause of `runs` and `count`, and its values; `ends`: the `seq` of the run "before" or "after"."""
    values: dict[str, Any] = {k: v for k, v in (("pipeline", pipeline), ("state", state)) if v is not None}
    if not all(is_plain(text) for text in values.values()):
        return "WHERE 1 = 0", {}
    terms = [f"{name} = {mark.format(name)}" for name in values]
    for end, seq in (ends or {}).items():
        terms, values = [*terms, f"seq {_BEYOND[end]} {mark.format(end)}"], {**values, end: seq}
    return (f"WHERE {' AND '.join(terms)}" if terms else ""), values


@cache
def _read(file: str) -> dict[str, str]:
    parts = _text(file).split("-- name: ")[1:]
    return {name.strip(): text.strip() for name, _, text in (part.partition("\n") for part in parts)}


def _text(file: str) -> str:
    return (_FOLDER / file).read_text(encoding="utf-8")
