"""What an exception says to the author of a step: its class, its text, and the line of his own that it came by.

Library frames may follow that line by the dozen, in the exception or in what it was raised from. trikk's own
frames are left out; of an error that trikk foresaw, so are the library's errors that it puts into words.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException
from typing import Any

from trikk.core.errors import PermanentError, TrikkError

_OWN = f"{Path(__file__).parents[2]}{os.sep}"
_STANDARD = f"{Path(os.__file__).parent}{os.sep}"
_PACKAGES = {"site-packages", "dist-packages"}
_TRACEBACK = 16_000  # characters kept
_MESSAGE = 4_000
_HEADLINE = 300
_CHAIN = 100  # exceptions raised from each other that are looked at
_WITH_CLASS = ("raised", "loaded", "stored")


def text_of(error: BaseException) -> str:
    """What an exception says, even where it can't say it, cut where long; a group adds what its first says."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    try:
        text = str(error)
        text = text if text.strip() else type(error).__name__
    except Exception:  # noqa: BLE001 - the author's __str__ may do anything
        text = f"{type(error).__name__}, which has no text"
    if isinstance(error, BaseExceptionGroup):
        first = _leaf(error)
        text += f"; the first: {_named(type(first).__name__, text_of(first))}"
    return text if len(text) <= _MESSAGE else f"{text[:_MESSAGE]} ... ({len(text):,} characters)"


def class_of(error: BaseException) -> str:
    """An exception's class with its module, as a stack trace has it."""
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def headline(error: Mapping[str, Any] | None) -> str:
    """One line on the failure of a step: class, text, and the author's line where there is one.

    Args:
        error: as in `StepResult.error`; None gives "failed".
    """
    data = error or {}
    lines = (line.strip() for line in str(data.get("message", "")).splitlines())
    line = next((line for line in lines if line), "failed")
    kind = str(data.get("type") or "")
    is_ours = kind.startswith("trikk.") and not kind.endswith(f".{PermanentError.__name__}")
    if kind and not is_ours and data.get("kind") in _WITH_CLASS:
        line = _named(kind.rpartition(".")[2], line)
    line = line if len(line) <= _HEADLINE else f"{line[:_HEADLINE]} ..."
    return f"{line} ({data['where']})" if data.get("where") else line


def own_line(error: BaseException, folder: Path) -> str:
    """The innermost line of the author's in an exception or in what it was raised from; "" if there is none.

    Args:
        error: the exception.
        folder: the author's code. Lines in it come first, then others that are no library's.
    """
    chain = list(_chain(_leaf(error)))
    chain += [] if chain[0] is error else list(_chain(error))
    for is_own in (lambda name: _inside(name, folder), _is_no_library):
        for one in chain:
            if isinstance(one, SyntaxError) and one.filename and is_own(one.filename):
                return f"{_relative(one.filename, folder)}:{one.lineno}"
            frames = [f for f in traceback.extract_tb(one.__traceback__) if is_own(f.filename)]
            if frames:
                name = "" if frames[-1].name == "<module>" else f" in {frames[-1].name}"
                return f"{_relative(frames[-1].filename, folder)}:{frames[-1].lineno}{name}"
    return ""


def own_traceback(error: BaseException, folder: Path) -> str:
    """The traceback without trikk's frames, as Python prints it; "" for a foreseen error that has no others."""
    try:
        shown = TracebackException.from_exception(error)
        foreseen = isinstance(error, TrikkError)
        _prune(shown, folder, foreseen=foreseen)
        if foreseen and not shown.stack and shown.__cause__ is None and shown.__context__ is None:
            return ""
        text = "".join(shown.format())
    except Exception:  # noqa: BLE001 - the author's exception may do anything when it is shown
        text = "".join(StackSummary.from_list(_others(traceback.extract_tb(error.__traceback__))).format())
    return text if len(text) <= _TRACEBACK else "...\n" + text[-_TRACEBACK:]


def _prune(shown: TracebackException, folder: Path, *, foreseen: bool) -> None:
    queue = [shown]
    while queue:
        one = queue.pop()
        kept = _others(one.stack)
        if not kept and not foreseen:
            kept = list(one.stack[-1:])  # a mistake of ours: where it is
        one.stack = StackSummary.from_list(kept) if kept else None  # type: ignore[assignment]
        for name in ("__cause__", "__context__"):
            below = getattr(one, name)
            if below is not None and foreseen and not any(_inside(f.filename, folder) for f in below.stack):
                setattr(one, name, None)
            elif below is not None:
                queue.append(below)
        queue += one.exceptions or []


def _others(frames: Iterable[FrameSummary]) -> list[FrameSummary]:
    kept: list[FrameSummary] = []
    for frame in frames:
        if not frame.filename.startswith(_OWN):
            kept.append(frame)
        elif kept and kept[-1].filename == "<string>":
            kept.pop()  # the __init__ that Python has written for a dataclass of ours
    return kept


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, what it was raised from, and so on."""
    for _ in range(_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _inside(name: str, folder: Path) -> bool:
    inside = name.removeprefix(f"{folder}{os.sep}")
    return inside != name and not name.startswith(_STANDARD) and not _PACKAGES & set(Path(inside).parts)


def _is_no_library(name: str) -> bool:
    is_file = not name.startswith(("<", _OWN, _STANDARD))
    return is_file and not _PACKAGES & set(Path(name).parts)


def _relative(name: str, folder: Path) -> str:
    return name.removeprefix(f"{folder}{os.sep}")


def _named(kind: str, text: str) -> str:
    return text if text == kind or text.startswith(f"{kind},") else f"{kind}: {text}"
