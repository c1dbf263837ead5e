"""Runs that an engine carries out, as runs of the project, which pages, monitors and replay treat as any other."""
