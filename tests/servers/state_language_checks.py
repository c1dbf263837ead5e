"""What others say of a state machine's definition: asl-validator and Amazon's language service."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_PACKAGES = (
    "asl-validator@4.0.0",
    "amazon-states-language-service@1.16.1",
    "vscode-languageserver-textdocument@1.0.12",
)
_FOLDER = Path(__file__).parents[1] / ".envs" / "state-language"


def findings(files: list[Path]) -> dict[str, dict[str, list[str]]]:
    """By file what each tool finds; the test is skipped, with the reason, where they can't be had."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"no checks of the states language: {program} is not installed")
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER.parent / "state-language.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (_FOLDER / "node_modules" / "amazon-states-language-service").exists():
            command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", "."]
            done = _run([*command, *_PACKAGES])
            if done.returncode:
                pytest.skip(f"no checks of the states language: {done.stderr.strip()[-200:]}")
        script = shutil.copy(Path(__file__).with_suffix(".mjs"), _FOLDER)
    done = _run(["node", str(script), *map(str, files)])
    assert done.returncode == 0, done.stderr
    said: Any = json.loads(done.stdout)
    return said  # type: ignore[no-any-return]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=_FOLDER, capture_output=True, text=True, timeout=300, check=False)
