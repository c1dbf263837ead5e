"""The codecs that come with trikk, one module for each kind of value; `builtin_codecs` has their order."""

from __future__ import annotations

from trikk.storage.codec import Codec
from trikk.storage.codecs.arrow import ArrowCodec
from trikk.storage.codecs.files import FileCodec
from trikk.storage.codecs.lightgbm import BoosterCodec
from trikk.storage.codecs.numpy import NumpyCodec
from trikk.storage.codecs.pickled import PickleCodec
from trikk.storage.codecs.plain import BytesCodec, JsonCodec


def builtin_codecs(files: FileCodec) -> list[Codec]:
    """All codecs in the order in which they are asked; pickle, which takes anything, is last."""
    return [
        JsonCodec(),
        BytesCodec(),
        ArrowCodec(),
        NumpyCodec(),
        files,
        BoosterCodec(),
        PickleCodec(),
    ]
