"""Environments of their own for what can't be in the developers' one: made once, shared by all test processes."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_FOLDER = _ROOT / "tests" / ".envs"


def python_of(name: str) -> Path:
    """The interpreter of an environment with the packages of requirements/NAME.txt, and trikk as it is here.

    The test is skipped, with the reason, where it can't be made.
    """
    locked = _ROOT / "requirements" / f"{name}.txt"
    mark = hashlib.sha256(locked.read_bytes() + sys.version.encode()).hexdigest()
    folder = _FOLDER / name
    _FOLDER.mkdir(exist_ok=True)
    with (_FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / "made-from"
        if not made.exists() or made.read_text() != mark:
            shutil.rmtree(folder, ignore_errors=True)
            trouble = _make(folder, locked)
            if trouble is not None:
                pytest.skip(f"no environment with {name}: {trouble}")
            made.write_text(mark)
    return folder / "bin" / "python"


def _make(folder: Path, locked: Path) -> str | None:
    """None when it stands, else the last line of what went wrong."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        return "uv is not installed"
    python = str(folder / "bin" / "python")
    base = getattr(sys, "_base_executable", sys.executable)
    for arguments in (
        ["venv", "--quiet", "--python", base, str(folder)],
        ["pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(locked)],
    ):
        try:
            done = subprocess.run([uv, *arguments], capture_output=True, text=True, timeout=900, check=False)
        except (OSError, subprocess.TimeoutExpired) as trouble:
            return str(trouble)
        if done.returncode != 0:
            return (done.stderr.strip().splitlines() or [f"uv ended with {done.returncode}"])[-1]
    site = next((folder / "lib").glob("python*")) / "site-packages"
    (site / "trikk-here.pth").write_text(f"{_ROOT / 'src'}\n")
    return None
