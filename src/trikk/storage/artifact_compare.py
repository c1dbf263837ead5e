"""Whether two artifacts are the same, and if not, how they differ: what a replay reports."""

from __future__ import annotations

from pathlib import Path

from trikk.core.values import JSON
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts
from trikk.storage.codecs.manifest import KINDS, Container, Manifest
from trikk.storage.value_compare import RTOL, VERDICTS, Difference, compare_arrays, compare_bytes, compare_json

_SHOWN_CHILDREN = 20


def compare(artifacts: Artifacts, a: Artifact, b: Artifact, *, rtol: float = RTOL) -> Difference:
    """Compare two artifacts of one store.

    Args:
        artifacts: where both are.
        a: the earlier one.
        b: the later one.
        rtol: the largest distance of two floats that counts as close, relative to the larger.

    Returns:
        The verdict with its reasons. Pickles and the files of a project's own codecs are compared by their
        bytes; they are never loaded.

    Raises:
        ArtifactMissing: if one of them, or a child, is not in the store, but for an earlier frame.
        ArtifactCorrupt: if stored bytes are damaged.
    """
    if a.digest == b.digest and a.codec == b.codec:
        return Difference("identical", "the same digest")
    if a.codec != b.codec:
        was, now = (f"{each.summary.get('type')} ({each.codec})" for each in (a, b))
        return Difference("different", f"{was} became {now}", {"codecs": [a.codec, b.codec]})
    if a.codec == "arrow" and not artifacts.store.contains(a.digest):
        return Difference("different", "another digest; the earlier frame was not kept, so it can't be said how")
    paths = artifacts.store.fetch(a.digest), artifacts.store.fetch(b.digest)
    if a.codec in KINDS:
        before, after = (Manifest.from_bytes(path.read_bytes()) for path in paths)
        return _containers(artifacts, before, after, rtol)
    if a.codec == "arrow":
        return _frames(*paths, rtol)
    if a.codec == "json":
        return compare_json(artifacts.read_json(a), artifacts.read_json(b), rtol)
    if a.codec == "numpy":
        import numpy as np

        left, right = (np.load(path, allow_pickle=False) for path in paths)
        return compare_arrays(left, right, rtol)
    if a.codec == "pickle":
        return _pickles(*(path.read_bytes() for path in paths))
    return compare_bytes(*(path.read_bytes() for path in paths))


def _frames(a: Path, b: Path, rtol: float) -> Difference:
    import polars as pl

    from trikk.storage.frame_compare import compare_frames

    try:
        left, right = (pl.scan_ipc(path, glob=False).collect() for path in (a, b))
    except pl.exceptions.PolarsError as error:
        return Difference("different", f"the bytes differ, and polars can't read the frames ({error})")
    return compare_frames(left, right, rtol)


def _pickles(a: bytes, b: bytes) -> Difference:
    """By bytes; if only the stamps of versions differ, the content is the same."""
    stamps: list[JSON] = [data.split(b"\n", 2)[1].decode() for data in (a, b)]
    if a.split(b"\n", 2)[2] == b.split(b"\n", 2)[2]:
        return Difference("identical", "the same pickle, written under other versions", {"versions": stamps})
    return Difference(
        "different", "the pickled bytes differ; what they stand for may still be equal", {"versions": stamps}
    )


def _containers(artifacts: Artifacts, a: Manifest, b: Manifest, rtol: float) -> Difference:
    names = _names(a), _names(b)
    if sorted(names[0]) != sorted(names[1]):
        gone = [name for name in names[0] if name not in names[1]]
        new = [name for name in names[1] if name not in names[0]]
        detail = f"{len(names[0])} items became {len(names[1])}"
        return Difference(
            "different", f"{detail}: {', '.join((gone + new)[:5])}", {"gone": [*gone], "new": [*new]}
        )
    right = dict(zip(names[1], b.children, strict=True))
    compared = [
        (name, compare(artifacts, child, right[name], rtol=rtol))
        for name, child in zip(names[0], a.children, strict=True)
    ]
    compared.sort(key=lambda pair: -VERDICTS.index(pair[1].verdict))
    if not compared or compared[0][1].verdict == "identical":
        return Difference("identical", "the same items in other bytes")
    digests = [sorted(child.digest for child in each.children) for each in (a, b)]
    if a.kind == Container.LIST and digests[0] == digests[1]:
        return Difference("reordered", "the same items in another order", {"length": len(names[0])})
    worst, differing = compared[0], [pair for pair in compared if pair[1].verdict != "identical"]
    facts: dict[str, JSON] = {
        "items": {name: each.to_json() for name, each in differing[:_SHOWN_CHILDREN]},
        "differing": len(differing),
    }
    detail = f"{len(differing)} of {len(compared)} items, worst {worst[0]}: {worst[1].detail}"
    return Difference(worst[1].verdict, detail, facts)


def _names(manifest: Manifest) -> list[str]:
    if manifest.keys:
        return [str(key) for key in manifest.keys]
    return [str(n) for n in range(len(manifest.children))]
