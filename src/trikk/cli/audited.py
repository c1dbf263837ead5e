"""Commands that change something, in the log of changes: who called them, on which machine, and how they ended."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
Options = Mapping[str, Any]


def audited(action: str | Callable[[Options], str], *names: str, unless: str = "") -> Callable[[F], F]:
    """Have a command write down what it changes, before and after.

    Args:
        action: what it does, as the API's operation is called; a function says so of the options, "" for nothing.
        names: the options and arguments that say to what. None of them may be a secret.
        unless: a flag with which it changes nothing.
    """

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def call(*args: Any, **options: Any) -> Any:
            does = action if isinstance(action, str) else action(options)
            if not does or (unless and options[unless]):
                return command(*args, **options)
            return _recorded(does, {name: options[name] for name in names}, lambda: command(*args, **options))

        return call  # type: ignore[return-value]

    return decorate


def _recorded(action: str, target: Options, command: Callable[[], Any]) -> Any:
    from trikk.access.audit import recorded, user_of_machine
    from trikk.cli.printing import user_name
    from trikk.core.clock import SystemClock
    from trikk.core.errors import UnknownName
    from trikk.execution.project import Project

    project = Project.open()
    user, machine = user_of_machine(user_name())
    said = {name: _text(value) for name, value in target.items() if value not in (None, "", ())}
    if "run" in said:
        with contextlib.suppress(UnknownName):  # the command is about to refuse it
            said["run"] = project.find_run(said["run"])  # `last` is another run tomorrow
    with recorded(project.journal, user, machine, action, said, SystemClock()) as change:
        code = command()
        # 3: it waits for people, which is no failure.
        change.error = f"exit code {code}" if isinstance(code, int) and code not in (0, 3) else ""
    project.close()
    return code


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
