"""A project's health and room as answers have them."""

from __future__ import annotations

from typing import TypedDict


class FindingDocument(TypedDict):
    """One thing that was looked at, whether it is as it should be, and what to do about it."""

    subject: str
    good: bool
    text: str
    next: str | None


class FindingsDocument(TypedDict):
    """What was looked at in a project, and whether all of it is as it should be."""

    healthy: bool
    findings: list[FindingDocument]


class CollectedDocument(TypedDict):
    """What clean-up has removed, or would; sizes in bytes, `kinds` has how many and how many bytes."""

    kept: int
    forgotten: int
    artifacts: int
    bytes: int
    table_files: int
    kinds: dict[str, list[int]]
    compressed: int
    compressed_bytes: int
    spared: int
    spared_bytes: int
    reasons: list[str]


class IngestedDocument(TypedDict):
    """What loading a file came to, as `trikk ingest --json` says it."""

    files: list[str]
    rows: int
    dropped: int
    version: int | None
    repeated: bool
    new: int
    changed: int
    equal: int
    different: int
    examples: list[str]
    columns: dict[str, str]
    doubts: list[str]
