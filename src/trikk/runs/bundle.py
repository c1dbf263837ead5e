"""A run's code: the project's source files, stored by content, so that any run can be executed again as it was.

A bundle is a JSON object from relative path to digest, itself stored under its digest; equal code gives an
equal name, and files that did not change between runs are stored once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from trikk.core.digests import digest_bytes
from trikk.core.errors import ArtifactCorrupt, ArtifactMissing, StorageError
from trikk.core.settings import STATE
from trikk.core.values import JSON, canonical
from trikk.storage.stores.store_port import Store

_LEFT_OUT = {STATE, ".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints", ".tox"}
_LARGEST = 10_000_000
_RESTORE = "restore it in the artifact store from a backup; trikk doctor names the runs that need it"


def source_files(root: Path, patterns: Sequence[str]) -> Iterator[Path]:
    """The project's code files in a fixed order; links, huge files and other projects' folders are left out."""
    paths: list[Path] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in _LEFT_OUT and not f.endswith(".egg-info"))
        base = Path(folder)
        for name in files:
            path = base / name
            relative = PurePosixPath(path.relative_to(root).as_posix())
            if any(_matches(relative, pattern) for pattern in patterns) and not path.is_symlink():
                paths.append(path)
    return (p for p in sorted(paths) if p.stat().st_size <= _LARGEST)


def _matches(path: PurePosixPath, pattern: str) -> bool:
    """`**/` at a pattern's beginning means any depth, none included."""
    if pattern.startswith("**/"):
        return path.match(pattern[3:])
    return path.match(pattern) and len(path.parts) == len(PurePosixPath(pattern).parts)


def manifest(root: Path, patterns: Sequence[str]) -> dict[str, str]:
    """Relative path (with `/`) to digest, for every code file of the project."""
    return {p.relative_to(root).as_posix(): digest_bytes(p.read_bytes()) for p in source_files(root, patterns)}


def bundle_digest(files: dict[str, str]) -> str:
    """The digest that names a bundle of these files."""
    return digest_bytes(canonical(dict(files)))


def capture(root: Path, patterns: Sequence[str], store: Store) -> str:
    """Store the project's code as it is now; returns the bundle's digest. What is there already is touched.

    Raises:
        StorageError: if it can't be stored.
    """
    files = manifest(root, patterns)
    digest = bundle_digest(files)
    for name, content in files.items():
        if not store.touch(content):
            _put(store, (root / name).read_bytes(), content)
    if not store.touch(digest):
        _put(store, canonical(dict(files)), digest)
    return digest


def touch(store: Store, digest: str) -> bool:
    """Whether a bundle and all of its files are in the store; their age begins anew then (see `Store.touch`)."""
    return store.touch(digest) and all(store.touch(content) for content in contents(store, digest).values())


def contents(store: Store, digest: str) -> dict[str, str]:
    """A stored bundle's relative paths and digests.

    Raises:
        ArtifactMissing: if the bundle is not in the store any more.
    """
    try:
        loaded = json.loads(store.fetch(digest).read_bytes())
    except (ArtifactMissing, ArtifactCorrupt) as error:
        how = "missing" if isinstance(error, ArtifactMissing) else "damaged"
        raise type(error)(f"the code bundle {digest[:12]} is {how}", where=error.where, next=_RESTORE) from error
    return {str(name): str(content) for name, content in loaded.items()}


def restore(store: Store, digest: str, into: Path) -> Path:
    """Lay a bundle out as a folder under `into`, again only if that was changed since, and return it.

    Raises:
        ArtifactMissing: if the bundle, or a file of it, is not in the store any more.
        StorageError: if a path in it leads outside.
    """
    target = into / digest
    files = contents(store, digest)
    if target.is_dir():
        if all(_is(target / name, content) for name, content in files.items()):
            return target
        shutil.rmtree(target)  # somebody has changed it
    half = into / f"{digest}.{os.urandom(4).hex()}.tmp"
    for name, content in files.items():
        path = half / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise StorageError(
                f"the code bundle {digest[:12]} holds the path {name!r}", next="do not use this bundle"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store.fetch(content), path)
    half.mkdir(parents=True, exist_ok=True)
    try:
        half.rename(target)
    except OSError:
        shutil.rmtree(half)  # another process was first
    return target


def _is(path: Path, digest: str) -> bool:
    try:
        return digest_bytes(path.read_bytes()) == digest
    except OSError:
        return False


def commit_of(root: Path) -> dict[str, JSON]:
    """The git commit of a project and whether it has changes since; empty where there is no git."""
    try:
        out = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--", "."],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = out.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), "")
    branch = next((line.split()[-1] for line in lines if line.startswith("# branch.head")), "")
    return {"commit": commit, "branch": branch, "dirty": any(not line.startswith("#") for line in lines)}


def _put(store: Store, data: bytes, digest: str) -> None:
    path = store.workspace() / f"code-{os.urandom(8).hex()}"
    try:
        path.write_bytes(data)
        store.add(path, digest)
    except OSError as error:
        raise StorageError(f"the project's code can't be stored: {error}", next="free some space") from error
    finally:
        path.unlink(missing_ok=True)
