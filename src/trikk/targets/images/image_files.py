"""Writes the files of an image into a folder, and has Docker or Podman build it where one of them is."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
from pathlib import Path

from msgspec.structs import replace

from trikk.core.errors import ProgramFailed, UsageError
from trikk.targets.images.container_image import (
    FIRST_LINE,
    REQUIREMENTS,
    ImageContents,
    dockerfile,
    dockerignore,
    has_hashes,
    names_in,
    required_names,
)

_LOCKS = ("requirements.lock", "requirements.txt")
_BUILDERS = ("docker", "podman")


def find_lock(root: Path) -> Path | None:
    """The project's file of locked packages; None if it has none."""
    return next((root / name for name in _LOCKS if (root / name).is_file()), None)


def write_image(folder: Path, contents: ImageContents, lock: Path | None, wheel: Path | None) -> ImageContents:
    """Write a Dockerfile, and beside it all that it copies; what `trikk image` wrote before is replaced.

    Args:
        folder: made if it is missing.
        contents: what is to be in the image; what follows from the files is filled in.
        lock: the file of locked packages; None without one.
        wheel: trikk's wheel; None to take trikk from the index.

    Raises:
        UsageError: if somebody else's Dockerfile lies there, or a file can't be read or written.
    """
    target = folder / "Dockerfile"
    try:
        if target.exists() and not target.read_text(errors="replace").startswith(FIRST_LINE):
            raise UsageError(
                f"{target} was not written by trikk", next="name another folder: trikk image --into DIR"
            )
        if lock is not None:
            contents = _with_lock(contents, lock)
        if wheel is not None:
            contents = replace(contents, wheel=wheel.name)
        text = dockerfile(contents)
        folder.mkdir(parents=True, exist_ok=True)
        for source, name in ((lock, REQUIREMENTS), (wheel, contents.wheel)):
            if source is not None and source.resolve() != (folder / name).resolve():
                shutil.copyfile(source, folder / name)
        (folder / ".dockerignore").write_text(dockerignore(contents))
        target.write_text(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the image's files can't be written: {error}", where=str(folder)) from error
    return contents


def _with_lock(contents: ImageContents, lock: Path) -> ImageContents:
    """What follows from the file of locked packages.

    Raises:
        UsageError: if it has hashes, and not all that trikk needs: nothing else would be installed.
    """
    text = lock.read_text()
    names, hashed = names_in(text.splitlines()), has_hashes(text)
    needed = required_names(importlib.metadata.requires("trikk") or [], contents.extras)
    if hashed and (lacking := sorted(needed - names)):
        extras = ",".join(sorted(set(contents.extras)))
        raise UsageError(
            f"{lock.name} has hashes, and not all that jobs need: {', '.join(lacking)}",
            where=str(lock),
            next=f"add trikk[{extras}] to what you lock",
        )
    return replace(contents, has_lock=True, has_hashes=hashed, lock_has_trikk="trikk" in names)


def build(folder: Path, tag: str) -> str:
    """Build the image of a folder; returns the program that did.

    Raises:
        UsageError: if neither Docker nor Podman is there.
        ProgramFailed: if the build fails; what it said has been shown.
    """
    builder = next((name for name in _BUILDERS if shutil.which(name)), None)
    if builder is None:
        raise UsageError(
            "there is neither docker nor podman on this machine",
            next=f"build it where one is: docker build --tag {tag} {folder}",
        )
    done = subprocess.run([builder, "build", "--tag", tag, str(folder)], check=False)
    if done.returncode:
        raise ProgramFailed(f"{builder} build ended with {done.returncode}", next="see what it said above")
    return builder
