"""Lambda steps: a function of this machine in the place of the deployed one.

Which handler stands for which function is said by the caller. It is called in an interpreter of its own, as a
deployed function is, and gets the event alone.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trikk.core.errors import DefinitionError, RunError
from trikk.execution.workers.descendants import die_with_parent
from trikk.targets.sagemaker.local.definition.pipeline_definition import PipelineDefinition, StepKind

_LONGEST = 600.0  # seconds that a Lambda step may take
_HANDLER = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<function>[A-Za-z_]\w*)")
_TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (float, int),
    "Boolean": (bool,),
}
_PROGRAM = """
import importlib, json, os, sys
answer = os.dup(1)
os.dup2(2, 1)
module, function, folder = sys.argv[1:]
sys.path.insert(0, folder)
event = json.load(sys.stdin)
result = getattr(importlib.import_module(module), function)(event, None)
os.write(answer, json.dumps(result).encode())
"""


def handler_of(function: str, handlers: Mapping[str, str]) -> str | None:
    """The handler `module:function` of a function, by its ARN or by its name; None if there is none."""
    return handlers.get(function) or handlers.get(function.rpartition(":")[2])


def check_functions(definition: PipelineDefinition, handlers: Mapping[str, str]) -> None:
    """Check that every Lambda step has a handler here.

    Raises:
        DefinitionError: if one has not.
    """
    for step in definition.steps.values():
        if step.kind != StepKind.LAMBDA:
            continue
        function = step.body.get("FunctionArn")
        handler = handler_of(function, handlers) if isinstance(function, str) else None
        if handler is None or not _HANDLER.fullmatch(handler):
            raise DefinitionError(
                f"step {step.name} calls the function {function!r}, which is not here",
                next="name a handler for it: --function NAME=module:function",
            )


def call_function(
    step: Mapping[str, Any],
    arguments: Mapping[str, Any],
    handlers: Mapping[str, str],
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
) -> dict[str, Any]:
    """Call a Lambda step's function; its outputs by name.

    Args:
        step: the step as it was written.
        arguments: the event.
        handlers: which handler stands for which function.
        folder: where handlers are imported from.
        environment: the variables of the handler's process.
        log: the file for what it prints.

    Raises:
        RunError: if it raises, takes too long, or does not return what the step declares.
    """
    match = _HANDLER.fullmatch(handler_of(step["FunctionArn"], handlers) or "")
    assert match is not None
    with log.open("ab") as output:
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", _PROGRAM, match["module"], match["function"], str(folder)],
                input=json.dumps(arguments).encode(),
                stdout=subprocess.PIPE,
                stderr=output,
                env=dict(environment),
                timeout=_LONGEST,
                check=False,
                start_new_session=True,
                preexec_fn=functools.partial(die_with_parent, True),
            )
        except subprocess.TimeoutExpired:
            raise RunError(f"the function has taken more than {_LONGEST:g} s", next="see its log") from None
    if done.returncode:
        raise RunError(f"the function has failed: {_last_line(log)}", next="see its log")
    result = json.loads(done.stdout or b"null")
    return {each["OutputName"]: _output(each, result) for each in step.get("OutputParameters") or []}


def _output(declared: Mapping[str, Any], result: Any) -> Any:
    name, kind = declared["OutputName"], declared.get("OutputType", "String")
    value = result.get(name) if isinstance(result, dict) else None
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "Boolean"):
        raise RunError(
            f"the function returned {value!r} as {name}, which is no {kind}", next="return a dict with its outputs"
        )
    return value


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:500] if lines else "without a word"
