"""What jobs get from S3 and leave there: prefixes into folders, folders and archives into prefixes."""

from __future__ import annotations

import functools
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from trikk.core.errors import RunError, StorageError
from trikk.core.record import Record
from trikk.storage.stores.buckets import CHUNK, connect_bucket, fetch_into
from trikk.storage.stores.object_names import locate

_PURPOSE = "SageMaker on this machine"


class ServiceFault(StorageError):
    """S3 refused or did not answer: what the service calls a fault of its own."""

    code = "service-fault"


class S3Access(Record, frozen=True):
    """An S3 server and the keys to it; with no endpoint, AWS's own, by the environment's credentials."""

    endpoint: str = ""
    access_key: str = ""
    secret_key: str = ""
    region: str = "us-east-1"

    def environment(self) -> dict[str, str]:
        """The variables by which programs reach the server; none where there is no endpoint of our own."""
        if not self.access_key:
            return {"AWS_ENDPOINT_URL": self.endpoint} if self.endpoint else {}
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }


class BucketTransfer:
    """Brings objects into folders and files into buckets.

    Args:
        access: the server.

    Raises:
        MissingExtra: at the first use, if obstore is not installed.
    """

    def __init__(self, access: S3Access) -> None:
        self.access = access
        self._bucket = functools.cache(self._connect)

    def _connect(self, bucket: str) -> Any:
        credentials = None
        if self.access.access_key:
            keys = {"access_key_id": self.access.access_key, "secret_access_key": self.access.secret_key}
            credentials = lambda: {**keys, "token": None, "expires_at": None}  # noqa: E731 - as obstore asks for it
        return connect_bucket(
            bucket,
            _PURPOSE,
            endpoint=self.access.endpoint or None,
            region=self.access.region,
            credentials=credentials,
        )

    def download(self, uri: str, folder: Path, *, kind: str = "S3Prefix") -> int:
        """Bring all that an address means into a folder; returns how many objects.

        Args:
            uri: a prefix: of it, everything whose key begins so; or a manifest, if `kind` says so.
            folder: made if it is missing.
            kind: `S3Prefix` or `ManifestFile`.

        Raises:
            RunError: if there is nothing, as the service fails a job without input.
            ServiceFault: if the server refuses or is away.
        """
        folder.mkdir(parents=True, exist_ok=True)
        objects = list(self._manifest(uri) if kind == "ManifestFile" else self._listed(uri))
        if not objects:
            raise RunError(
                f"no S3 objects lie under {uri}", next="check the address, or the step that writes there"
            )
        for bucket, key, name in objects:
            target = folder / _inside(name, uri)
            target.parent.mkdir(parents=True, exist_ok=True)
            with _service(f"s3://{bucket}/{key}"):
                fetch_into(target, self._bucket(bucket), key)
        return len(objects)

    def _listed(self, uri: str) -> Iterator[tuple[str, str, str]]:
        """Bucket, key and name in the folder of each object under a prefix."""
        import obstore

        place = locate(uri)
        # obstore lists whole path segments only, the service any beginning of a key.
        above = place.key.rpartition("/")[0]
        with _service(uri):
            pages = obstore.list(self._bucket(place.bucket), prefix=above or None)
            keys = [meta["path"] for page in pages for meta in page if meta["path"].startswith(place.key)]
        for key in sorted(keys):
            yield place.bucket, key, _name_under(key, place.key)

    def _manifest(self, uri: str) -> Iterator[tuple[str, str, str]]:
        entries = self.read_json(uri)
        head = entries[0] if isinstance(entries, list) and entries else None
        if not isinstance(head, dict) or not all(isinstance(each, str) for each in entries[1:]):
            raise RunError(f"{uri} is no manifest", next='it is [{"prefix": "s3://..."}, "name", ...]')
        place = locate(str(head.get("prefix", "")))
        for name in entries[1:]:
            yield place.bucket, place.key + name, name

    def upload_folder(self, folder: Path, uri: str) -> int:
        """Put every file of a folder under a prefix; returns how many. Raises as `upload`."""
        files = list(_files_of(folder))
        for path in files:
            self.upload(path, f"{uri.rstrip('/')}/{path.relative_to(folder).as_posix()}")
        return len(files)

    def upload(self, path: Path, uri: str) -> None:
        """Put a file.

        Raises:
            ServiceFault: if the server refuses or is away.
        """
        import obstore

        place = locate(uri)
        with _service(uri):
            obstore.put(self._bucket(place.bucket), place.key, path, chunk_size=CHUNK)

    def read_json(self, uri: str) -> Any:
        """The JSON document at an address.

        Raises:
            RunError: if there is none, or it is no JSON.
            ServiceFault: if the server refuses or is away.
        """
        import obstore

        place = locate(uri)
        try:
            with _service(uri):
                data = bytes(obstore.get(self._bucket(place.bucket), place.key).bytes())
            return json.loads(data)
        except FileNotFoundError:
            raise RunError(f"there is no {uri}", next="check that the step writes it into its output") from None
        except ValueError as error:
            raise RunError(f"{uri} is no JSON: {error}", next="write JSON into it") from error


def pack(folder: Path, archive: Path) -> bool:
    """Make an archive (tar, gzip) of all that a folder holds; False, and none is made, if that is nothing."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    if entries:
        with tarfile.open(archive, "w:gz") as tar:
            for entry in entries:
                tar.add(entry, entry.name)
    return bool(entries)


def _files_of(folder: Path) -> Iterator[Path]:
    for above, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(above, name)
            if path.is_file():  # not a link into nowhere, a socket, a pipe
                yield path


def _name_under(key: str, prefix: str) -> str:
    """What an object is called in the folder that a prefix is brought into."""
    if key != prefix and (not prefix or prefix.endswith("/") or key[len(prefix)] == "/"):
        return key[len(prefix) :].lstrip("/")
    return key[prefix.rfind("/") + 1 :]


def _inside(name: str, uri: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise RunError(f"{uri} has an object named {name!r}", next="rename it: it leads out of the input's folder")
    return path


@contextmanager
def _service(uri: str) -> Iterator[None]:
    import obstore

    try:
        yield
    except FileNotFoundError:
        raise
    except obstore.exceptions.BaseError as error:
        raise ServiceFault(
            f"S3 refused or did not answer for {uri} ({type(error).__name__})",
            where=uri,
            next="check the endpoint, the bucket and the credentials; a server of its own may have been killed",
        ) from None
