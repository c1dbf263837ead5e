"""Pickles as other versions of packages have written them."""

from __future__ import annotations

import importlib
import json
from typing import Any

from msgspec.structs import replace

from trikk.core.digests import digest_file
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts


def written_under(artifacts: Artifacts, value: Any, **versions: str) -> Artifact:
    """The artifact of a value, as if it had been pickled under these versions."""
    saved = artifacts.save(value)
    magic, stamp, body = artifacts.store.fetch(saved.digest).read_bytes().split(b"\n", 2)
    path = artifacts.store.workspace() / "forged"
    path.write_bytes(magic + b"\n" + json.dumps({**json.loads(stamp), **versions}).encode() + b"\n" + body)
    digest = digest_file(path)
    artifacts.store.add(path, digest)
    return replace(saved, digest=digest)


class Moved:
    """Its class can't be found where it was."""

    def __reduce__(self) -> Any:
        return importlib.import_module, ("sklearn._loss_of_old",)
