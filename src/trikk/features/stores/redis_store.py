"""An online store in Redis or Valkey: one hash for each feature table, with its cells and the state among them.

So one HMGET reads both as of one moment, and a server that evicts keys takes all or nothing. A change is a MULTI
that is refused if the hash has changed since it was read (WATCH); a whole new set of cells is written beside the
old one and renamed.
"""

# ruff: noqa: D102 - the methods are those of the port, described there

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from trikk.core.errors import Conflict, MissingExtra, StorageError
from trikk.core.network.addresses import Filled

_CHUNK = 1_000
_STATE = "state"  # the state's field; an entity's begins with a bracket
_ABANDONED = 86_400  # seconds after which the half-written set of a killed sync is dropped


class RedisOnline:
    """The cells of the feature table `name` in the database at an address.

    Raises:
        MissingExtra: if the client is not installed.
    """

    def __init__(self, address: Filled, name: str) -> None:
        try:
            import redis
        except ImportError:
            raise MissingExtra("serving features from Redis", "redis") from None
        self._errors = redis.RedisError
        self._watched = redis.WatchError
        self._address = address
        # Braces make a hash tag: in a cluster, the set that is written beside it is on the same node, as RENAME
        # needs.
        self._key = f"trikk:features:{{{name}}}"
        with self._explained():
            self._client: Any = redis.Redis.from_url(
                address.text, decode_responses=True, socket_connect_timeout=5, socket_timeout=30
            )

    def state(self) -> str | None:
        return self.read([])[0]

    def read(self, entities: Sequence[str]) -> tuple[str | None, list[str | None]]:
        with self._explained():
            state, *cells = self._client.hmget(self._key, [_STATE, *entities])
            return state, cells

    def count(self) -> int:
        with self._explained():
            # One field is the state.
            return max(0, int(self._client.hlen(self._key)) - 1)

    def replace(self, before: str | None, after: str, cells: Iterable[tuple[str, str]]) -> int:
        # all goes into a hash beside, which one RENAME puts in place: readers see the old cells or the new ones
        fresh = f"{self._key}:{os.urandom(8).hex()}"
        count = 0
        try:
            with self._changed(before) as pipe:
                pipe.hset(fresh, _STATE, after)
                # what a killed sync leaves goes by itself; PERSIST takes this off once it is in place
                pipe.expire(fresh, _ABANDONED)
                for chunk in _chunks(cells):
                    count += pipe.hset(fresh, mapping=dict(chunk))
                pipe.multi()
                pipe.rename(fresh, self._key)
                pipe.persist(self._key)
                pipe.execute()
        except BaseException:
            with contextlib.suppress(self._errors):
                self._client.delete(fresh)
            raise
        return count

    def update(
        self,
        before: str,
        after: str,
        cells: Iterable[tuple[str, str]],
        combine: Callable[[str, str | None, str], str],
    ) -> int:
        pairs: dict[str, str] = {}
        with self._changed(before) as pipe:
            for chunk in _chunks(cells):
                stored = pipe.hmget(self._key, [entity for entity, _ in chunk])
                pairs |= {
                    entity: combine(entity, old, new) for (entity, new), old in zip(chunk, stored, strict=True)
                }
            pipe.multi()
            for chunk in _chunks(pairs.items()):
                pipe.hset(self._key, mapping=dict(chunk))
            pipe.hset(self._key, _STATE, after)
            pipe.execute()
        return len(pairs)

    @contextmanager
    def _changed(self, before: str | None) -> Iterator[Any]:
        """A pipeline that watches the hash, whose state is `before`; its MULTI is refused when it no longer is."""
        with self._explained(), self._client.pipeline(transaction=True) as pipe:
            # the state is read after WATCH: a sync that comes between is seen by MULTI
            pipe.watch(self._key)
            changed = Conflict("the online store was changed by another sync meanwhile", next="sync again")
            if pipe.hget(self._key, _STATE) != before:
                raise changed
            try:
                yield pipe
            except self._watched:
                raise changed from None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (self._errors, OSError, ValueError) as error:
            text = self._address.hide(str(error) or type(error).__name__)
            raise StorageError(
                f"the online store can't be reached or read: {text}",
                where=self._address.written,
                next=self._address.advice("check that it runs, and the address"),
            ) from None


def _chunks(pairs: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    left = iter(pairs)
    while chunk := list(itertools.islice(left, _CHUNK)):
        yield chunk
