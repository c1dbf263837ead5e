"""SQLite files that may not be written, or nothing beside them: a copy of a project, a backup, a snapshot.

SQLite in WAL mode wants to write beside the file even to read it. Where it can't, the file is opened as one that
nobody changes; where a log (-wal) was left beside it, which SQLite would have to put in, a copy of both is.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any


def is_read_only(file: Path) -> bool:
    """Whether there is a file that can't be written, or nothing beside it can be."""
    return file.is_file() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def connect(file: Path, **options: Any) -> sqlite3.Connection:
    """A connection that only reads, with the options of `sqlite3.connect`.

    Raises sqlite3.Error as that does, and OSError if the file or its log can't be copied.
    """
    connection: sqlite3.Connection
    log = file.with_name(f"{file.name}-wal")
    if not log.exists() or log.stat().st_size == 0:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?immutable=1", uri=True, **options)
    else:
        import tempfile  # late, since most projects can be written

        with tempfile.TemporaryDirectory(prefix="trikk-") as folder:  # an open file outlives its name
            for each in (file, log):
                shutil.copyfile(each, Path(folder) / each.name)
            connection = sqlite3.connect(Path(folder) / file.name, **options)
            connection.execute("SELECT * FROM sqlite_master LIMIT 1").fetchall()  # puts the log in
    connection.execute("PRAGMA query_only = ON")
    return connection
