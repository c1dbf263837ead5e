"""Journals of every kind, as for the tests of journals."""

from tests.runs.conftest import postgres_location

__all__ = ["postgres_location"]
