"""Objects of a bucket that match a pattern. An object is there whole or not at all, so it never grows."""

from __future__ import annotations

from typing import Any

from trikk.server.sources.files.arrived_files import Listed
from trikk.storage.stores.buckets import connect_bucket, readable
from trikk.storage.stores.object_names import locate

_MINUTES = 1.0  # that one page of a listing may take


class BucketPlace:
    """The objects that an address means.

    Args:
        address: `s3://bucket/in/*.csv`, as `FileArrived` has it.

    Attributes:
        label: what it is called.
        every: seconds between two looks; each costs a request for every 1,000 objects under the pattern's folder.
        ignored: nothing ever.
    """

    every = 5.0
    ignored = (0, "")

    def __init__(self, address: str) -> None:
        self.label = address
        self._place = locate(address)
        self._bucket: Any = None

    def list(self) -> list[Listed]:
        """All objects that match.

        Raises:
            StorageError: if the server refuses or is away.
            MissingExtra: if obstore is not installed.
        """
        if self._bucket is None:
            self._bucket = connect_bucket(self._place.bucket, "looking into a bucket", minutes=_MINUTES)
        import obstore

        with readable(self.label):
            pages = obstore.list(self._bucket, prefix=self._place.prefix or None)
            return [
                # The time beside the ETag: the same bytes, put again, are another arrival.
                Listed(meta["path"], meta["size"], f"{meta['e_tag']} {meta['last_modified'].isoformat()}")
                for page in pages
                for meta in page
                if self._place.matches(meta["path"])
            ]

    def path(self, name: str) -> str:
        """An object's address."""
        return f"s3://{self._place.bucket}/{name}"
