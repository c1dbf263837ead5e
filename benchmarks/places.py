"""Where the benchmarks keep what they make, so that one `rm -rf` of two folders undoes a run."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent
REPOSITORY = ROOT.parent
BIN = REPOSITORY / ".venv" / "bin"
FLOWS = ROOT / "flows"
ENVIRONMENTS = ROOT / ".envs"
WORK = ROOT / ".work"
HOMES = WORK / "homes"
LOGS = WORK / "logs"
