"""The start function as the archive that Lambda takes: the same source gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from importlib import resources

MODULE = "start_function"
HANDLER = f"{MODULE}.handler"
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first time that the format knows
_READABLE = 0o644 << 16


def function_archive() -> bytes:
    """A zip file with the function's module. It is not compressed, since compressors differ."""
    source = resources.files(__package__).joinpath(f"{MODULE}.py").read_bytes()
    entry = zipfile.ZipInfo(f"{MODULE}.py", _EARLIEST)
    entry.external_attr = _READABLE
    entry.create_system = 3  # Unix, wherever this runs
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        file.writestr(entry, source)
    return archive.getvalue()


def code_sum(archive: bytes) -> str:
    """What Lambda calls CodeSha256: the SHA-256 of an archive in base 64."""
    return base64.b64encode(hashlib.sha256(archive).digest()).decode()
