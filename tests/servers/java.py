"""Servers that run on Java: their jars come from Maven, once, into a folder in the user's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.servers.shared import locked

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>trikk</groupId><artifactId>for-tests</artifactId><version>1</version>
<dependencies><dependency>
<groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>
</dependency></dependencies></project>
"""
_FETCH_SECONDS = 240
JAVA = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def fetch_jars(group: str, artifact: str, version: str) -> Path:
    """The folder with an artifact and what it needs, fetched if it is not there; RuntimeError if it can't be."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise RuntimeError(f"there is no {program}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trikk-tests"
    jars = cache / f"{artifact}-{version}"
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / f"{artifact}.lock"):
        if not jars.exists():
            half = cache / f"{artifact}-{version}.part"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            (half / "pom.xml").write_text(_POM.format(group, artifact, version))
            command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={half / 'jars'}"]
            made = subprocess.run(
                command, cwd=half, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
            )
            if made.returncode or not list((half / "jars").glob(f"{artifact}-*.jar")):
                raise RuntimeError(f"mvn could not fetch it: {(made.stdout + made.stderr).strip()[-200:]}")
            (half / "jars").rename(jars)
            shutil.rmtree(half, ignore_errors=True)
    return jars
