"""One virtual environment per peer, made with uv from pinned versions, with trikk's own interpreter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.places import BIN, ENVIRONMENTS, REPOSITORY

FRAMES = ("pandas==3.1.1", "pyarrow==26.0.1")
PINS: dict[str, tuple[str, ...]] = {
    "luigi": ("luigi==3.8.1", *FRAMES),
    "kedro": ("kedro==1.7.0", "kedro-datasets[pandas,pickle]==9.6.0", *FRAMES),
    "metaflow": ("metaflow==2.19.39", *FRAMES),
    # Its open bounds admit a fastapi that it fails with, and a sqlalchemy with which it schedules nothing.
    "prefect": ("prefect==3.8.8", "fastapi<0.151", "sqlalchemy<2.1", *FRAMES),
    "dagster": ("dagster==1.13.27", "dagster-webserver==1.13.27", *FRAMES),
    "mlflow": ("mlflow==3.17.2", f"scikit-learn=={version('scikit-learn')}"),  # the model is pickled by ours
    "browser": ("playwright==1.65.2",),
    "evidently": ("-r", str(REPOSITORY / "requirements" / "evidently.txt")),
}


def python_of(peer: str) -> Path:
    """The interpreter of the peer's environment."""
    return ENVIRONMENTS / peer / "bin" / "python"


def make(peer: str) -> str | None:
    """Build the peer's environment unless it stands already.

    Returns:
        None when it is ready, otherwise the last line of what uv said.
    """
    wanted = "\n".join((sys.version, *PINS[peer]))
    stamp = ENVIRONMENTS / peer / "made-from.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    shutil.rmtree(ENVIRONMENTS / peer, ignore_errors=True)
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    uv = str(BIN / "uv")
    base = getattr(sys, "_base_executable", sys.executable)
    trouble = _run([uv, "venv", "-q", "--python", base, str(ENVIRONMENTS / peer)]) or _run(
        [uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python_of(peer)), *PINS[peer]]
    )
    if trouble is None:
        stamp.write_text(wanted)
    return trouble


def installed(peer: str) -> dict[str, str]:
    """The versions of what was asked for, in the peer's environment."""
    names = [pin.partition("=")[0].partition("[")[0].partition("<")[0] for pin in PINS[peer]]
    wanted = ["evidently"] if "-r" in names else names
    code = "import sys; from importlib.metadata import version\nfor name in sys.argv[1:]: print(version(name))"
    done = subprocess.run([str(python_of(peer)), "-c", code, *wanted], capture_output=True, text=True, check=True)
    return dict(zip(wanted, done.stdout.split(), strict=True))


def _run(argv: list[str]) -> str | None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=900, check=False)
    except (OSError, subprocess.TimeoutExpired) as trouble:
        return str(trouble)
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"uv ended with exit code {done.returncode}"
