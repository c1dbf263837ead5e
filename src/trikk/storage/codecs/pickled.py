"""The last resort: pickle, stamped with the versions it was written under.

A pickle runs code when it is read. trikk reads pickles only through this codec, which only `Artifacts`
calls, with a file of the project's own store whose digest it has just verified.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import pickle
import re
import sys
import warnings
import weakref
from pathlib import Path
from typing import Any

from trikk.core.errors import CodecError
from trikk.core.values import JSON
from trikk.storage.codec import type_name

_MAGIC = b"trikk-pickle 1\n"
_PROTOCOL = 5


class PickleCodec:
    """Anything that pickle takes. The file is a magic line, one line of JSON (the stamp), and the pickle."""

    name = "pickle"
    suffix = ".pickle"

    def accepts(self, value: object) -> bool:  # noqa: ARG002
        """Always; what can't be pickled is found out by `dump`."""
        return True

    def dump(self, value: Any, path: Path) -> dict[str, JSON]:
        """Write the value; raises CodecError if it can't be pickled."""
        packages: set[str] = set()
        body = io.BytesIO()
        try:
            _Pickler(body, packages).dump(value)
        except Exception as error:
            raise refused(value, error) from error
        versions = stamp(packages)
        with path.open("wb") as file:
            file.write(_MAGIC + json.dumps(versions, sort_keys=True).encode() + b"\n")
            file.write(body.getbuffer())
        return {"type": type_name(value), "packages": dict(versions)}

    def load(self, path: Path, want: object, summary: dict[str, JSON]) -> Any:  # noqa: ARG002
        """The value.

        Raises:
            CodecError: if it was written under another minor version of Python, or can't be read. If a package is
                of another minor release, that is the reason: a class that moved looks like one that is lost.

        Warns:
            UserWarning: if a package has another version than when it was written.
        """
        with path.open("rb") as file:
            if file.readline() != _MAGIC:
                raise CodecError("this is not a pickle of trikk", where=str(path))
            written: dict[str, str] = json.loads(file.readline())
            kind = str(summary.get("type", "value"))
            _check_python(written, kind)
            try:
                with warnings.catch_warnings():  # scikit-learn's own, one for each nested estimator: see below
                    warnings.filterwarnings("ignore", message="Trying to unpickle estimator")
                    value = pickle.load(file)  # noqa: S301  only from the own store, digest verified
            except Exception as error:
                raise _unreadable(written, kind, error) from error
        changed = _changed(written)  # now that they are imported, and tell their versions
        if changed:
            note = f"the pickled {kind} was written under {_both(changed)}"
            with contextlib.suppress(TypeError):  # what can't be referred to weakly has no note
                weakref.finalize(value, _NOTES.pop, id(value), None)
                _NOTES[id(value)] = f"{note}; {_way_out(changed)}"
            warnings.warn(f"{note}; run its step again if it misbehaves", stacklevel=2)
        return value

    def head(self, path: Path, rows: int) -> JSON | None:  # noqa: ARG002
        """Nothing: showing it would mean running it."""
        return None


def stamp(packages: set[str]) -> dict[str, str]:
    """Versions of Python, trikk and the installed distributions among these top-level packages."""
    versions = {"python": f"{sys.version_info.major}.{sys.version_info.minor}", "trikk": _version("trikk") or "0"}
    for package in sorted(packages - sys.stdlib_module_names):
        version = _version(package)
        if version:
            versions[package] = version
    return versions


def refused(value: object, error: Exception) -> CodecError:
    """The error for a value that no codec takes, or for a LazyFrame that fails when it is computed."""
    if type_name(value) == "polars.LazyFrame":
        first = (str(error).splitlines() or [""])[0]
        return CodecError(
            f"the polars.LazyFrame can't be computed: {type(error).__name__}: {first}",
            next="mend its expressions; return it with .collect(), and the step's own line is named",
        )
    return CodecError(
        f"a value of type {type_name(value)} can't be stored: {type(error).__name__}: {error}",
        next="return a frame, an array, a file's Path, plain data or a picklable object, "
        "or add a codec for it (codecs in trikk.toml)",
    )


class _Pickler(pickle.Pickler):
    """A pickler that notes which top-level packages the value's classes and functions come from."""

    def __init__(self, file: io.BytesIO, packages: set[str]) -> None:
        super().__init__(file, _PROTOCOL)
        self._packages = packages

    def reducer_override(self, obj: Any) -> Any:
        module = getattr(obj if isinstance(obj, type) else type(obj), "__module__", None)
        if isinstance(module, str):
            self._packages.add(module.partition(".")[0])
        return NotImplemented


def note_of(value: object) -> str | None:
    """Why a value that was read may misbehave: it was written under other versions of packages; None if not."""
    return _NOTES.get(id(value))


@functools.cache
def distribution_of(package: str) -> str:
    """What a top-level package is installed as: "scikit-learn" for "sklearn"; its name if that is not known."""
    from importlib import metadata

    # the lists of files as texts: `packages_distributions` reads every name, which takes half a second
    own = re.compile(rf"^{re.escape(package)}[/.]", re.MULTILINE)
    for distribution in metadata.distributions():
        top = distribution.read_text("top_level.txt")
        if package in top.split() if top else own.search(distribution.read_text("RECORD") or ""):
            return str(distribution.name)
    return package


def _version(package: str) -> str | None:
    module = sys.modules.get(package)
    version = getattr(module, "__version__", None)
    if isinstance(version, str):
        return version
    from importlib import metadata

    try:
        return metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _check_python(written: dict[str, str], kind: str) -> None:
    now = stamp(set())["python"]
    if written["python"] != now:
        raise CodecError(
            f"the pickled {kind} was written under Python {written['python']}, this is {now}",
            next=f"run with Python {written['python']}, or run its step again",
        )


def _changed(written: dict[str, str]) -> dict[str, tuple[str, str]]:
    """The packages that have another version now: then and now, by the name that they are installed as."""
    now = stamp(set(written))
    changed: dict[str, tuple[str, str]] = {}
    for package, version in written.items():
        if now.get(package) != version:
            name = distribution_of(package)
            present = now.get(package) or _version(name)  # it may not be imported yet
            if present != version:
                changed[name] = (version, present or "not installed")
    return changed


def _unreadable(written: dict[str, str], kind: str, error: Exception) -> CodecError:
    """The error for a pickle that can't be read; another minor release of a package is the likeliest reason."""
    minor = {
        name: versions
        for name, versions in _changed(written).items()
        if name != "trikk" and versions[0].split(".")[:2] != versions[1].split(".")[:2]
    }
    reason = f"{type(error).__name__}: {error}"
    if not minor:
        return CodecError(
            f"the pickled {kind} can't be read: {reason}",
            next="make its class importable under the same name, or run its step again",
        )
    return CodecError(
        f"the pickled {kind} was written under {_both(minor)}, and can't be read here ({reason})",
        next=_way_out(minor),
    )


def _both(changed: dict[str, tuple[str, str]]) -> str:
    return ", ".join(f"{name} {then} (here: {now})" for name, (then, now) in changed.items())


def _way_out(changed: dict[str, tuple[str, str]]) -> str:
    wanted = " ".join(f"'{name}=={then}'" for name, (then, _) in changed.items())
    return f"go back to the packages of its run (pip install {wanted}), or run the step that made it again"


_NOTES: dict[int, str] = {}  # by identity, as long as the value lives: a dataclass has no hash
