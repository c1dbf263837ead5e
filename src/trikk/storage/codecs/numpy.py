"""NumPy arrays and scalars as .npy files (NEP 1), never with pickled objects in them."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from trikk.core.errors import CodecError
from trikk.core.values import JSON, encode


class NumpyCodec:
    """Arrays of fixed-size types, and the scalars of NumPy that are no Python float, in C or Fortran order."""

    name = "numpy"
    suffix = ".npy"

    def accepts(self, value: object) -> bool:
        """Whether it is exactly an ndarray or one of NumPy's scalars."""
        cls = type(value)
        if cls.__module__ != "numpy":
            return False
        return cls.__name__ == "ndarray" or any(base.__name__ == "generic" for base in cls.__mro__)

    def dump(self, value: Any, path: Path) -> dict[str, JSON]:
        """Write the array; raises CodecError for an array of Python objects."""
        import numpy as np

        array = np.asarray(value)
        if array.dtype.hasobject:
            raise CodecError(
                "an array of Python objects can't be stored",
                next="give it a dtype of fixed size (.astype(float), .astype(str)), or return a list or a frame",
            )
        try:
            with path.open("wb") as file:
                np.save(file, array, allow_pickle=False)
        except OSError as error:  # NumPy says nothing of the reason when bytes are left over
            raise OSError(error.errno or errno.ENOSPC, str(error)) from error
        if isinstance(value, np.ndarray):
            return {"type": "numpy.ndarray", "dtype": str(array.dtype), "shape": list(array.shape)}
        summary: dict[str, JSON] = {"type": f"numpy.{type(value).__name__}"}
        if isinstance(value, np.bool | np.integer | np.floating):
            summary["value"] = encode(value.item())
        return summary

    def load(self, path: Path, want: object, summary: dict[str, JSON]) -> Any:  # noqa: ARG002
        """The array, as a private copy that may be changed; a scalar as a scalar."""
        import numpy as np

        array = np.load(path, allow_pickle=False)
        return array if summary.get("type") == "numpy.ndarray" else array[()]

    def head(self, path: Path, rows: int) -> JSON | None:
        """The first items along the first axis, as text."""
        import numpy as np

        array = np.load(path, mmap_mode="r", allow_pickle=False)
        return [str(line) for line in array[:rows]] if array.ndim else str(array[()])
