"""The same project folders as for the tests of execution."""

from tests.execution.conftest import folder, shared

__all__ = ["folder", "shared"]
