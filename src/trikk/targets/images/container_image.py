"""The files that an image of a project's jobs is built from: a Dockerfile, what goes into it, what does not. Pure.

One image serves every engine. It holds Python and packages, none of the project's code, which jobs bring by its
digest from the artifact store: so an image is built anew when packages change, and not when code does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from trikk.core.errors import UsageError
from trikk.core.record import Record

REQUIREMENTS = "requirements.txt"
"""What the locked packages are called beside the Dockerfile."""
FIRST_LINE = "# Written by `trikk image`."
_PYTHON = re.compile(r"3\.(1[1-9]|[2-9]\d)(\.\d+)?")
_EXTRA = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DEBIAN = re.compile(r"[a-z0-9][a-z0-9.+-]+")
_HASH = re.compile(r"--hash[= ]")
_ENTRY_POINT = '["python", "-m", "trikk.targets.jobs.step_job"]'
_TEMPLATE = """\
{first}
# It runs a step of a pipeline on SageMaker, Step Functions, Kubernetes or Ray. The project's code is not in it:
# jobs bring it from the artifact store by its digest. Build it in this folder:
#
#   docker build --tag NAME .        or: podman build --tag NAME .

ARG PYTHON_VERSION={python}
FROM python:${{PYTHON_VERSION}}-slim-bookworm

ENV PYTHONUNBUFFERED=1 \\
    PYTHONDONTWRITEBYTECODE=1 \\
    PIP_DISABLE_PIP_VERSION_CHECK=1
{system}
{packages}
# Nothing in a job needs to be root.
RUN groupadd --gid 1000 trikk \\
    && useradd --uid 1000 --gid trikk --create-home --shell /usr/sbin/nologin trikk \\
    && install --directory --owner=trikk --group=trikk /opt/ml
USER 1000:1000
WORKDIR /home/trikk

ENTRYPOINT {entry}
"""
_SYSTEM = """
# Debian keeps one version of each package.
# hadolint ignore=DL3008
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends {names} \\
    && rm -rf /var/lib/apt/lists/*
"""
_LOCKED = """
COPY {requirements} /tmp/{requirements}
RUN pip install --no-cache-dir{hashes} --requirement /tmp/{requirements}
"""
_FROM_INDEX = """
ARG TRIKK="{requirement}"
# hadolint ignore=DL3013
RUN pip install --no-cache-dir{dependencies} "${{TRIKK}}"
"""
_FROM_WHEEL = """
COPY {wheel} /tmp/{wheel}
# hadolint ignore=DL3013
RUN pip install --no-cache-dir{dependencies} "/tmp/{wheel}{extras}"
"""


class ImageContents(Record, frozen=True):
    """What is in an image.

    Attributes:
        python: the interpreter's version, such as "3.11" or "3.11.7".
        version: of trikk.
        extras: of trikk, such as s3 and aws.
        system: Debian packages, such as libgomp1.
        has_lock: whether there is a file of locked packages.
        has_hashes: whether that has a hash for each.
        lock_has_trikk: whether trikk is one of them.
        wheel: the name of trikk's wheel beside the Dockerfile; "" to take it from the index.
    """

    python: str
    version: str
    extras: tuple[str, ...] = ("aws", "s3")
    system: tuple[str, ...] = ()
    has_lock: bool = False
    has_hashes: bool = False
    lock_has_trikk: bool = False
    wheel: str = ""


def check_contents(contents: ImageContents) -> None:
    """Check what people have written, which becomes part of commands that run as root.

    Raises:
        UsageError: if a version or a name can't be one.
    """
    if not _PYTHON.fullmatch(contents.python):
        raise UsageError(f"{contents.python!r} is no version of Python for trikk", next="use 3.11 or newer")
    for extra in contents.extras:
        if not _EXTRA.fullmatch(extra):
            raise UsageError(f"{extra!r} is no name of an extra", next="use names such as sklearn")
    for package in contents.system:
        if not _DEBIAN.fullmatch(package):
            raise UsageError(f"{package!r} is no name of a Debian package", next="use names such as libgomp1")


def dockerfile(contents: ImageContents) -> str:
    """The Dockerfile of an image.

    Raises:
        UsageError: as `check_contents`.
    """
    check_contents(contents)
    extras = f"[{','.join(sorted(set(contents.extras)))}]" if contents.extras else ""
    packages = ""
    if contents.has_lock:
        hashes = " --require-hashes" if contents.has_hashes else ""
        packages += _LOCKED.format(requirements=REQUIREMENTS, hashes=hashes)
    # What is locked is not resolved anew: a newer release of a dependency would come in beside it.
    dependencies = " --no-deps" if contents.has_hashes else ""
    if contents.wheel:
        packages += _FROM_WHEEL.format(wheel=contents.wheel, extras=extras, dependencies=dependencies)
    elif not contents.lock_has_trikk:
        requirement = f"trikk{extras}=={contents.version}"
        packages += _FROM_INDEX.format(requirement=requirement, dependencies=dependencies)
    return _TEMPLATE.format(
        first=FIRST_LINE,
        python=contents.python,
        system=_SYSTEM.format(names=" ".join(sorted(set(contents.system)))) if contents.system else "",
        packages=packages,
        entry=_ENTRY_POINT,
    )


def dockerignore(contents: ImageContents) -> str:
    """The `.dockerignore` beside it: nothing goes to the builder but what the Dockerfile copies."""
    lines = ["# Written by `trikk image`.", "*"]
    lines += [f"!{REQUIREMENTS}"] if contents.has_lock else []
    lines += [f"!{contents.wheel}"] if contents.wheel else []
    return "\n".join(lines) + "\n"


def has_hashes(requirements: str) -> bool:
    """Whether a file of requirements has hashes, so that pip takes no package without one."""
    return _HASH.search(requirements) is not None


def names_in(requirements: Iterable[str]) -> set[str]:
    """The packages that lines of requirements name, each in the one way of writing it (PEP 503)."""
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in requirements if not line.startswith("-"))
    return {re.sub(r"[-_.]+", "-", name[0]).lower() for name in names if name is not None}


def required_names(requirements: Iterable[str], extras: Collection[str]) -> set[str]:
    """The packages that a distribution needs with some of its extras, by the lines of its metadata."""
    asked = re.compile(r"extra == ['\"](?P<extra>[^'\"]+)['\"]")
    lines = [(line, asked.search(line)) for line in requirements]
    return names_in(line for line, match in lines if match is None or match["extra"] in extras)
