"""The README's ten minutes, walked by a stranger: every command of it, in its order, in an empty folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.execution.command import until

README = Path(__file__).parents[2] / "README.md"
CRASH = '    raise ValueError("no")\n'


def test_the_ten_minutes_go_as_the_readme_says(tmp_path: Path) -> None:
    road = README.read_text().split("## Ten minutes")[1].split("\n## ")[0]
    begin, build, go_on = re.findall(r"```console\n(.*?)```", road, re.DOTALL)
    (pipelines,) = re.findall(r"```python\n(.*?)```", road, re.DOTALL)

    hello = _walk(begin, tmp_path)  # `make setup` is what has made the environment of this test
    assert "Hello, Ada!" in hello["trikk show last"]

    project = tmp_path / "greeter"
    module = project / "pipelines.py"
    module.write_text(pipelines)
    built = _walk(build, project)
    assert "succeeded" in built["trikk run nightly -p until=2020-03-02"]
    assert "10A   31.0" in built["trikk show last predict"]

    definition = re.search(r"^def predict.*\n", pipelines, re.MULTILINE)
    assert definition is not None
    module.write_text(pipelines.replace(definition.group(), definition.group() + CRASH))
    broken = _shell("trikk run nightly -p until=2020-03-02", project)
    assert broken.returncode == 1
    assert "step predict: ValueError: no" in broken.stderr
    assert "next: trikk resume" in broken.stderr

    module.write_text(pipelines)
    mended = _walk(go_on, project)
    resumed = mended["trikk resume last --with-current-code"]
    assert "reuse history" in resumed
    assert "reuse fit" in resumed
    assert "run   predict" in resumed
    assert "4 of 4 steps" in mended["trikk replay last"]
    assert "1 of 1 runs succeeded" in mended["trikk backfill nightly --from 2020-03-01 --to 2020-03-02 --missing"]


def test_the_readme_is_no_longer_than_a_stranger_reads() -> None:
    assert len(README.read_text().splitlines()) <= 150


def _walk(block: str, folder: Path) -> dict[str, str]:
    """Run the commands of a console block; what each printed, by the command without its comment."""
    printed = {}
    for line in block.splitlines():
        command = line.removeprefix("$ ").partition("  #")[0].strip()
        if command.startswith("make setup"):
            continue
        if command.startswith("trikk serve"):
            printed[command] = _served(folder)
            continue
        answer = _shell(command, folder)
        assert answer.returncode == 0, f"{command}\n{answer.stdout}{answer.stderr}"
        printed[command] = answer.stdout + answer.stderr
        if " && cd " in command:
            folder = folder / command.rpartition(" && cd ")[2]
    return printed


def _served(folder: Path) -> str:
    """Serve until the schedule has fired and its run has ended, then press Ctrl-C; what `trikk runs` shows."""
    with subprocess.Popen([sys.executable, "-m", "trikk.cli.main", "serve", "--port=0"], cwd=folder) as server:
        try:
            shown = until(
                lambda: re.search(r"nightly +succeeded.*trigger often", _shell("trikk runs", folder).stdout)
            )
        finally:
            server.send_signal(signal.SIGINT)
    assert server.returncode == 0
    return str(shown.group())


def _shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
