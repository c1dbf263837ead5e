"""Values in and out of a store: the one place where a step's results become artifacts and values again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from trikk.core.digests import digest_bytes, digest_file
from trikk.core.errors import CodecError, TrikkError, UsageError
from trikk.core.network.masking import refuse_in
from trikk.core.values import JSON, decode, encode
from trikk.storage import frames
from trikk.storage.artifact import Artifact
from trikk.storage.codec import Codec
from trikk.storage.codecs import builtin_codecs
from trikk.storage.codecs.files import FileCodec, copy_out, files_of
from trikk.storage.codecs.manifest import KINDS, Container, Manifest, inner_path
from trikk.storage.codecs.pickled import refused
from trikk.storage.codecs.plain import JsonCodec, is_tuple, item
from trikk.storage.stores.local import is_full, storage_error
from trikk.storage.stores.store_port import Store


class Artifacts:
    """Saves values as artifacts and loads them.

    Args:
        store: where the bytes live.
        codecs: the project's own codecs, asked before those of trikk.
        into: the folder under which loaded files and folders are given back; default is the store's workspace.
    """

    def __init__(self, store: Store, codecs: Sequence[Codec] | None = None, *, into: Path | None = None) -> None:
        self.store = store
        self._json = JsonCodec()
        self._files = FileCodec(into or store.workspace())
        builtin = builtin_codecs(self._files)
        self._codecs: dict[str, Codec] = {}
        for codec in (*(codecs or ()), *builtin):
            if codec.name in self._codecs or codec.name in KINDS:
                raise CodecError(
                    f"two codecs have the name {codec.name!r}", next="give your codec a name of its own"
                )
            self._codecs[codec.name] = codec
        self._own = [self._codecs[codec.name] for codec in codecs or ()]

    def save(self, value: object) -> Artifact:
        """Store a value and return its artifact; whole or not at all.

        A list, tuple or dict that holds more than plain data is stored item by item, as is a folder.

        Raises:
            CodecError: if the value, or one inside it, can't be stored.
            UsageError: if a secret that was asked for stands in its bytes.
            StorageError: if the store is full or can't be written.
        """
        try:
            return self._save(value)
        except RecursionError:
            raise CodecError(
                "a list or dict nests too deeply, or contains itself", next="return a flatter value"
            ) from None

    def load(self, artifact: Artifact, want: object = None) -> Any:
        """The value of an artifact, its bytes verified.

        Args:
            artifact: what `save` returned.
            want: the annotation of the parameter that will take the value: a frame comes as the kind of frame
                it names (polars DataFrame, LazyFrame, Series; pandas DataFrame, Series; pyarrow Table), else as
                what was saved. `list[X]`, `tuple[X, Y]` and `dict[str, X]` say it of the items.

        Raises:
            ArtifactMissing: if it, or a child, is not in the store.
            ArtifactCorrupt: if the stored bytes are others than those that were saved.
            CodecError: if it can't be read here.
            StorageError: if there is no room for the copy of a file or folder.
        """
        try:
            if artifact.codec in KINDS:
                return self._load_manifest(artifact, want)
            codec = self._codec(artifact.codec)
            return codec.load(self.store.fetch(artifact.digest), want, artifact.summary)
        except UsageError as error:
            raise CodecError(error.what, where=_label(artifact), next=error.next) from error
        except TrikkError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and is_full(error):
                raise storage_error(error, str(self.store.workspace())) from error
            raise CodecError(
                f"{_label(artifact)} can't be read: {type(error).__name__}: {error}",
                next="run the step that made it again",
            ) from error

    def item(self, artifact: Artifact, key: int | str) -> Artifact:
        """One item of a stored list or tuple (by position) or dict (by key), without loading the others.

        Raises:
            CodecError: if there is no such item.
        """
        if artifact.codec == self._json.name:
            encoded = item(self.read_json(artifact), key)
            return self._add(self._json, lambda path: self._json.write(encoded, path))
        if artifact.codec not in KINDS:
            raise CodecError(f"{_label(artifact)} has no items", next="return a list, tuple or dict")
        manifest = self._manifest(artifact)
        keys = [decode(k) for k in manifest.keys] if manifest.keys else list(range(len(manifest.children)))
        if key not in keys:
            raise CodecError(f"{_label(artifact)} has no item {key!r}", next="look at what the step returned")
        return manifest.children[keys.index(key)]

    def inside(self, artifact: Artifact, path: Sequence[int | str]) -> tuple[Artifact, Sequence[int | str]]:
        """The item of a stored list, tuple or dict at a path inside, and what is left of the path.

        Nothing but the way to it is read. What is no stored container, or has no such item, is left
        to who loads it.
        """
        for depth, key in enumerate(path):
            if artifact.codec not in KINDS or artifact.codec == "folder":
                return artifact, path[depth:]
            try:
                artifact = self.item(artifact, key)
            except CodecError:
                return artifact, path[depth:]
        return artifact, ()

    def read_json(self, artifact: Artifact) -> JSON:
        """A stored plain value in the form of `trikk.core.values.encode`, without decoding it."""
        return self._json.read(self.store.fetch(artifact.digest))

    def collect(self, items: Sequence[Artifact]) -> Artifact:
        """The artifact of a list whose items are stored already."""
        return self._add_manifest(Manifest(Container.LIST, [], list(items)))

    def parts(self, artifact: Artifact) -> list[Artifact]:
        """The items of a stored container, in order, without loading them; CodecError if it is none."""
        if artifact.codec not in KINDS:
            raise CodecError(f"{_label(artifact)} has no items", next="return a list, tuple or dict")
        return list(self._manifest(artifact).children)

    def children(self, artifact: Artifact) -> Iterator[Artifact]:
        """Every artifact inside a container or folder, at any depth; nothing for other artifacts."""
        if artifact.codec in KINDS:
            for child in self._manifest(artifact).children:
                yield child
                yield from self.children(child)

    def preview(self, artifact: Artifact, rows: int = 5) -> dict[str, JSON]:
        """The summary, and as `head` the first rows, lines or items (None if there is nothing to show)."""
        if artifact.codec in KINDS:
            manifest = self._manifest(artifact)
            keys = manifest.keys or list(range(len(manifest.children)))
            head: JSON = [
                {"item": key, "codec": child.codec, "size": child.size, **child.summary}
                for key, child in list(zip(keys, manifest.children, strict=True))[:rows]
            ]
        else:
            head = self._codec(artifact.codec).head(self.store.fetch(artifact.digest), rows)
        return {**artifact.summary, "head": head}

    def verify(self, artifact: Artifact) -> None:
        """Read and hash an artifact and its children; raises ArtifactMissing or ArtifactCorrupt."""
        self.store.fetch(artifact.digest)
        for child in self.children(artifact):
            self.store.fetch(child.digest)

    def reuse(self, artifact: Artifact) -> None:
        """Verify an artifact that is about to be named again, and make it and its children young (`Store.touch`).

        Raises:
            ArtifactMissing, ArtifactCorrupt: as `verify`.
        """
        # First touched, then verified: a clean-up in between would remove what has just been found whole.
        self.store.touch(artifact.digest)
        for child in self.children(artifact):
            self.store.touch(child.digest)
        self.verify(artifact)

    def scratch(self) -> Path:
        """A new, empty, private folder beside the store's half-written files; `release` removes it."""
        return self._files.fresh()

    def release(self) -> None:
        """Remove the files and folders that `load` and `scratch` have given."""
        self._files.release()

    def _save(self, value: object) -> Artifact:
        # A project's own codecs first: they may want what trikk's would take as well.
        for codec in self._own:
            if codec.accepts(value):
                return self._dump(codec, value)
        if isinstance(value, Path) and value.is_dir():
            return self._save_folder(value)
        if (type(value) in (list, dict) or is_tuple(value)) and not self._json.accepts(value):
            return self._save_container(value)
        return self._dump(next(codec for codec in self._codecs.values() if codec.accepts(value)), value)

    def _save_container(self, value: Any) -> Artifact:
        if isinstance(value, dict):
            if not all(map(self._json.accepts, value)):
                return self._dump(self._codecs["pickle"], value)
            keys = [encode(key) for key in value]
            return self._add_manifest(
                Manifest(Container.DICT, keys, [self._save(item) for item in value.values()])
            )
        kind = Container.LIST if isinstance(value, list) else Container.TUPLE
        return self._add_manifest(Manifest(kind, [], [self._save(item) for item in value]))

    def _save_folder(self, folder: Path) -> Artifact:
        names = [inner_path(name) for name in files_of(folder)]
        children = [self._dump(self._files, folder / name) for name in names]
        return self._add_manifest(Manifest(Container.FOLDER, [*names], children), {"name": folder.name})

    def _dump(self, codec: Codec, value: object) -> Artifact:
        def dump(path: Path) -> dict[str, JSON]:
            try:
                return codec.dump(value, path)
            except (TrikkError, OSError, MemoryError, RecursionError):
                raise
            except Exception as error:
                raise refused(value, error) from error

        return self._add(codec, dump)

    def _add_manifest(self, manifest: Manifest, more: dict[str, JSON] | None = None) -> Artifact:
        data = manifest.to_bytes()
        path = self._new_path(".json")
        try:
            path.write_bytes(data)
            refuse_in(path)
        except UsageError:
            path.unlink()
            raise
        except OSError as error:
            path.unlink(missing_ok=True)
            raise storage_error(error, str(path.parent)) from error
        digest = digest_bytes(data)
        self.store.add(path, digest)
        size = len(data) + sum(child.size for child in manifest.children)
        kind = "pathlib.Path" if manifest.kind == Container.FOLDER else manifest.kind.value
        return Artifact(
            digest, manifest.kind.value, size, {"type": kind, "length": len(manifest.children), **(more or {})}
        )

    def _add(self, codec: Codec, dump: Callable[[Path], dict[str, JSON]]) -> Artifact:
        path = self._new_path(codec.suffix)
        try:
            summary = dump(path)
            refuse_in(path)
            digest = digest_file(path)
            size = path.stat().st_size
            self.store.add(path, digest)
        except TrikkError:
            raise
        except OSError as error:
            raise storage_error(error, str(path.parent)) from error
        finally:
            path.unlink(missing_ok=True)
        return Artifact(digest, codec.name, size, summary)

    def _new_path(self, suffix: str) -> Path:
        return self.store.workspace() / f"new-{os.urandom(8).hex()}{suffix}"

    def _load_manifest(self, artifact: Artifact, want: object) -> Any:
        manifest = self._manifest(artifact)
        if manifest.kind == Container.FOLDER:
            return self._load_folder(artifact, manifest)
        keys = [decode(key) for key in manifest.keys] if manifest.kind == Container.DICT else None
        wants = frames.item_annotations(want, len(manifest.children), keys)
        values = [self.load(child, wants[index]) for index, child in enumerate(manifest.children)]
        if keys is not None:
            return dict(zip(keys, values, strict=True))
        return values if manifest.kind == Container.LIST else tuple(values)

    def _load_folder(self, artifact: Artifact, manifest: Manifest) -> Path:
        folder = self._files.fresh() / inner_path(artifact.summary.get("name") or "folder")
        folder.mkdir()
        for name, child in zip(manifest.keys, manifest.children, strict=True):
            target = folder / str(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_out(self.store.fetch(child.digest), target)
        return folder

    def _manifest(self, artifact: Artifact) -> Manifest:
        return Manifest.from_bytes(self.store.fetch(artifact.digest).read_bytes())

    def _codec(self, name: str) -> Codec:
        if name not in self._codecs:
            raise CodecError(
                f"this artifact was written by the codec {name!r}, which is not here",
                next="add it to codecs in trikk.toml",
            )
        return self._codecs[name]


def _label(artifact: Artifact) -> str:
    return f"artifact {artifact.digest[:12]} ({artifact.summary.get('type', artifact.codec)})"
