"""Random samples of the shapes that columns have."""

from __future__ import annotations

import numpy as np

NUMBERS = ("normal", "lognormal", "counts", "sales", "offset", "rounded", "two heaps")


def numbers(shape: str, size: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """`size` numbers of a shape, moved or stretched by `shift`."""
    draw = np.random.default_rng(seed)
    if shape == "normal":
        return draw.normal(shift, 1, size)
    if shape == "lognormal":
        return draw.lognormal(shift, 2, size)
    if shape == "counts":
        return draw.poisson(30 * (1 + shift), size).astype(float)
    if shape == "sales":
        return np.where(draw.random(size) < 0.7 - shift / 2, 0.0, draw.exponential(3, size))
    if shape == "offset":
        return 1.6e9 + draw.normal(shift, 1, size)
    if shape == "rounded":
        return draw.normal(20 + shift, 3, size).round(1)
    return np.where(draw.random(size) < 0.5, draw.normal(-5, 1, size), draw.normal(5 + shift, 1, size))


def texts(kinds: int, size: int, seed: int, weight: float = 0.0) -> list[str]:
    """`size` texts of `kinds` sorts, the first ones the more frequent the greater `weight` is."""
    shares = np.exp(-weight * np.arange(kinds) / kinds)
    draw = np.random.default_rng(seed)
    return [f"c{i}" for i in draw.choice(kinds, size, p=shares / shares.sum())]
