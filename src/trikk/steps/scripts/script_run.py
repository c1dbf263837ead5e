"""A program run in a folder of its own: its output goes to the log at once, its last words into the error."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from trikk.core.errors import ProgramFailed, UsageError
from trikk.core.network.secret_places import KnownValues
from trikk.execution.workers.descendants import die_with_parent
from trikk.steps.scripts.command_line import environment_of, interpreter, word
from trikk.steps.scripts.workfolder import (
    code_file,
    code_folder,
    code_variables,
    make_room,
    put_inputs,
    take_outputs,
    tidy,
    work_folder,
)

_LAST_LINES = 20  # of standard error, in the error
_LAST_BYTES = 3000
_LAST_SECONDS = 1.0
_CHUNK = 1 << 16
_PYTHONS = ("python", "python3")


def run_script(
    command: Sequence[Any],
    inputs: Mapping[str, object],
    outputs: Sequence[str],
    env: Mapping[str, object],
) -> Any:
    """Run a command and take its outputs; arguments as `trikk.script` describes them.

    Returns:
        None, the output, or a tuple of them.

    Raises:
        UsageError: if there is no such program or script, or an input can't be written.
        ProgramFailed: if it ends with another code than 0.
        StorageError: if it has not written an output, or one that can't be read.
    """
    variables = environment_of(env, os.environ, KnownValues())
    words, label = _words(command, {*inputs, *outputs}, variables)
    with work_folder() as folder:
        put_inputs(folder, inputs)
        # A program that writes data/a.csv expects the folder to be there.
        make_room(folder, outputs)
        variables |= {**code_variables(), "PYTHONUNBUFFERED": "1"}
        _run(words, label, folder, variables)
        values = take_outputs(folder, outputs, label)
    tidy(folder, values)
    return None if not values else values[0] if len(values) == 1 else tuple(values)


def _words(command: Sequence[Any], files: set[str], variables: Mapping[str, str]) -> tuple[list[str], str]:
    """The command's words with the script's full path and interpreter, and what to call it in errors."""
    first, *rest = command
    if isinstance(first, dict):
        path = code_file(first["script"], "script")
        return [*_interpreter(path, variables), str(path), *map(word, rest)], first["script"]
    words = [word(w) for w in command]
    label = Path(words[0]).name
    for place, text in enumerate(words):
        if text not in files and _names_code(text):
            path = code_file(text, "script")
            words[place : place + 1] = [*(_interpreter(path, variables) if place == 0 else []), str(path)]
            label = text
            break
    words[0] = _program(words[0], variables)
    return words, label


def _names_code(text: str) -> bool:
    inside = not text.startswith(("/", "-", "~", ".")) and ".." not in text.split("/")
    return bool(text) and inside and len(text) < 200 and (code_folder() / text).is_file()


def _interpreter(path: Path, variables: Mapping[str, str]) -> list[str]:
    """What runs a script: nothing depends on its being marked as executable, which bundles do not keep."""
    with path.open("rb") as file:
        command = interpreter(file.readline(1000))
    if path.suffix == ".py":
        return [sys.executable]
    if not command and path.suffix == ".sh":
        command = ["sh"]
    if not command:
        raise UsageError(
            f"{path.name} does not say what runs it",
            where=str(path),
            next='write a #! line on its top, or give a list: script(["program", "' + path.name + '"])',
        )
    if Path(command[0]).name == "env" and len(command) == 2 and not command[1].startswith("-"):
        return [_program(command[1].strip(), variables)]
    return [_program(command[0], variables), *command[1:]]


def _program(name: str, variables: Mapping[str, str]) -> str:
    if name in _PYTHONS:
        return sys.executable
    program = shutil.which(name, path=variables.get("PATH"))
    if program is None:
        exists = "/" in name and Path(name).exists()
        raise UsageError(
            f"{name!r} is not a program that can be run" if exists else f"there is no program {name!r}",
            next="mark it as executable: chmod +x" if exists else "install it, or check its name and PATH",
        )
    return str(Path(program).absolute())


def _run(words: list[str], label: str, folder: Path, variables: Mapping[str, str]) -> None:
    sys.stdout.flush()  # what the step has printed stands before what the program prints, which has the same file
    try:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Else a program would outlive its worker that is killed, and write into a folder that is tidied away.
            preexec_fn=functools.partial(die_with_parent, True),  # noqa: PLW1509 - one system call, no lock
        )
    except OSError as error:
        raise UsageError(f"{label} can't be run: {error.strerror}", next="check its #! line") from error
    last = bytearray()
    copier = threading.Thread(target=_copy, args=(process.stderr, last), daemon=True)
    copier.start()
    code = process.wait()
    copier.join(_LAST_SECONDS)  # what it left running may hold the pipe open
    if code:
        raise _failure(label, code, bytes(last).decode(errors="replace"))


def _copy(errors: IO[bytes], last: bytearray) -> None:
    """Pass a program's standard error on while it is written, and keep the end of it."""
    with errors:
        while chunk := os.read(errors.fileno(), _CHUNK):
            os.write(2, chunk)
            last += chunk
            del last[:-_LAST_BYTES]


def _failure(label: str, code: int, said_last: str) -> Exception:
    last = "\n".join(said_last.strip().splitlines()[-_LAST_LINES:])
    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    said = f":\n{last}" if last else ", and said nothing on standard error"
    return ProgramFailed(f"{label} {how}{said}", where=label, next="look at the whole log: trikk logs")
