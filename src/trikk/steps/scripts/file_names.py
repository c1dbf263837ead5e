"""Which names files of scripts and notebooks may have: inside their folder, whatever a name says. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from trikk.core.errors import UsageError


def check_file_name(name: object, kind: str) -> None:
    """Check that a name is a relative path that stays in its folder.

    Raises:
        UsageError: if it is absolute, empty, has .. or . as a part, or characters that are not printable.
    """
    # A leading - would be an option to a program, ~ somebody's home to a shell.
    good = isinstance(name, str) and bool(name) and name.isprintable() and not name.startswith(("-", "~"))
    if good:
        assert isinstance(name, str)
        parts = name.rstrip("/").split("/")
        good = not PurePosixPath(name).is_absolute() and not {"", ".", ".."} & set(parts)
    if not good:
        raise UsageError(
            f"{str(name)[:100]!r} can't be the name of {'an' if kind[0] in 'aeio' else 'a'} {kind}",
            next="use a relative path inside the folder, such as data/counts.csv",
        )
