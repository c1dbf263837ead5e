"""`trikk image`: the container image in which engines run this project's steps."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from trikk.cli.printing import echo, json_option, print_json
from trikk.core.package import __version__
from trikk.execution.project import Project


@click.command()
@click.option("--into", "folder", metavar="DIR", default="image", show_default=True, help="Where the files go.")
@click.option("--python", metavar="VERSION", help="Python's version; this one's if not given.")
@click.option("--extra", "extras", multiple=True, metavar="NAME", help="An extra of trikk's beside aws and s3.")
@click.option("--system", multiple=True, metavar="PACKAGE", help="A Debian package: libgomp1 for LightGBM.")
@click.option("--lock", metavar="FILE", help="Locked packages; requirements.lock or .txt if not given.")
@click.option("--wheel", metavar="FILE", help="Take trikk from this wheel, not from the package index.")
@click.option("--build", is_flag=True, help="Build it, by docker or podman.")
@click.option("--tag", metavar="NAME", help="What the built image is called; the project's name if not given.")
@json_option
def image(
    folder: str,
    python: str | None,
    extras: tuple[str, ...],
    system: tuple[str, ...],
    lock: str | None,
    wheel: str | None,
    build: bool,
    tag: str | None,
    as_json: bool,
) -> int:
    """Write a Dockerfile for this project's jobs, the same for every engine; --build builds it.

    The project's code is not in the image: jobs bring it by its digest.
    """
    from trikk.targets.images import image_files
    from trikk.targets.images.container_image import ImageContents

    project = Project.open()
    version = python or f"{sys.version_info.major}.{sys.version_info.minor}"
    contents = ImageContents(version, __version__, ("aws", "s3", *extras), system)
    locked = Path(lock) if lock else image_files.find_lock(project.root)
    place = project.root / folder
    contents = image_files.write_image(place, contents, locked, Path(wheel) if wheel else None)
    if locked is None:
        echo("note: no packages are locked, so that each build takes the newest; see docs/engines.md", err=True)
    name = tag or re.sub(r"[^a-z0-9]+", "-", project.settings.name.lower()).strip("-") or "trikk"
    builder = image_files.build(place, name) if build else None
    if as_json:
        print_json({"folder": str(place), "builder": builder, **contents.to_json()})
        return 0
    echo(f"wrote {place / 'Dockerfile'}" + (f"; {builder} has built {name}" if builder else ""))
    return 0
