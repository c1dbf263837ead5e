"""`script("clean.sh")`: a script of the project, or any command, as a step with files in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trikk.core.durations import Duration
from trikk.core.errors import UsageError
from trikk.pipeline.location import defining
from trikk.pipeline.policies import Resources, Retry
from trikk.pipeline.step import Step
from trikk.pipeline.symbols import Symbol
from trikk.steps.scripts.command_line import check_environment, refuse_addresses
from trikk.steps.scripts.file_names import check_file_name


def _run(command: list[Any], inputs: dict[str, Any], outputs: list[str], env: dict[str, Any]) -> Any:
    from trikk.steps.scripts.script_run import run_script

    return run_script(command, inputs, outputs, env)


_SCRIPT: Step[..., Any] = Step(_run, name="script")
_EFFECT: Step[..., Any] = Step(_run, name="script", effect=True)


def script(
    command: str | Sequence[object],
    *arguments: object,
    inputs: Mapping[str, object] | None = None,
    outputs: str | Sequence[str] = (),
    env: Mapping[str, object] | None = None,
    effect: bool = False,
    name: str | None = None,
    after: object = (),
    retry: Retry | None = None,
    timeout: Duration | None = None,
    resources: Resources | None = None,
) -> Any:
    """Run a program, as a step; without a shell, in an empty folder of its own.

    Args:
        command: a script of the project, run by this Python (.py), by what its `#!` line names, or by sh (.sh);
            or a list: a program and its arguments, of which the first that names a file of the project stands
            for it.
        *arguments: plain values, parameters or outputs of steps; dates as ISO texts.
        inputs: values by file name, written into the folder: rows as .parquet, .csv or .jsonl, plain values as
            .json, texts, bytes and Paths as anything.
        outputs: names of files that it writes into the folder: .parquet, .csv and .jsonl are read as rows, .json
            as its value, anything else (a folder, too) is kept as a file.
        env: variables besides those of trikk itself; `${NAME}` in a value is read from the environment when the
            step runs, as every secret must be.
        effect: True if it changes something outside: a replay does not run it again.
        name: the step's name; "script", "script-2", ... if not given.
        after: steps that must be over before.
        retry: a `Retry`; the pipeline's default if not given.
        timeout: how long one attempt may take; all its processes are ended then.
        resources: a `Resources`; one core if not given.

    Returns:
        The output; of several a tuple, in their order; None without any. Outside of a pipeline it is run at once.

    Raises:
        DefinitionError: if an argument is wrong.
    """
    given = [command] if isinstance(command, str) else command
    names = [outputs] if isinstance(outputs, str) else outputs
    with defining():
        if isinstance(given, Symbol) or not isinstance(given, list | tuple) or not given:
            raise UsageError("there is no command", next='write script("clean.sh") or script(["program", "word"])')
        for kind, files in (("input", list(inputs or {})), ("output", list(names))):
            for file in files:
                check_file_name(file, kind)
        if len(set(names)) < len(names):
            raise UsageError("an output is named twice", next="name each file once")
        check_environment(env or {})
        refuse_addresses([given, arguments], "an argument")
    words: list[object] = [{"script": command}] if isinstance(command, str) else list(given)
    step = (_EFFECT if effect else _SCRIPT).options(
        name=name, after=after, retry=retry, timeout=timeout, resources=resources
    )
    if len(names) > 1:  # each output is then an artifact of its own
        step.types = {**step.types, "return": tuple[(Any,) * len(names)]}  # type: ignore[misc]
    return step([*words, *arguments], dict(inputs or {}), list(names), dict(env or {}))
