"""A look at an Arrow IPC stream before a library reads it: how many rows it claims, and whether it is compressed.

A stream of a kilobyte can claim to hold gigabytes, by compression or by columns of nulls, and a reader believes
it. Only the messages' heads are read: flatbuffers (flatbuffers.dev/internals) of the tables `Message` and
`RecordBatch` (arrow.apache.org/docs/format/Columnar.html, format/Message.fbs).
"""

from __future__ import annotations

import struct

from trikk.web.refused import Refused

_CONTINUATION = 0xFFFFFFFF
_DICTIONARY, _BATCH = 2, 3
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3  # fields of Message
_LENGTH, _COMPRESSION = 0, 3  # fields of RecordBatch
_DATA = 1  # field of DictionaryBatch


def claimed_rows(data: bytes) -> int:
    """The rows that the record batches of a stream claim to have.

    Raises:
        Refused: with 400 if it is no such stream, with 415 if its buffers are compressed.
    """
    try:
        return _walk(data)
    except (struct.error, IndexError, OverflowError) as error:
        raise Refused(
            400, "the body is not a whole Arrow IPC stream", next="write it with write_ipc_stream (polars)"
        ) from error


def _walk(data: bytes) -> int:
    at = rows = 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        at += 4
        if size == _CONTINUATION:
            (size,) = struct.unpack_from("<I", data, at)
            at += 4
        if size == 0:  # the end of the stream
            return rows
        if at + size > len(data):
            raise IndexError
        message = _follow(data, at)
        kind = _number(data, _field(data, message, _HEADER_TYPE), "<B")
        header = _field(data, message, _HEADER)
        if header and kind in (_BATCH, _DICTIONARY):
            batch = _follow(data, header)
            inner = batch if kind == _BATCH else _follow(data, _field(data, batch, _DATA))
            if _field(data, inner, _COMPRESSION):
                raise Refused(
                    415,
                    "the Arrow stream is compressed",
                    next='write it uncompressed: write_ipc_stream(file, compression="uncompressed")',
                )
            count = _number(data, _field(data, inner, _LENGTH), "<q")
            rows += count if kind == _BATCH else 0
            if count < 0:
                raise IndexError
        length = _number(data, _field(data, message, _BODY_LENGTH), "<q")
        if length < 0 or at + size + length > len(data):
            raise IndexError
        at += size + length
    return rows


def _follow(data: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, number: int) -> int:
    """Where a table's field is; 0 if it is not given."""
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    (size,) = struct.unpack_from("<H", data, vtable)
    slot = 4 + 2 * number
    if slot + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", data, vtable + slot)
    return table + int(offset) if offset else 0


def _number(data: bytes, at: int, form: str) -> int:
    return int(struct.unpack_from(form, data, at)[0]) if at else 0
