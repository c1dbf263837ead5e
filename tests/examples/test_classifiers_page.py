"""The page on classifiers: its snippets make one module, that trikk takes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "classifiers.md"


def test_the_snippets_make_a_project_that_loads(tmp_path: Path) -> None:
    snippets = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(snippets) == 6
    (tmp_path / "pumps.py").write_text("\n".join(snippets))
    (tmp_path / "trikk.toml").write_text('name = "pumps"\npipelines = ["pumps"]\n')
    command = [sys.executable, "-m", "trikk.cli.main", "pipelines"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("train", "nightly", "challenged", "watch_condition", "watch_cooler", "report_monthly"):
        assert name in done.stdout


def test_the_figures_are_those_of_the_example() -> None:
    page = PAGE.read_text()
    readme = (PAGE.parents[1] / "examples" / "pumps" / "README.md").read_text()
    for figure in ("7,410", "96.3", "99.6", "524", "6,864"):
        assert figure in page
        assert figure in readme
