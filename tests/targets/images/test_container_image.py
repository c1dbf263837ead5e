from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.envs import python_of
from tests.execution.command import Folder

from trikk.core.errors import UsageError
from trikk.targets.images.container_image import ImageContents, dockerfile, names_in, required_names

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "Night Line"\n', pipelines="")
    return folder


def linted(path: Path) -> str:
    hadolint = python_of("hadolint").parent / "hadolint"
    done = subprocess.run([hadolint, "--no-color", path], capture_output=True, text=True)
    return done.stdout + done.stderr


def copied(text: str) -> list[str]:
    return [line.split()[1] for line in text.splitlines() if line.startswith("COPY ")]


@pytest.mark.parametrize("lock", ["", "polars==1.38.1\n", "locked"])
def test_the_dockerfile_is_without_findings_and_takes_nothing_but_what_it_copies(
    folder: Folder, lock: str
) -> None:
    if lock:
        text = (ROOT / "requirements" / "dev.txt").read_text() if lock == "locked" else lock
        (folder.root / "requirements.txt").write_text(text)
    written = folder.trikk("image", "--system", "libgomp1", "--extra", "lightgbm", "--json").json
    image = folder.root / "image"
    assert linted(image / "Dockerfile") == ""
    text = (image / "Dockerfile").read_text()
    assert copied(text) == (["requirements.txt"] if lock else [])
    ignored = (image / ".dockerignore").read_text().splitlines()
    assert [line for line in ignored if not line.startswith("#")] == [
        "*",
        *(["!requirements.txt"] if lock else []),
    ]
    assert ("--require-hashes" in text) == written["has_hashes"] == (lock == "locked")
    assert re.search(r"^USER 1000", text, re.MULTILINE)
    again = (image / "Dockerfile").read_bytes()
    assert folder.trikk("image", "--system", "libgomp1", "--extra", "lightgbm").code == 0
    assert (image / "Dockerfile").read_bytes() == again


def test_a_lock_with_hashes_that_lacks_something_is_refused(folder: Folder) -> None:
    (folder.root / "requirements.txt").write_text("polars==1.38.1 --hash=sha256:00\n")
    done = folder.trikk("image")
    assert done.code == 2
    assert "not all that jobs need" in done.err
    assert "deltalake" in done.err
    assert "trikk[aws,s3]" in done.err
    assert not (folder.root / "image").exists()


def test_somebody_elses_dockerfile_is_not_touched(folder: Folder) -> None:
    (folder.root / "image").mkdir()
    (folder.root / "image" / "Dockerfile").write_text("FROM scratch\n")
    assert folder.trikk("image").code == 2
    assert (folder.root / "image" / "Dockerfile").read_text() == "FROM scratch\n"


@pytest.mark.parametrize(
    "options",
    [
        ["--python", "3.10"],
        ["--python", "3.12\nRUN true"],
        ["--extra", "a b"],
        ["--system", "x; rm"],
        ["--lock", "none"],
    ],
)
def test_what_can_not_be_is_refused(folder: Folder, options: list[str]) -> None:
    assert folder.trikk("image", *options).code == 2
    assert not (folder.root / "image" / "Dockerfile").exists()


def test_names_of_packages_are_compared_as_the_index_does() -> None:
    assert names_in(["Poly_ars==1", "--index-url x", "# polars", "  x", "a.b[c]>=1"]) == {"poly-ars", "a-b"}
    lines = ["blake3>=1", 'obstore>=0.8; extra == "s3"', "psycopg; extra == 'postgres'"]
    assert required_names(lines, ["s3"]) == {"blake3", "obstore"}
    with pytest.raises(UsageError):
        dockerfile(ImageContents("3.11", "0.1.0", ("s3; x",)))


def test_its_commands_install_a_trikk_whose_job_command_runs(folder: Folder, tmp_path: Path) -> None:
    """Without a container: the command that installs the wheel runs in an environment of its own."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert folder.trikk("image", "--wheel", str(wheel)).code == 0
    text = (folder.root / "image" / "Dockerfile").read_text()
    assert copied(text) == [wheel.name]
    install = next(line for line in text.splitlines() if line.startswith("RUN pip install"))
    words = shlex.split(install.removeprefix("RUN pip ").replace("/tmp/", f"{folder.root}/image/"))
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    # What trikk needs is there already: this is about the commands, not about the index.
    (site / "needed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    python = environment / "bin" / "python"
    done = subprocess.run([python, "-m", "pip", *words, "--no-index"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    entry = json.loads(text.rpartition("ENTRYPOINT ")[2])
    command = [python, "-P", *entry[1:], "--help"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "--exchange" in ran.stdout
    where = subprocess.run(
        [python, "-P", "-c", "import trikk; print(trikk.__file__)"], capture_output=True, text=True
    )
    assert str(site) in where.stdout
