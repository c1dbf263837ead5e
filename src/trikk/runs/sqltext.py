"""SQL as data: the statements and migrations in `sql/*.sql`, read when they are first needed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from trikk.runs.journal import is_plain

_FOLDER = Path(__file__).with_name("sql")


def statements(dialect: str, schema: str) -> dict[str, str]:
    """All statements by name, for a dialect ("sqlite" or "postgres") and a schema name that was validated."""
    texts = _read("statements.sql") | _read(f"{dialect}.sql")
    return {name: text.replace("$schema", schema) for name, text in texts.items()}


def script(file: str) -> str:
    """The whole of `sql/FILE`: a migration."""
    return (_FOLDER / file).read_text(encoding="utf-8")


def where(pipeline: str | None, state: str | None) -> tuple[str, dict[str, Any]]:
    """The WHERE clause of `runs` and `count`, and its values."""
    values = {name: text for name, text in (("pipeline", pipeline), ("state", state)) if text is not None}
    if not all(is_plain(text) for text in values.values()):
        return "WHERE 1 = 0", {}
    clause = " AND ".join(f"{name} = :{name}" for name in values)
    return (f"WHERE {clause}" if clause else ""), values


@cache
def _read(file: str) -> dict[str, str]:
    parts = script(file).split("-- name: ")[1:]
    return {name.strip(): text.strip() for name, _, text in (part.partition("\n") for part in parts)}
